import { takePart } from './member.ts'
import { openPage } from './page.ts'

// The page and its workers share one script, so that the library is loaded only once.
if (typeof document === 'undefined') addEventListener('message', ({ data }) => takePart(self.name, 'worker', data), { once: true })
else await openPage()

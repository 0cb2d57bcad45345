import { takePart } from './member.ts'
import { openPage } from './page.ts'

// One script for the page and its workers, so that the library is here once.
if (typeof document === 'undefined') addEventListener('message', ({ data }) => takePart(self.name, 'worker', data), { once: true })
else await openPage()

import { parseArgs } from 'node:util'
import { site } from './pages.ts'
import { serveSite } from './serve.ts'
import { buildSite } from './site.ts'

const { values } = parseArgs({ options: { serve: { type: 'boolean' }, port: { type: 'string', default: '0' } } })

await buildSite()
console.log(`The site is in ${site}`)
if (values.serve) {
  const { url } = await serveSite(Number(values.port))
  console.log(`It is served at ${url} until you press Ctrl-C`)
}

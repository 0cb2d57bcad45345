import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Application } from 'typedoc'
import type { PluginOptions } from 'typedoc-plugin-markdown'
import { docs, root } from './pages.ts'

const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { exports: Record<string, { readonly default?: string }> }

/** The source of each entry that the package exports. */
const entries = Object.values(exports).flatMap(({ default: built }) => (built ? [sourceOf(built)] : []))

function sourceOf(built: string): string {
  const path = join(root, built.replace('./dist/', 'src/').replace(/\.js$/, ''))
  return [`${path}.ts`, `${path}.tsx`].find(existsSync) ?? `${path}.ts`
}

/** Writes the reference of the whole package from its docstrings into `docs/api/`. @throws Error if TypeDoc finds a fault in them */
export async function writeApi(): Promise<void> {
  const out = join(docs, 'api')
  rmSync(out, { recursive: true, force: true })
  const markdown: Partial<PluginOptions> = {
    outputFileStrategy: 'modules',
    entryFileName: 'index',
    hidePageHeader: true,
    hideBreadcrumbs: true,
    parametersFormat: 'table',
    interfacePropertiesFormat: 'list',
    useCodeBlocks: true,
    // By default the plugin guesses anchors, and headings sometimes get others.
    useHTMLAnchors: true,
    anchorPrefix: 'api-',
  }
  const app = await Application.bootstrapWithPlugins({
    name: 'API reference',
    entryPoints: entries,
    tsconfig: join(root, 'src/tsconfig.json'),
    // The build checks for errors.
    skipErrorChecking: true,
    plugin: ['typedoc-plugin-markdown'],
    readme: 'none',
    disableSources: true,
    excludeInternal: true,
    githubPages: false,
    groupOrder: ['Functions', 'Classes', '*'],
    out,
    // Their members are shown where they are used, and users need not know their names.
    intentionallyNotExported: ['Changed', 'logKinds', 'reportLevels', 'Target', 'Emitter', 'InProcessBeacon', 'OpenDatabase', 'Notes'],
    logLevel: 'Warn',
    ...markdown,
  })
  const project = await app.convert()
  if (!project) throw new Error('TypeDoc could not read the sources')
  // Modules get the names that users import.
  for (const module of project.children ?? []) module.name = module.name === 'index' ? 'storelock' : `storelock/${module.name}`
  app.validate(project)
  await app.generateOutputs(project)
  if (app.logger.hasErrors() || app.logger.hasWarnings()) throw new Error('TypeDoc found faults in the docstrings: see above')
}

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { docs } from '../pages.ts'
import { drawAll } from './pictures.ts'

for (const [name, picture] of drawAll()) writeFileSync(join(docs, 'concepts', name), picture)

import { beChild } from '../be-child.ts'
import { measures, roles } from './on-node.ts'

await beChild(measures, roles)

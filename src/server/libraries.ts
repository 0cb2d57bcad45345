// The packages that the server is made of. The build makes one file of this module and of them, so that nobody who installs this one has to
// install them as well.
export { getRequestListener } from '@hono/node-server'
export { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
export { bodyLimit } from 'hono/body-limit'
export { HTTPException } from 'hono/http-exception'
export { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

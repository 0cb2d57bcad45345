// The packages that the server uses. The build bundles them with this module into one file, so that users of storelock need not install them.
export { getRequestListener } from '@hono/node-server'
export { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
export { bodyLimit } from 'hono/body-limit'
export { HTTPException } from 'hono/http-exception'
export { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

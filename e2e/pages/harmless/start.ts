import { watchPage } from './watch.ts'

export type Steps = typeof import('./steps.ts')

/** Runs a step. The first step imports the library, so that tests can inspect the page before. */
async function doStep(step: keyof Steps, given: readonly unknown[] = []): Promise<unknown> {
  const steps = await import('./steps.ts')
  return (steps[step] as (...given: readonly unknown[]) => unknown)(...given)
}

export interface FrameStart {
  readonly src: string
  /** The permissions of the frame, if it is sandboxed. */
  readonly sandbox?: string
}

/** Runs a step in a new frame with a page like this one, of any origin. */
async function doStepInFrame({ src, sandbox }: FrameStart, step: keyof Steps): Promise<unknown> {
  const frame = document.createElement('iframe')
  if (sandbox !== undefined) frame.setAttribute('sandbox', sandbox)
  frame.src = src
  document.body.append(frame)
  await new Promise((resolve) => frame.addEventListener('load', resolve, { once: true }))
  const { port1, port2 } = new MessageChannel()
  return new Promise((resolve) => {
    port1.onmessage = ({ data }) => resolve(data)
    frame.contentWindow?.postMessage(step, '*', [port2])
  })
}

addEventListener('message', async ({ data, ports: [port] }) => port?.postMessage(await doStep(data)))

declare global {
  var start: { readonly doStep: (step: keyof Steps, given: readonly unknown[]) => unknown; readonly doStepInFrame: typeof doStepInFrame }
}

globalThis.start = { doStep, doStepInFrame }

const wishes = new URLSearchParams(location.search)
if (wishes.has('watched')) watchPage()
if (wishes.has('poor')) {
  for (const name of Object.getOwnPropertyNames(globalThis)) if (/^(indexedDB|IDB)/.test(name)) Reflect.deleteProperty(globalThis, name)
}

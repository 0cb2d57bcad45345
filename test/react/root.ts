import { act, type ReactNode } from 'react'
import { createRoot, type Root } from 'react-dom/client'
import { afterEach, beforeEach, expect, vi } from 'vitest'
import { settle } from '../locks/world.ts'

/** The parts of a page that react-dom needs for components that render nothing. */
const scope = globalThis as { window?: unknown; IS_REACT_ACT_ENVIRONMENT?: boolean }
const document = { nodeType: 9, addEventListener() {}, activeElement: null }
const newContainer = () => ({ nodeType: 11, ownerDocument: document, addEventListener() {} }) as unknown as Element

const roots: Root[] = []

beforeEach(() => {
  scope.window = { HTMLIFrameElement: class {} }
  scope.IS_REACT_ACT_ENVIRONMENT = true
  vi.spyOn(console, 'error')
})

afterEach(async () => {
  await act(async () => {
    for (const root of roots.splice(0)) root.unmount()
  })
  // React reports its warnings through console.error.
  expect(console.error).not.toHaveBeenCalled()
  vi.restoreAllMocks()
  delete scope.window
  delete scope.IS_REACT_ACT_ENVIRONMENT
})

/** Runs `step`, and lets React do all the work that follows from it without a timer. */
export const inReact = (step: () => unknown = () => {}): Promise<void> =>
  act(async () => {
    await step()
    await settle()
  })

/** A root for components, which is unmounted at the end of the test. */
export function newRoot(): { render(element: ReactNode): Promise<void>; unmount(): Promise<void> } {
  const root = createRoot(newContainer())
  roots.push(root)
  return {
    render: (element) => inReact(() => root.render(element)),
    unmount: () => inReact(() => root.unmount()),
  }
}

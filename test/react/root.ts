import { act, type ReactNode } from 'react'
import { createRoot, type Root } from 'react-dom/client'
import { afterEach, beforeEach, expect, vi } from 'vitest'
import { settle } from '../locks/world.ts'

/** What react-dom asks of a page in which components show nothing. */
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
  // React's warnings come this way.
  expect(console.error).not.toHaveBeenCalled()
  vi.restoreAllMocks()
  delete scope.window
  delete scope.IS_REACT_ACT_ENVIRONMENT
})

/** Lets React do what is to be done, after `step` and all that comes of it without a timer. */
export const inReact = (step: () => unknown = () => {}): Promise<void> =>
  act(async () => {
    await step()
    await settle()
  })

/** A place for components, which goes with the test. */
export function newRoot(): { render(element: ReactNode): Promise<void>; unmount(): Promise<void> } {
  const root = createRoot(newContainer())
  roots.push(root)
  return {
    render: (element) => inReact(() => root.render(element)),
    unmount: () => inReact(() => root.unmount()),
  }
}

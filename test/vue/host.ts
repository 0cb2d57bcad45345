import { afterEach, beforeEach, expect, vi } from 'vitest'
import { type App, type Component, createRenderer, nextTick } from 'vue'
import { settle } from '../locks/world.ts'

interface HostNode {
  parent: HostNode | null
  readonly children: HostNode[]
}

const newNode = (): HostNode => ({ parent: null, children: [] })

const remove = (node: HostNode): void => {
  const siblings = node.parent?.children ?? []
  siblings.splice(siblings.indexOf(node), 1)
  node.parent = null
}

/** Vue's renderer, on a page that displays nothing. */
const { createApp } = createRenderer<HostNode, HostNode>({
  createElement: newNode,
  createText: newNode,
  createComment: newNode,
  setText() {},
  setElementText() {},
  patchProp() {},
  insert(node, parent, anchor) {
    if (node.parent) remove(node)
    const at = anchor ? parent.children.indexOf(anchor) : parent.children.length
    parent.children.splice(at, 0, node)
    node.parent = parent
  },
  remove,
  parentNode: ({ parent }) => parent,
  nextSibling: (node) => node.parent?.children[node.parent.children.indexOf(node) + 1] ?? null,
})

const apps: App[] = []

beforeEach(() => {
  vi.spyOn(console, 'warn')
})

afterEach(async () => {
  for (const app of apps.splice(0)) app.unmount()
  await settle()
  // Vue reports its warnings through console.warn.
  const warned = vi.mocked(console.warn).mock.calls
  vi.restoreAllMocks()
  expect(warned).toEqual([])
})

/** Runs `step`, and lets Vue do all the work that follows from it without a timer. */
export async function inVue(step: () => unknown = () => {}): Promise<void> {
  await step()
  await nextTick()
  await settle()
  await nextTick()
}

/** Makes an app, not yet mounted, which is unmounted at the end of the test. */
export function newApp(component: Component): { readonly app: App; mount(): Promise<void>; unmount(): Promise<void> } {
  const app = createApp(component)
  return {
    app: app as App,
    mount: () =>
      inVue(() => {
        app.mount(newNode())
        apps.push(app as App)
      }),
    unmount: () => inVue(() => apps.splice(apps.indexOf(app as App), 1)[0]?.unmount()),
  }
}

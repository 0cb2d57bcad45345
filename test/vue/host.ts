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

/** Vue's own renderer, on a page in which components show nothing. */
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
  // Vue's warnings come this way.
  const warned = vi.mocked(console.warn).mock.calls
  vi.restoreAllMocks()
  expect(warned).toEqual([])
})

/** Lets Vue do what is to be done, and all that comes of it without a timer. */
export async function inVue(step: () => unknown = () => {}): Promise<void> {
  await step()
  await nextTick()
  await settle()
  await nextTick()
}

/** An app, which goes with the test. It is not mounted yet. */
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

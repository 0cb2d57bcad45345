import { visible } from '../server/visible.ts'

type Attributes = Readonly<Record<string, string>>

/**
 * Makes an element. Texts go in as text, never as markup, with control and bidi characters escaped, and so do the values of attributes: they may come
 * from anybody who can write in the store.
 */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  return filled(document.createElement(tag), attributes, children)
}

/** The same for a drawing. */
export const svg = (tag: string, attributes: Attributes = {}, ...children: readonly (Node | string)[]): SVGElement =>
  filled(document.createElementNS('http://www.w3.org/2000/svg', tag) as SVGElement, attributes, children)

function filled<E extends Element>(element: E, attributes: Attributes, children: readonly (Node | string)[]): E {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, visible(value))
  element.append(...children.map((child) => (typeof child === 'string' ? visible(child) : child)))
  return element
}

/** Sets a text, if it is another one: a reader's selection in it stays. */
export function say(element: Element, text: string): void {
  const shown = visible(text)
  if (element.textContent !== shown) element.textContent = shown
}

/** @param action is called by the pointer and by the keyboard */
export function button(text: string, action: () => void, attributes: Attributes = {}): HTMLButtonElement {
  const made = el('button', { type: 'button', ...attributes }, text)
  made.addEventListener('click', action)
  return made
}

/** An element for something, and how it follows what is known of that. */
export interface View<T> {
  readonly node: Element
  update(item: T): void
}

/** Elements for a list of things: each thing keeps its element, so that the focus stays where it is. */
export class Views<T> {
  readonly #parent: HTMLElement
  readonly #idOf: (item: T) => string
  readonly #make: (item: T) => View<T>
  #views = new Map<string, View<T>>()

  constructor(parent: HTMLElement, idOf: (item: T) => string, make: (item: T) => View<T>) {
    this.#parent = parent
    // The focus goes there when an element that had it goes.
    parent.setAttribute('tabindex', '-1')
    this.#idOf = idOf
    this.#make = make
  }

  show(items: readonly T[]): void {
    const views = new Map<string, View<T>>()
    for (const item of items) {
      const id = this.#idOf(item)
      const view = this.#views.get(id) ?? this.#make(item)
      view.update(item)
      views.set(id, view)
    }
    for (const [id, { node }] of this.#views) {
      if (views.has(id)) continue
      const isFocused = node.contains((node.getRootNode() as Document | ShadowRoot).activeElement)
      node.remove()
      if (isFocused) this.#parent.focus()
    }
    this.#views = views
    let index = 0
    for (const { node } of views.values()) {
      const there = this.#parent.children[index++]
      if (there !== node) this.#parent.insertBefore(node, there ?? null)
    }
  }
}

import { visible } from '../server/visible.ts'

type Attributes = Readonly<Record<string, string>>

/**
 * Makes an element. Texts and the values of attributes may come from any client that can write to the store, so they are set as text, never as
 * markup, with control and bidi characters escaped.
 */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  return filled(document.createElement(tag), attributes, children)
}

/** Makes an SVG element in the same way. */
export const svg = (tag: string, attributes: Attributes = {}, ...children: readonly (Node | string)[]): SVGElement =>
  filled(document.createElementNS('http://www.w3.org/2000/svg', tag) as SVGElement, attributes, children)

function filled<E extends Element>(element: E, attributes: Attributes, children: readonly (Node | string)[]): E {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, visible(value))
  element.append(...children.map((child) => (typeof child === 'string' ? visible(child) : child)))
  return element
}

/** Sets the text only if it has changed, so that the user's selection in it survives. */
export function say(element: Element, text: string): void {
  const shown = visible(text)
  if (element.textContent !== shown) element.textContent = shown
}

/** @param action called on a click, and from the keyboard */
export function button(text: string, action: () => void, attributes: Attributes = {}): HTMLButtonElement {
  const made = el('button', { type: 'button', ...attributes }, text)
  made.addEventListener('click', action)
  return made
}

/** An element that shows an item, and a function that updates it. */
export interface View<T> {
  readonly node: Element
  update(item: T): void
}

/** The elements of a list. Each item keeps its element, so that the focus stays where it is. */
export class Views<T> {
  readonly #parent: HTMLElement
  readonly #idOf: (item: T) => string
  readonly #make: (item: T) => View<T>
  #views = new Map<string, View<T>>()

  constructor(parent: HTMLElement, idOf: (item: T) => string, make: (item: T) => View<T>) {
    this.#parent = parent
    // The parent takes the focus when the focused element is removed.
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

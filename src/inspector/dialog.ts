import { button, el } from './dom.ts'

interface Question {
  /** The action to confirm. */
  readonly title: string
  /** The consequences of the action. */
  readonly why: string
  /** The word on the button that confirms. */
  readonly yes: string
  /** A text to ask for: its label and its initial value. */
  readonly field?: readonly [label: string, text: string]
}

/**
 * Asks the user to confirm an action. Escape, and removing the panel, mean no.
 * @returns the text that the user entered, '' if the question has no field; `undefined` for no
 */
export async function confirm(root: ShadowRoot, { title, why, yes, field }: Question, gone: AbortSignal): Promise<string | undefined> {
  const input = el('input', { type: 'text', autocomplete: 'off' })
  const dialog = el('dialog', { 'aria-labelledby': 'question' }, el('h2', { id: 'question' }, title), el('p', {}, why))
  const answer = (value: string) => (): void => dialog.close(value)
  if (field) {
    const [label, text] = field
    input.value = text
    dialog.append(el('label', {}, `${label} `, input))
  }
  const go = button(yes, answer('yes'), { class: 'do' })
  input.addEventListener('keydown', ({ key, isComposing }) => {
    if (key === 'Enter' && !isComposing) go.click()
  })
  dialog.append(el('div', { class: 'buttons' }, button('Cancel', answer('')), go))
  root.append(dialog)
  const closed = new Promise((resolve) => dialog.addEventListener('close', resolve, { once: true }))
  gone.addEventListener('abort', answer(''), { once: true })
  dialog.showModal()
  if (field) input.select()
  await closed
  dialog.remove()
  return dialog.returnValue === 'yes' ? input.value : undefined
}

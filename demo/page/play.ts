import type { Order } from '../messages.ts'
import type { Writer } from '../turns.ts'
import { element } from './view.ts'

/** What a person can do with this tab. It takes turns from the start. */
export function buttons(writer: Writer): void {
  const turns = element('turns')
  const keep = element('keep')
  const press = (button: HTMLElement, on: boolean) => button.setAttribute('aria-pressed', String(on))
  const isPressed = (button: HTMLElement) => button.getAttribute('aria-pressed') === 'true'

  async function takeTurns(): Promise<void> {
    if (isPressed(turns)) return
    press(turns, true)
    await writer.start()
    press(turns, false)
    press(keep, false)
  }

  const give = (order: Order) => {
    press(keep, order === 'keep')
    writer.obey(order)
    if (order !== 'finish' && order !== 'let-go') void takeTurns()
  }

  turns.addEventListener('click', () => (isPressed(turns) ? give('finish') : void takeTurns()))
  keep.addEventListener('click', () => give(isPressed(keep) ? 'let-go' : 'keep'))
  element('hold').addEventListener('click', () => give('hold'))
  element('hang').addEventListener('click', () => give('stand-still'))
  void takeTurns()
}

/** The result of a check. `note`: worth knowing, `fault`: should be fixed. */
export interface Finding {
  readonly check: string
  readonly state: 'ok' | 'note' | 'fault'
  readonly found: string
  /** How to fix it. */
  readonly mend?: string
}

export const ok = (check: string, found: string): Finding => ({ check, state: 'ok', found })
export const note = (check: string, found: string, mend: string): Finding => ({ check, state: 'note', found, mend })
export const fault = (check: string, found: string, mend: string): Finding => ({ check, state: 'fault', found, mend })

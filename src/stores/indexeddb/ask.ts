import { AskedRows } from './asked-rows.ts'
import { onTorn, tornError } from './ends.ts'
import { abort } from './fence.ts'
import { Memory } from './memory.ts'
import type { Rows } from './rows.ts'
import { watchTurn } from './turn.ts'

/**
 * Answers a synchronous question about rows that are read asynchronously. The question is run with the remembered rows, and again with the real rows
 * if they differ or more rows are needed. The writes that it plans are made in the same transaction; resolves when the transaction is complete.
 *
 * Guessing saves time: while the browser fetches the rows there is nothing else to do, and a transaction that waits for us blocks all others. If no
 * other session seems to write the rows, the planned writes are issued even before the reads have answered. If the reads show that a guess was wrong,
 * the right values are written before anything is committed: no other transaction sees the wrong rows, and a request keeps its transaction's place in
 * the queue.
 */
export function ask<T>(tx: IDBTransaction, question: (rows: Rows) => T, memory: Memory = new Memory()): Promise<T> {
  return new Promise((resolve, reject) => {
    let answer: T
    const step = (): void => {
      try {
        if (!rows.sure) {
          answer = rows.put(question)
          if (rows.pending && rows.mayPlace) rows.place()
        }
        if (rows.pending) return
        rows.commit()
        // Reads need no further confirmation.
        if (tx.mode === 'readonly') resolve(answer)
      } catch (error) {
        // An error based on a guess means nothing: the question is run again when the rows have arrived.
        rows.sure = false
        if (rows.pending) return
        reject(error)
        tx.abort()
      }
    }
    const turn = watchTurn(tx, (error) => {
      end()
      tx.onabort = unheard
      abort(tx)
      reject(error)
    })
    const rows = new AskedRows(tx, memory, turn.answered, step)
    const end = (): void => {
      // The browser keeps the listeners of a finished transaction, and everything they refer to, until its next full garbage collection.
      tx.oncomplete = tx.onabort = tx.onerror = null
      turn.over()
      forget()
    }
    const forget = onTorn(tx.db, () => {
      end()
      reject(tornError())
    })
    tx.oncomplete = () => {
      end()
      resolve(answer)
    }
    // Errors bubble up to the database, where the app should not see those of our transactions.
    tx.onerror = unheard
    tx.onabort = (event) => {
      unheard(event)
      end()
      reject(tx.error ?? new DOMException('the transaction was aborted', 'AbortError'))
    }
    step()
  })
}

const unheard = (event: Event): void => event.stopPropagation()

import { Mutex, Semaphore } from 'async-mutex'

const mutex = new Mutex()
const places = new Semaphore(3)

export async function save(work: () => Promise<void>): Promise<void> {
  await mutex.runExclusive(work)
}

export async function download(work: () => Promise<void>): Promise<void> {
  await places.runExclusive(work)
}

export async function saveByHand(work: () => Promise<void>): Promise<void> {
  const release = await mutex.acquire()
  try {
    await work()
  } finally {
    release()
  }
}

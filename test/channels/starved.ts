/** Subscribes while this process can open no more files, then closes some, and prints the channel's reports and messages. */
import { closeSync, openSync } from 'node:fs'
import { socketChannel } from '../../src/channels/socket.ts'

const base = process.argv[2] as string
const say = (line: string): unknown => process.stdout.write(`${line}\n`)

const taken: number[] = []
const channel = socketChannel('db', (why) => (why === undefined ? isBack() : gone()), [base])
// The first subscription makes the directory and loads the modules that are loaded on demand.
channel.subscribe('first', () => {})
setTimeout(() => {
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'))
  } catch {
    channel.subscribe('topic', ({ n }) => {
      if (n === undefined) return
      say('heard')
      process.exit()
    })
  }
}, 100)

function gone(): void {
  for (const file of taken.splice(0)) closeSync(file)
  say('gone')
}

function isBack(): void {
  say('back')
  socketChannel('db', () => {}, [base]).publish('topic', { n: 1 })
}

// The timer keeps the process alive; a channel does not.
setTimeout(() => say('too late'), 15_000)

// A process with a channel: `peer.ts <base> <identity> <topic>`. It reports the messages that it receives; without IPC it just ends.
import { socketChannel } from '../../src/channels/socket.ts'

const [base = '', identity = '', topic = ''] = process.argv.slice(2)
const channel = socketChannel(identity, (why) => console.error(why), [base])
channel.subscribe(topic, (message) => process.send?.({ heard: message }))
channel.publish('nobody', { hears: 'this' })
channel.publish('other', { from: 'peer' })
if (process.send) {
  process.on('disconnect', () => process.exit())
  process.on('message', (message: { publish: string; count: number }) => {
    for (let number = 1; number <= message.count; number++) channel.publish(message.publish, { number })
  })
  process.send('ready')
}

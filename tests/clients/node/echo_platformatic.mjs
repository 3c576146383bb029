// usage: echo_platformatic.mjs ADDRESS NAME IN OUT: @platformatic/kafka as a service that knows nothing of Tidings.
import { Consumer, Producer } from '@platformatic/kafka'

const [address, name, source, target] = process.argv.slice(2)
const common = { clientId: name, bootstrapBrokers: [address] }
const writer = new Producer(common)
const reader = new Consumer({ ...common, groupId: name, autocommit: 200, maxWaitTime: 100 })
const stream = await reader.consume({ topics: [source], mode: 'earliest' })
for await (const message of stream) {
  await writer.send({ messages: [{ topic: target, value: message.value }] })
}

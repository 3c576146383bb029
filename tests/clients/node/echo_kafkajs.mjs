// usage: echo_kafkajs.mjs ADDRESS NAME IN OUT: kafkajs as a service that knows nothing of Tidings.
import { Kafka, logLevel } from 'kafkajs'

const [address, name, source, target] = process.argv.slice(2)
const kafka = new Kafka({ clientId: name, brokers: [address], logLevel: logLevel.ERROR })
const reader = kafka.consumer({ groupId: name })
const writer = kafka.producer()
await Promise.all([reader.connect(), writer.connect()])
await reader.subscribe({ topic: source, fromBeginning: true })
await reader.run({
  autoCommitInterval: 200,
  eachMessage: ({ message }) => writer.send({ topic: target, messages: [{ value: message.value }] })
})

// A service on kafkajs (README.md beside this file); it commits each event.
import { appendFileSync } from 'node:fs'
import { randomBytes, randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'

const require = createRequire(process.env.NODE_CLIENTS + '/')
const { Kafka, logLevel } = require('kafkajs')
const [address, name, number, truth, inputs, outputs] = process.argv.slice(2)
const topics = outputs.split(',')
const counts = [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2]
const end = why => { console.error(why); process.exit(1) }
const tell = line => appendFileSync(truth, JSON.stringify(line) + '\n', { mode: 0o600 })

process.on('unhandledRejection', end)

function headersFor (style, chain, token, cause) {
  const sent = {}
  if (style === 'trace' || style === 'both') {
    sent.traceparent = `00-${chain}-${randomBytes(7).toString('hex')}01-01`
  }
  if (style !== 'trace' && style !== 'plain' && !(style === 'both' && number % 2 === 1)) {
    const of = header => cause[header]?.toString()
    Object.assign(sent, { ce_specversion: '1.0', ce_id: token, ce_source: '/' + name, ce_type: name + '.did' })
    if (style !== 'correlation' && of('ce_id')) sent.ce_causationid = of('ce_id')
    const correlation = of('ce_correlationid') ?? of('ce_id')
    if (style !== 'causes' && correlation) sent.ce_correlationid = correlation
  }
  return sent
}

const kafka = new Kafka({ clientId: name, brokers: [address], logLevel: logLevel.ERROR, retry: { retries: 8 } })
const producer = kafka.producer({ metadataMaxAge: 1000 })
const consumer = kafka.consumer({
  groupId: name, sessionTimeout: 3000, heartbeatInterval: 500, maxWaitTimeInMs: 50, metadataMaxAge: 1000
})
consumer.on(consumer.events.CRASH, ({ payload }) => end(payload.error))

await producer.connect()
await consumer.connect()
await consumer.subscribe({ topics: inputs.split(','), fromBeginning: true })
await consumer.run({
  autoCommit: false,
  eachMessage: async ({ topic, partition, message }) => {
    tell({ e: 'took', at: `${topic}/${partition}/${message.offset}` })
    const value = JSON.parse(message.value)
    const digit = parseInt(value.plan[(value.hop * 7 + number * 3) % 32], 16)
    const count = value.hop < 4 ? counts[digit] : 0
    for (let i = 0; i < count; i++) {
      const token = randomUUID()
      const own = { ...value, hop: value.hop + 1, token, cause: value.token, by: name }
      const [there] = await producer.send({
        topic: topics[(digit + i) % topics.length],
        messages: [{
          key: message.key, value: JSON.stringify(own),
          headers: headersFor(value.style, value.chain, token, message.headers ?? {})
        }]
      })
      tell({ e: 'acked', token, at: `${there.topicName}/${there.partition}/${there.baseOffset}`, ms: Date.now() })
    }
    const offset = String(BigInt(message.offset) + 1n)
    tell({ e: 'commits', at: `${topic}/${partition}/${offset}` })
    await consumer.commitOffsets([{ topic, partition, offset }])
    tell({ e: 'committed', at: `${topic}/${partition}/${offset}` })
  }
})

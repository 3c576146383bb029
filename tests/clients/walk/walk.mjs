// Reads logs from many of their offsets on; see walk.py. node walk.mjs CLIENT HOST:PORT WALKS
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'

const AT_ONCE = 6 // logs
const WAIT_MS = 20_000
const here = path.dirname(new URL(import.meta.url).pathname)
const packages = createRequire(path.join(here, '..', 'node', 'package.json'))
const pause = ms => new Promise(resolve => setTimeout(resolve, ms))

/** The first offsets, at most `count`, that the array holds in time. */
async function take (offsets, count) {
  const deadline = Date.now() + WAIT_MS
  while (offsets.length < count && Date.now() < deadline) await pause(1)
  return offsets.slice(0, count)
}

/** kafkajs reads in groups only: a group of one, sought to each start. */
class KafkaJS {
  async open (bootstrap, walk) {
    const { Kafka, logLevel } = packages('kafkajs')
    const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING, retry: { retries: 2 } })
    this.topic = walk.topic
    this.offsets = []
    this.consumer = kafka.consumer({
      groupId: `walk-${randomUUID()}`,
      readUncommitted: !walk.committed,
      maxBytesPerPartition: walk.max_bytes,
      maxWaitTimeInMs: 50
    })
    await this.consumer.connect()
    await this.consumer.subscribe({ topic: walk.topic, fromBeginning: true })
    const joined = new Promise(resolve => this.consumer.on(this.consumer.events.GROUP_JOIN, resolve))
    await this.consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch, isStale }) => {
        for (const { offset } of batch.messages) {
          if (isStale()) return
          this.offsets.push({ offset: Number(offset), start: this.start })
        }
      }
    })
    await joined
  }

  async read (start, count) {
    this.start = start
    this.offsets = []
    this.consumer.seek({ topic: this.topic, partition: 0, offset: String(start) })
    const got = await take(this.offsets, count)
    return got.map(one => one.offset)
  }

  async close () {
    await this.consumer.disconnect()
  }
}

class Platformatic {
  async open (bootstrap, walk) {
    const { Consumer } = packages('@platformatic/kafka')
    this.topic = walk.topic
    this.consumer = new Consumer({
      clientId: 'walk', bootstrapBrokers: [bootstrap], groupId: `walk-${randomUUID()}`, retries: 2,
      isolationLevel: walk.committed ? 1 : 0, maxBytes: walk.max_bytes, maxWaitTime: 50, autocommit: false
    })
  }

  async read (start, count) {
    const offsets = []
    const stream = await this.consumer.consume({
      topics: [this.topic], mode: 'manual', offsets: [{ topic: this.topic, partition: 0, offset: BigInt(start) }]
    })
    stream.on('data', message => offsets.push(Number(message.offset)))
    let failed
    stream.on('error', error => { failed = error })
    const got = await take(offsets, count)
    await stream.close()
    if (failed) throw failed
    return got
  }

  async close () {
    await this.consumer.close(true)
  }
}

/** Of several aborted transactions of a producer in one fetch it hides the last only. */
const isWrong = walk => walk.committed && client === 'platformatic-kafka'

const CLIENTS = { kafkajs: KafkaJS, 'platformatic-kafka': Platformatic }

async function go (reader, bootstrap, walk) {
  try {
    await reader.open(bootstrap, walk)
    for (const [start, ...due] of walk.reads) {
      const got = await reader.read(start, due.length)
      if (String(got) !== String(due)) return `from ${start} on it got [${got}], not [${due}]`
    }
  } catch (error) {
    return String(error.stack ?? error).replace(/\s+/g, ' ')
  } finally {
    await reader.close()
  }
}

const [client, bootstrap, walks] = process.argv.slice(2)
const left = JSON.parse(readFileSync(walks, 'utf8'))

async function goOn () {
  for (let walk; (walk = left.shift());) {
    if (isWrong(walk)) {
      console.log(`skip ${client} ${walk.log}: it shows aborted records, on Apache Kafka as well`)
      continue
    }
    const why = await go(new CLIENTS[client](), bootstrap, walk)
    console.log(why ? `not ok ${client} ${walk.log}: ${why}` : `ok ${client} ${walk.log}`)
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, goOn))
process.exit(0)

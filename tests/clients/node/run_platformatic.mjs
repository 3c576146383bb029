// The scenario through @platformatic/kafka.
import { randomUUID } from 'node:crypto'
import zlib from 'node:zlib'
import { Admin, Consumer, Producer } from '@platformatic/kafka'
import { Client, Fenced, main, waitFor, withCodes } from './common.mjs'

const TOPIC_RESOURCE = 2
const SET = 0
const FENCED = new Map([[47, 'INVALID_PRODUCER_EPOCH'], [90, 'PRODUCER_FENCED']])

function codeOf (error) {
  if (Number.isInteger(error.apiCode)) return error.apiCode
  for (const one of [...(error.errors ?? []), ...(error.cause ? [error.cause] : [])]) {
    const code = codeOf(one)
    if (code !== undefined) return code
  }
}

const asRecord = message => ({
  message,
  partition: message.partition,
  offset: Number(message.offset),
  key: message.key ?? null,
  value: message.value ?? null,
  timestampMs: Number(message.timestamp),
  headers: [...message.headers].map(([key, value]) => [String(key), String(value)])
})

class Member {
  records = []
  failed = null

  constructor (options, topic, from) {
    this.topic = topic
    this.from = from
    this.consumer = new Consumer({
      ...options, sessionTimeout: 6000, heartbeatInterval: 200, rebalanceTimeout: 10_000,
      maxWaitTime: 100, autocommit: false, retries: 3
    })
  }

  async open () {
    this.stream = await this.consumer.consume({ topics: [this.topic], ...this.from })
    this.stream.on('data', message => this.records.push(asRecord(message)))
    this.stream.on('error', error => { this.failed = error })
    return this
  }

  poll () {
    if (this.failed) throw this.failed
    return this.records.splice(0)
  }

  assignment () {
    const mine = (this.consumer.assignments ?? []).find(one => one.topic === this.topic)
    return new Set(mine?.partitions ?? [])
  }

  async commit (topic, partition, offset) {
    await this.consumer.commit({
      offsets: [{ topic, partition, offset: BigInt(offset), leaderEpoch: 0 }]
    })
  }

  async close () {
    await this.consumer.close(true)
  }
}

class Transactional {
  constructor (options, transactionalId) {
    // Without -1 it claims to be producer 0 of epoch 0, and cannot take over its own id.
    this.producer = new Producer({
      ...options, transactionalId, idempotent: true, acks: -1, producerId: -1n, producerEpoch: -1
    })
  }

  async call (what) {
    try {
      return await what()
    } catch (error) {
      const code = codeOf(error)
      if (!FENCED.has(code)) throw error
      throw new Fenced(`${error.code} ${FENCED.get(code)}: ${error.message}`)
    }
  }

  async begin () {
    this.transaction = await this.producer.beginTransaction()
  }

  async send (topic, keys) {
    const messages = keys.map(key => (
      { topic, partition: 0, key: Buffer.from(key), value: Buffer.from('v') }))
    await this.call(() => this.transaction.send({ messages }))
  }

  async sendOffsets (member, _group, _topic, record) {
    await this.call(() => this.transaction.addConsumer(member.consumer))
    await this.call(() => this.transaction.addOffset(record.message))
  }

  async commit () {
    await this.call(() => this.transaction.commit())
  }

  async abort () {
    await this.call(() => this.transaction.abort())
  }

  async close () {
    await this.producer.close()
  }
}

class Platformatic extends Client {
  wrongReads = 'done, but not read: of several aborted transactions of a producer in one fetch, ' +
    'it hides the last only, on Apache Kafka as well'
  missingCodec = '@platformatic/kafka takes it from the runtime, and this Node has none'

  constructor (bootstrap, prefix) {
    super('platformatic-kafka', bootstrap, prefix)
    if (zlib.zstdCompressSync) this.codecs.push('zstd')
    this.options = { clientId: prefix, bootstrapBrokers: [bootstrap], retries: 3 }
    this.admin = new Admin({ ...this.options, metadataMaxAge: 1 })
    this.reader = new Consumer({ ...this.options, groupId: `${prefix}.reader` })
  }

  async close () {
    await this.reader.close(true)
    await this.admin.close()
  }

  async createTopic (topic, partitions, config) {
    const configs = Object.entries(config).map(([name, value]) => ({ name, value }))
    await withCodes(codeOf,
      () => this.admin.createTopics({ topics: [topic], partitions, replicas: 1, configs }))
  }

  async deleteTopic (topic) {
    await withCodes(codeOf, () => this.admin.deleteTopics({ topics: [topic] }))
  }

  listTopics () {
    return this.admin.listTopics()
  }

  async countPartitions (topic) {
    const { topics } = await this.admin.metadata({ topics: [topic], forceUpdate: true })
    return topics.get(topic).partitions.length
  }

  async getConfig (topic, key) {
    const [{ configs }] = await this.admin.describeConfigs({
      resources: [{ resourceType: TOPIC_RESOURCE, resourceName: topic, configurationKeys: [key] }]
    })
    return configs[0].value
  }

  async setConfig (topic, name, value) {
    await withCodes(codeOf, () => this.admin.incrementalAlterConfigs({
      resources: [{
        resourceType: TOPIC_RESOURCE,
        resourceName: topic,
        configs: [{ name, value, configOperation: SET }]
      }]
    }))
  }

  async addPartitions (name, count) {
    await withCodes(codeOf, () => this.admin.createPartitions({
      topics: [{ name, count, assignments: null }]
    }))
  }

  async produce (topic, records, compression, acks, idempotent) {
    const producer = new Producer({ ...this.options, autocreateTopics: true })
    const messages = records.map(({ key, value, headers, partition, timestampMs }) => ({
      topic,
      partition,
      key: key ?? undefined,
      value: value ?? undefined,
      headers: new Map(headers.map(([name, text]) => [Buffer.from(name), Buffer.from(text)])),
      ...(timestampMs ? { timestamp: BigInt(timestampMs) } : {})
    }))
    try {
      await withCodes(codeOf, () => producer.send({
        messages, compression, acks, idempotent: idempotent || undefined
      }))
    } finally {
      await producer.close()
    }
  }

  async listed (topic, partition, timestamp) {
    const found = await this.reader.listOffsetsWithTimestamps({
      topics: [topic], partitions: { [topic]: [partition] }, timestamp: BigInt(timestamp)
    })
    return Number(found.get(topic).get(partition).offset)
  }

  async offsets (topic, partition) {
    return [await this.listed(topic, partition, -2), await this.listed(topic, partition, -1)]
  }

  offsetAt (topic, partition, timeMs) {
    return this.listed(topic, partition, timeMs)
  }

  async read (topic, partition, start, count, more) {
    const from = { mode: 'manual', offsets: [{ topic, partition, offset: BigInt(start) }] }
    const others = await this.countPartitions(topic)
    for (let other = 0; other < others; other++) {
      if (other !== partition) from.offsets.push({ topic, partition: other, offset: 0n })
    }
    const options = { ...this.options, ...more, groupId: `reader-${randomUUID()}` }
    const member = await new Member(options, topic, from).open()
    try {
      const records = []
      await waitFor(() => {
        records.push(...member.poll().filter(one => one.partition === partition))
        return records.length >= count
      }, `${count} records`)
      return records.slice(0, count)
    } finally {
      await member.close()
    }
  }

  readIsolated (topic, count, committed) {
    return this.read(topic, 0, 0, count, { isolationLevel: committed ? 1 : 0 })
  }

  async transactions (id) {
    return new Transactional(this.options, id)
  }

  member (groupId, topic) {
    const from = { mode: 'committed', fallbackMode: 'earliest' }
    return new Member({ ...this.options, groupId }, topic, from).open()
  }

  async listGroups () {
    return [...(await this.admin.listGroups()).keys()]
  }

  async groupState (group) {
    return (await this.admin.describeGroups({ groups: [group] })).get(group).state
  }

  async groupOffset (group, topic, partition) {
    const [{ topics }] = await this.admin.listConsumerGroupOffsets({ groups: [group] })
    const found = topics.find(one => one.name === topic)?.partitions
      .find(one => one.partitionIndex === partition)
    return Number(found?.committedOffset ?? -1)
  }

  async deleteGroup (group) {
    await withCodes(codeOf, () => this.admin.deleteGroups({ groups: [group] }))
  }

  async deleteRecords (name, partition, before) {
    await this.admin.deleteRecords({
      topics: [{ name, partitions: [{ partition, offset: BigInt(before) }] }]
    })
  }
}

await main(Platformatic)

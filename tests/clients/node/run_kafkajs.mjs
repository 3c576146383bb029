// The scenario through kafkajs. It has gzip of its own; the other codecs are plugged in, as its
// users do.
import { randomUUID } from 'node:crypto'
import zlib from 'node:zlib'
import {
  lz4Compress, lz4Decompress, snappyCompress, snappyDecompress
} from '@platformatic/wasm-utils'
import kafkajs from 'kafkajs'
import { Client, Fenced, ServerError, main, waitFor, withCodes } from './common.mjs'

const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = kafkajs

CompressionCodecs[CompressionTypes.Snappy] = () => ({
  compress: async ({ buffer }) => snappyCompress(buffer),
  decompress: async buffer => snappyDecompress(buffer)
})
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async ({ buffer }) => lz4Compress(buffer),
  decompress: async buffer => lz4Decompress(buffer)
})
if (zlib.zstdCompressSync) {
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: async ({ buffer }) => zlib.zstdCompressSync(buffer),
    decompress: async buffer => zlib.zstdDecompressSync(buffer)
  })
}
const TYPES = {
  none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD
}

function codeOf (error) {
  for (const one of [error, ...(error.errors ?? [])]) {
    if (Number.isInteger(one.code)) return one.code
  }
  return error.cause ? codeOf(error.cause) : undefined
}

const asRecord = (partition, message) => ({
  partition,
  offset: Number(message.offset),
  key: message.key,
  value: message.value,
  timestampMs: Number(message.timestamp),
  headers: Object.entries(message.headers ?? {}).map(([key, value]) => [key, String(value)])
})

class Member {
  records = []
  owned = new Set()

  constructor (kafka, group, options = {}) {
    this.consumer = kafka.consumer({
      ...options,
      groupId: group, sessionTimeout: 6000, heartbeatInterval: 200, maxWaitTimeInMs: 100,
      rebalanceTimeout: 10_000
    })
  }

  async open (topic) {
    const { GROUP_JOIN, REBALANCING } = this.consumer.events
    this.consumer.on(GROUP_JOIN, ({ payload }) => {
      this.owned = new Set(payload.memberAssignment[topic] ?? [])
    })
    this.consumer.on(REBALANCING, () => { this.owned = new Set() })
    await this.consumer.connect()
    await this.consumer.subscribe({ topic, fromBeginning: true })
    await this.consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        this.records.push(asRecord(partition, message))
      }
    })
    return this
  }

  poll () {
    return this.records.splice(0)
  }

  assignment () {
    return this.owned
  }

  async commit (topic, partition, offset) {
    await this.consumer.commitOffsets([{ topic, partition, offset: String(offset) }])
  }

  async close () {
    await this.consumer.disconnect()
  }
}

class Transactional {
  constructor (kafka, transactionalId) {
    this.producer = kafka.producer({ transactionalId, maxInFlightRequests: 1, idempotent: true })
  }

  async open () {
    await this.producer.connect()
    return this
  }

  /** kafkajs has PRODUCER_FENCED from Produce only; EndTxn of its version says the other. */
  async call (what) {
    try {
      return await what()
    } catch (error) {
      const type = error.type ?? error.cause?.type
      if (!['PRODUCER_FENCED', 'INVALID_PRODUCER_EPOCH'].includes(type)) throw error
      throw new Fenced(`${error.name} ${type}: ${error.message}`)
    }
  }

  async begin () {
    this.transaction = await this.producer.transaction()
  }

  async send (topic, keys) {
    await this.call(() => this.transaction.send({
      topic, messages: keys.map(key => ({ key, value: 'v', partition: 0 }))
    }))
  }

  async sendOffsets (_, consumerGroupId, topic, record) {
    const partitions = [{ partition: record.partition, offset: String(record.offset + 1) }]
    await this.call(() => this.transaction.sendOffsets({
      consumerGroupId, topics: [{ topic, partitions }]
    }))
  }

  async commit () {
    await this.call(() => this.transaction.commit())
  }

  async abort () {
    await this.call(() => this.transaction.abort())
  }

  async close () {
    await this.producer.disconnect()
  }
}

class KafkaJS extends Client {
  missingCodec = 'kafkajs takes it from the runtime, and this Node has none'

  constructor (bootstrap, prefix) {
    super('kafkajs', bootstrap, prefix)
    if (zlib.zstdCompressSync) this.codecs.push('zstd')
    this.kafka = new Kafka({
      clientId: prefix, brokers: [bootstrap], logLevel: logLevel.NOTHING, retry: { retries: 3 }
    })
    this.admin = this.kafka.admin()
  }

  async open () {
    await this.admin.connect()
  }

  async close () {
    await this.admin.disconnect()
  }

  async createTopic (topic, numPartitions, config) {
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
    const created = await withCodes(codeOf, () => this.admin.createTopics({
      topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }]
    }))
    if (!created) throw new ServerError(36, 'kafkajs tells an existing topic by false')
  }

  async deleteTopic (topic) {
    await withCodes(codeOf, () => this.admin.deleteTopics({ topics: [topic] }))
  }

  listTopics () {
    return this.admin.listTopics()
  }

  async countPartitions (topic) {
    const { topics } = await this.admin.fetchTopicMetadata({ topics: [topic] })
    return topics[0].partitions.length
  }

  async getConfig (topic, key) {
    const { resources } = await this.admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configNames: [key] }]
    })
    return resources[0].configEntries[0].configValue
  }

  async setConfig (topic, name, value) {
    await withCodes(codeOf, () => this.admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name, value }] }]
    }))
  }

  async addPartitions (topic, count) {
    await withCodes(codeOf, () => this.admin.createPartitions({ topicPartitions: [{ topic, count }] }))
  }

  async produce (topic, records, codec, acks, idempotent) {
    const producer = this.kafka.producer({ idempotent, maxInFlightRequests: idempotent ? 1 : null })
    await producer.connect()
    try {
      await withCodes(codeOf, () => producer.send({
        topic,
        acks,
        compression: TYPES[codec],
        messages: records.map(({ key, value, headers, partition, timestampMs }) => ({
          key,
          value,
          partition,
          headers: Object.fromEntries(headers),
          ...(timestampMs ? { timestamp: String(timestampMs) } : {})
        }))
      }))
    } finally {
      await producer.disconnect()
    }
  }

  async offsets (topic, partition) {
    const all = await this.admin.fetchTopicOffsets(topic)
    const { low, high } = all.find(one => one.partition === partition)
    return [Number(low), Number(high)]
  }

  async offsetAt (topic, partition, timeMs) {
    const all = await this.admin.fetchTopicOffsetsByTimestamp(topic, timeMs)
    return Number(all.find(one => one.partition === partition).offset)
  }

  /** kafkajs reads in groups only: a group of one, sought to the start. */
  async read (topic, partition, start, count, options) {
    const member = await new Member(this.kafka, `reader-${randomUUID()}`, options).open(topic)
    try {
      member.consumer.seek({ topic, partition, offset: String(start) })
      const records = []
      await waitFor(() => {
        records.push(...member.poll().filter(one =>
          one.partition === partition && one.offset >= start + records.length))
        return records.length >= count
      }, `${count} records`)
      return records.slice(0, count)
    } finally {
      await member.close()
    }
  }

  readIsolated (topic, count, committed) {
    return this.read(topic, 0, 0, count, { readUncommitted: !committed })
  }

  transactions (id) {
    return new Transactional(this.kafka, id).open()
  }

  member (group, topic) {
    return new Member(this.kafka, group).open(topic)
  }

  async listGroups () {
    return (await this.admin.listGroups()).groups.map(group => group.groupId)
  }

  async groupState (group) {
    return (await this.admin.describeGroups([group])).groups[0].state
  }

  async groupOffset (groupId, topic, partition) {
    const [{ partitions }] = await this.admin.fetchOffsets({ groupId, topics: [topic] })
    return Number(partitions.find(one => one.partition === partition).offset)
  }

  async deleteGroup (group) {
    await withCodes(codeOf, () => this.admin.deleteGroups([group]))
  }

  async deleteRecords (topic, partition, before) {
    await this.admin.fetchTopicOffsets(topic) // it only deletes where it has looked before
    await this.admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(before) }] })
  }
}

await main(KafkaJS)

// What the Node runners share: the ops of the scenario in terms of a few things a client does.
// The same ops as python/common.py; ../README.md describes them.
import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'

export const WAIT_MS = 30_000

export class Skip extends Error {}

/** The server's error code as the client's library handed it out. */
export class ServerError extends Error {
  constructor (code, text = '') {
    super(`error ${code} ${text}`)
    this.code = code
  }
}

/** A newer producer has the transactional id, as the client's library says it. */
export class Fenced extends Error {}

export const pause = ms => new Promise(resolve => setTimeout(resolve, ms))

export function check (fact, text) {
  if (!fact) throw new Error(text)
}

export async function waitFor (condition, what) {
  const deadline = Date.now() + WAIT_MS
  while (!(await condition())) {
    check(Date.now() < deadline, `waited ${WAIT_MS} ms for ${what}`)
    await pause(20)
  }
}

/** Runs call; an error that carries a server's code (found by codeOf) becomes a ServerError. */
export async function withCodes (codeOf, call) {
  try {
    return await call()
  } catch (error) {
    const code = codeOf(error)
    if (code === undefined) throw error
    throw new ServerError(code, error.message)
  }
}

const fill = (text, size) =>
  Buffer.from(text.repeat(Math.floor(size / text.length) + 1).slice(0, size))

function recordsOf (step) {
  const records = []
  for (let index = 0; index < step.count; index++) {
    const text = `${step.step}-${index} `
    records.push({
      key: step.keyed === false ? null : Buffer.from(text.trim()),
      value: step.value_bytes === null ? null : fill(text, step.value_bytes),
      headers: (step.headers ?? []).map(([key, value]) => [key, value]),
      partition: step.partition
    })
  }
  return records
}

const same = (one, other) =>
  one === null || other === null ? one === other : Buffer.compare(one, other) === 0

/** A runner extends this with its library's calls; one left out skips the steps that need it. */
export class Client {
  codecs = ['none', 'gzip', 'snappy', 'lz4']
  missingCodec = 'not in this library'

  constructor (name, bootstrap, prefix) {
    Object.assign(this, { name, bootstrap, prefix })
  }

  topic (name) {
    return `${this.prefix}.${name}`
  }

  need (...calls) {
    for (const call of calls) {
      if (!this[call]) throw new Skip(`${this.name} has no ${call}`)
    }
  }

  async create_topics (step) {
    for (const { topic, partitions, config } of step.topics) {
      await this.createTopic(this.topic(topic), partitions, config)
    }
  }

  async list_topics (step) {
    await waitFor(async () => {
      const names = await this.listTopics()
      return step.contains.every(name => names.includes(this.topic(name)))
    }, 'the topics to be listed')
  }

  async describe_topic (step) {
    const partitions = await this.countPartitions(this.topic(step.topic))
    check(partitions === step.partitions, `${partitions} partitions`)
  }

  async describe_config (step) {
    this.need('getConfig')
    const value = await this.getConfig(this.topic(step.topic), step.key)
    check(value === step.value, `${step.key} is ${value}`)
  }

  async alter_config (step) {
    this.need('setConfig')
    await this.setConfig(this.topic(step.topic), step.key, step.value)
    await waitFor(
      async () => (await this.getConfig(this.topic(step.topic), step.key)) === step.value,
      'the setting to change')
  }

  async round_trip (step) {
    for (const codec of [step.codec, step.stored_codec ?? 'none']) {
      if (!this.codecs.includes(codec)) throw new Skip(`${codec}: ${this.missingCodec}`)
    }
    const topic = this.topic(step.topic)
    const start = step.fresh ? 0 : (await this.offsets(topic, step.partition))[1]
    const sent = recordsOf(step)
    await this.produce(topic, sent, step.codec, step.acks ?? -1, step.idempotent ?? false)
    const got = await this.read(topic, step.partition, start, sent.length)
    check(got.length === sent.length, `sent ${sent.length}, read ${got.length}`)
    sent.forEach((one, index) => {
      const other = got[index]
      check(other.offset === start + index, `offset ${other.offset}, not ${start + index}`)
      check(same(other.key, one.key), `key ${other.key} at ${index}`)
      check(same(other.value, one.value), `the value differs at ${index}`)
      check(isDeepStrictEqual(other.headers, one.headers),
        `headers ${JSON.stringify(other.headers)}`)
    })
  }

  async produce_error (step) {
    const record = {
      key: Buffer.from('key'), value: fill('too large ', step.value_bytes), headers: [],
      partition: step.partition
    }
    await this.dueError(step, () => this.produce(this.topic(step.topic), [record], 'none', -1, false))
  }

  async seek_time (step) {
    const topic = this.topic(step.topic)
    const records = Array.from({ length: step.count }, (_, index) => ({
      key: Buffer.from(String(index)), value: Buffer.from('at'), headers: [], partition: 0,
      timestampMs: step.start_ms + index * step.every_ms
    }))
    await this.produce(topic, records, 'none', -1, false)
    const offset = await this.offsetAt(topic, 0, step.at_ms)
    check(offset === step.offset, `offset ${offset}`)
    const [first] = await this.read(topic, 0, offset, 1)
    check(first.timestampMs === records[offset].timestampMs, `time ${first.timestampMs}`)
    const after = await this.offsetAt(topic, 0, step.after_ms)
    check([-1, step.count].includes(after), `offset ${after} for a time to come`)
  }

  async watermarks (step) {
    const got = await this.offsets(this.topic(step.topic), step.partition)
    check(isDeepStrictEqual(got, [step.earliest, step.latest]), `${got}`)
  }

  async withMembers (opens, use) {
    const member = await opens()
    try {
      return await use(member)
    } finally {
      await member.close()
    }
  }

  async commit_resume (step) {
    const topic = this.topic(step.topic)
    const opens = () => this.member(this.topic(step.group), topic)
    const offsets = []
    for (const [count, commit] of [[step.take, step.take], [step.total - step.take, step.total]]) {
      await this.withMembers(opens, async member => {
        const got = []
        await waitFor(() => got.push(...member.poll()) && got.length >= count, `${count} records`)
        offsets.push(...got.slice(0, count).map(record => record.offset))
        await member.commit(topic, 0, commit)
      })
    }
    check(offsets.every((offset, index) => offset === index), `read ${offsets}`)
  }

  async rebalance (step) {
    const topic = this.topic(step.topic)
    const seen = new Set()
    let members = []
    const look = () => {
      for (const member of members) {
        for (const record of member.poll()) seen.add(`${record.partition}/${record.offset}`)
      }
    }
    const own = (...counts) => waitFor(() => {
      look()
      return members.every((member, index) => member.assignment().size === counts[index])
    }, `the members to own ${counts}`)
    const produceAndSee = async round => {
      const each = step.records / step.partitions
      for (let partition = 0; partition < step.partitions; partition++) {
        const record = { key: Buffer.from('k'), value: Buffer.from('v'), headers: [], partition }
        await this.produce(topic, Array(each).fill(record), 'none', -1, false)
      }
      await waitFor(() => look() ?? seen.size >= round * step.records, 'all the records')
    }
    const opens = () => this.member(this.topic(step.group), topic)
    await this.withMembers(opens, async stays => {
      members = [stays]
      await own(step.partitions)
      await this.withMembers(opens, async leaves => {
        members = [stays, leaves]
        await own(step.partitions / 2, step.partitions / 2)
        const both = [...stays.assignment()].filter(one => leaves.assignment().has(one))
        check(both.length === 0, `both own ${both}`)
        await produceAndSee(1)
      })
      members = [stays]
      await own(step.partitions)
      await produceAndSee(2)
    })
    check(seen.size === 2 * step.records, `${seen.size} records`)
  }

  // Transactions. transactions(id) opens a producer that can begin(), send(topic, keys),
  // sendOffsets(member, group, topic, record), commit(), abort() and close(), and throws Fenced.

  /** A reader of that isolation level sees these keys, in this order. */
  async checkSeen (topic, committed, keys) {
    const got = (await this.readIsolated(topic, keys.length, committed)).map(({ key }) => `${key}`)
    const level = committed ? 'read_committed' : 'read_uncommitted'
    check(isDeepStrictEqual(got, keys), `${level} sees ${got}, not ${keys}`)
  }

  async end (producer, commit) {
    await (commit ? producer.commit() : producer.abort())
  }

  async transaction (step) {
    const topic = this.topic(step.topic)
    const [all, committed] = [[], []]
    const opens = () => this.transactions(this.topic(step.step))
    await this.withMembers(opens, async producer => {
      for (const [number, { count, commit }] of step.transactions.entries()) {
        const keys = Array.from({ length: count }, (_, index) => `${number}-${index}`)
        await producer.begin()
        await producer.send(topic, keys)
        all.push(...keys)
        if (number === step.transactions.length - 1) await this.checkSeen(topic, false, all)
        await this.end(producer, commit)
        if (commit) committed.push(...keys)
      }
    })
    await this.checkSeen(topic, true, committed)
    await this.checkSeen(topic, false, all)
  }

  async transaction_fence (step) {
    const topic = this.topic(step.topic)
    const keys = who => Array.from({ length: step.count }, (_, index) => `${who}-${index}`)
    const opens = () => this.transactions(this.topic(step.step))
    await this.withMembers(opens, async first => {
      await first.begin()
      await first.send(topic, keys('old'))
      await this.withMembers(opens, async second => {
        await second.begin()
        await this.dueFence(() => first.commit())
        await second.send(topic, keys('new'))
        await second.commit()
      })
    })
    await this.checkSeen(topic, false, [...keys('old'), ...keys('new')])
    await this.checkSeen(topic, true, keys('new'))
  }

  async dueFence (call) {
    try {
      await call()
    } catch (error) {
      if (!(error instanceof Fenced)) throw error
      console.error('fenced:', error.message)
      return
    }
    check(false, 'the fenced producer could commit')
  }

  /** One consume-transform-produce: the group's next records go out, and its offset. */
  async transform (step, start, count, commit) {
    const [topic, group] = [this.topic(step.topic), this.topic(step.group)]
    await this.withMembers(() => this.member(group, topic), async member => {
      const got = []
      await waitFor(() => got.push(...member.poll()) && got.length >= count, 'the records')
      check(got[0].offset === start, `resumed at ${got[0].offset}, not ${start}`)
      const taken = got.slice(0, count)
      await this.withMembers(() => this.transactions(this.topic(step.step)), async producer => {
        await producer.begin()
        await producer.send(this.topic(step.into), taken.map(({ key }) => `${key}`))
        await producer.sendOffsets(member, group, topic, taken[count - 1])
        await this.end(producer, commit)
      })
    })
  }

  async transaction_offsets (step) {
    const [topic, group] = [this.topic(step.topic), this.topic(step.group)]
    const keys = Array.from({ length: step.total }, (_, index) => `in-${index}`)
    const [all, committed] = [[], []]
    let position = 0
    await this.produce(topic, keys.map(key => (
      { key: Buffer.from(key), value: Buffer.from('v'), headers: [], partition: 0 })), 'none', -1, false)
    for (const { count, commit } of step.transactions) {
      await this.transform(step, position, count, commit)
      const taken = keys.slice(position, position + count)
      all.push(...taken)
      if (commit) {
        committed.push(...taken)
        position += count
        await waitFor(async () => (await this.groupOffset(group, topic, 0)) === position,
          `the group's offset to be ${position}`)
      }
    }
    await this.checkSeen(this.topic(step.into), false, all)
    if (this.wrongReads) throw new Skip(this.wrongReads)
    await this.checkSeen(this.topic(step.into), true, committed)
  }

  async list_groups (step) {
    const groups = await this.listGroups()
    const missing = step.contains.filter(name => !groups.includes(this.topic(name)))
    check(missing.length === 0, `not listed: ${missing}`)
  }

  async describe_group (step) {
    const group = this.topic(step.group)
    await waitFor(async () => {
      const state = await this.groupState(group)
      return state.toLowerCase() === step.state.toLowerCase()
    }, `the group to be ${step.state}`)
  }

  async group_offsets (step) {
    const offset = await this.groupOffset(this.topic(step.group), this.topic(step.topic),
      step.partition)
    check(offset === step.offset, `offset ${offset}`)
  }

  async delete_group (step) {
    const group = this.topic(step.group)
    await this.deleteGroup(group)
    check(!(await this.listGroups()).includes(group), 'still listed')
  }

  async create_partitions (step) {
    const topic = this.topic(step.topic)
    await this.addPartitions(topic, step.partitions)
    await waitFor(async () => (await this.countPartitions(topic)) === step.partitions,
      'more partitions')
  }

  async delete_records (step) {
    this.need('deleteRecords')
    const topic = this.topic(step.topic)
    await this.deleteRecords(topic, step.partition, step.before)
    const [earliest] = await this.offsets(topic, step.partition)
    check(earliest === step.before, `earliest is ${earliest}`)
  }

  async dueError (step, call) {
    try {
      await call()
    } catch (error) {
      if (!(error instanceof ServerError)) throw error
      check(error.code === step.error, `${error.message}, but ${step.error_name} was due`)
      return
    }
    check(false, `taken, but ${step.error_name} was due`)
  }

  async create_error (step) {
    await this.dueError(step,
      () => this.createTopic(this.topic(step.topic), step.partitions, step.config))
  }

  async delete_error (step) {
    await this.dueError(step, () => this.deleteTopic(this.topic(step.topic)))
  }

  async delete_topic (step) {
    const topic = this.topic(step.topic)
    await this.deleteTopic(topic)
    await waitFor(async () => !(await this.listTopics()).includes(topic), 'the topic to go')
  }
}

function report (word, client, step, why = '') {
  const text = String(why).replace(/\s+/g, ' ').slice(0, 300)
  console.log(`${word} ${client} ${step}${text ? ': ' + text : ''}`)
}

/** node RUNNER SCENARIO BOOTSTRAP PREFIX [STEP ...]: runs the scenario, one line a step. */
export async function main (ClientClass) {
  const [scenario, bootstrap, prefix, ...only] = process.argv.slice(2)
  const { steps } = JSON.parse(readFileSync(scenario, 'utf8'))
  const client = new ClientClass(bootstrap, prefix)
  await client.open?.()
  for (const step of steps) {
    if (only.length && !only.includes(step.step)) continue
    const began = Date.now()
    try {
      if (!client[step.op]) throw new Skip(`no op ${step.op}`)
      await client[step.op](step)
      console.error(`${step.step} ${(Date.now() - began) / 1000} s`)
      report('ok', client.name, step.step)
    } catch (error) {
      if (!(error instanceof Skip)) console.error(step.step, error)
      report(error instanceof Skip ? 'skip' : 'not ok', client.name, step.step, error.message)
    }
  }
  await client.close?.()
  process.exit(0)
}

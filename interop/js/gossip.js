// Gossipsub with the library's defaults, and what was received on each topic.

import { createHash } from 'node:crypto'
import { gossipsub } from '@libp2p/gossipsub'
import { emit } from './lines.js'
import { Noise } from './noise.js'

const POLICIES = { 'strict-sign': 'StrictSign', 'strict-no-sign': 'StrictNoSign' }

export function newGossipsub (options) {
  const globalSignaturePolicy = POLICIES[options.pubsub]
  if (globalSignaturePolicy == null) throw new Error(`unknown --pubsub ${options.pubsub}`)
  if (options['pubsub-queue'] != null) {
    throw new Error('js-libp2p limits queues in bytes; it has no --pubsub-queue')
  }
  const settings = { globalSignaturePolicy }
  if (globalSignaturePolicy === 'StrictNoSign') settings.msgIdFn = ({ data }) => sha256(data)
  return gossipsub(settings)
}

// Unix time in nanoseconds, as a number: exact to a quarter of a microsecond until 2255.
function now () {
  return Math.round((performance.timeOrigin + performance.now()) * 1e6)
}

function sha256 (data) {
  return createHash('sha256').update(data).digest()
}

export class Gossip {
  #pubsub
  #rooms = new Map()

  constructor (pubsub) {
    this.#pubsub = pubsub
    pubsub.addEventListener('message', ({ detail }) => this.#onMessage(detail))
  }

  subscribe (topic, quiet) {
    this.#rooms.set(topic, { quiet, count: 0, first_ns: 0, last_ns: 0 })
    this.#pubsub.subscribe(topic)
    return {}
  }

  #onMessage ({ topic, data, from }) {
    const room = this.#rooms.get(topic)
    if (room == null) return
    room.last_ns = now()
    if (room.count === 0) room.first_ns = room.last_ns
    room.count++
    if (room.quiet) return
    emit({
      event: 'message',
      topic,
      from: from?.toString() ?? null,
      size: data.byteLength,
      sha256: sha256(data).toString('hex')
    })
  }

  async publish (topic, size, seed) {
    const data = new Noise(seed, size).read(Math.ceil(size / 8) * 8)
    await this.#pubsub.publish(topic, data)
    return { sha256: sha256(data).toString('hex') }
  }

  async flood (topic, count, size, seed) {
    const start = now()
    for (let i = 0; i < count; i++) await this.publish(topic, size, seed + i)
    return { count, start_ns: start, end_ns: now() }
  }

  received (topic) {
    const room = this.#rooms.get(topic)
    if (room == null) throw new Error(`not subscribed to ${topic}`)
    const { count, first_ns, last_ns } = room
    return { count, first_ns, last_ns }
  }

  topicPeers (topic) {
    return {
      peers: this.#pubsub.getSubscribers(topic).map((id) => id.toString()),
      mesh: this.#pubsub.getMeshPeers(topic)
    }
  }
}

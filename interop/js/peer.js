// The contract's peer: a stock node and the commands that drive it.

import { readFileSync } from 'node:fs'
import { noise } from '@chainsafe/libp2p-noise'
import { identify, identifyPush } from '@libp2p/identify'
import { mplex } from '@libp2p/mplex'
import { peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { Gossip, newGossipsub } from './gossip.js'
import { newKey } from './keys.js'
import { emit } from './lines.js'
import { ECHO, SINK, echo, serveEcho, serveSink } from './streams.js'

const TRANSPORTS = { tcp, ws: webSockets }
const SECURE_CHANNELS = { noise, tls }
const MUXERS = { yamux, mplex }

const DIAL_TIMEOUT_MS = 15_000
const IDENTIFY_TIMEOUT_MS = 10_000
const PING_TIMEOUT_MS = 10_000

const { version } = JSON.parse(
  readFileSync(new URL('./node_modules/libp2p/package.json', import.meta.url)))
const IMPLEMENTATION = `js-libp2p v${version}`

function choose (table, option, name) {
  if (!Object.hasOwn(table, name)) throw new Error(`js-libp2p has no --${option} ${name} here`)
  return table[name]()
}

export async function startPeer (options) {
  const node = await createLibp2p({
    privateKey: await newKey(options.key, options.seed),
    nodeInfo: { userAgent: IMPLEMENTATION },
    addresses: { listen: options.listen == null ? [] : [options.listen] },
    transports: [choose(TRANSPORTS, 'transport', options.transport)],
    connectionEncrypters: [choose(SECURE_CHANNELS, 'secure', options.secure)],
    streamMuxers: [choose(MUXERS, 'muxer', options.muxer)],
    // The default admits five connections a second from one host, and here all come from one.
    connectionManager: { inboundConnectionThreshold: 1000 },
    services: {
      identify: identify(),
      identifyPush: identifyPush(),
      ping: ping(),
      pubsub: newGossipsub(options)
    },
    start: false
  })
  const peer = new Peer(node)
  await node.handle(ECHO, serveEcho)
  await node.handle(SINK, serveSink)
  await node.start()
  return peer
}

class Peer {
  #node
  #gossip
  #identified = new Map()

  constructor (node) {
    this.#node = node
    this.#gossip = new Gossip(node.services.pubsub)
    node.addEventListener('connection:open', ({ detail: connection }) => emit({
      event: 'connected',
      peer_id: connection.remotePeer.toString(),
      addr: connection.remoteAddr.toString().replace(/\/p2p\/[^/]*$/, ''),
      direction: connection.direction
    }))
    node.addEventListener('connection:close', ({ detail: connection }) => emit({
      event: 'disconnected', peer_id: connection.remotePeer.toString()
    }))
    node.addEventListener('peer:disconnect', ({ detail: id }) => {
      this.#identified.delete(id.toString())
    })
    node.addEventListener('peer:identify', ({ detail: result }) => {
      this.#identified.set(result.peerId.toString(), result)
    })
  }

  ready () {
    return {
      event: 'ready',
      peer_id: this.#node.peerId.toString(),
      addrs: this.#node.getMultiaddrs().map((addr) => addr.toString()),
      implementation: IMPLEMENTATION
    }
  }

  handle (command) {
    const { cmd, topic, count, size, seed = 0, quiet = false } = command
    switch (cmd) {
      case 'dial': return this.#dial(command.addr)
      case 'ping': return this.#ping(this.#connection(command), count)
      case 'identify': return this.#identify(this.#connection(command))
      case 'echo': return echo(this.#connection(command), size, seed)
      case 'close': return this.#close(this.#connection(command))
      case 'subscribe': return this.#gossip.subscribe(topic, quiet)
      case 'publish': return this.#gossip.publish(topic, size, seed)
      case 'flood': return this.#gossip.flood(topic, count, size, seed)
      case 'received': return this.#gossip.received(topic)
      case 'topic_peers': return this.#gossip.topicPeers(topic)
      case 'rss': return { rss_bytes: process.memoryUsage.rss() }
      case 'cpu': {
        const { user, system } = process.cpuUsage()
        return { cpu_seconds: (user + system) / 1e6 }
      }
      default: throw new Error(`unknown command ${cmd}`)
    }
  }

  #connection ({ peer_id: id }) {
    const [connection] = this.#node.getConnections(peerIdFromString(id))
    if (connection == null) throw new Error(`not connected to ${id}`)
    return connection
  }

  async #dial (addr) {
    const start = performance.now()
    const signal = AbortSignal.timeout(DIAL_TIMEOUT_MS)
    const connection = await this.#node.dial(multiaddr(addr), { signal })
    return {
      peer_id: connection.remotePeer.toString(),
      handshake_ms: performance.now() - start
    }
  }

  async #ping (connection, count) {
    const rtts = []
    for (let i = 0; i < count; i++) {
      const signal = AbortSignal.timeout(PING_TIMEOUT_MS)
      rtts.push(await this.#node.services.ping.ping(connection.remotePeer, { signal }))
    }
    return { rtt_ms: rtts }
  }

  // Answers with what the remote said, waiting for a round that is still under way.
  async #identify (connection) {
    const id = connection.remotePeer.toString()
    const deadline = performance.now() + IDENTIFY_TIMEOUT_MS
    while (!this.#identified.has(id)) {
      if (performance.now() > deadline) throw new Error(`no identify from ${id}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    const said = this.#identified.get(id)
    return {
      agent_version: said.agentVersion ?? null,
      protocol_version: said.protocolVersion ?? null,
      protocols: said.protocols,
      listen_addrs: said.listenAddrs.map((addr) => addr.toString()),
      observed_addr: said.observedAddr?.toString() ?? null,
      signed_peer_record: said.signedPeerRecord != null
    }
  }

  async #close (connection) {
    await this.#node.hangUp(connection.remotePeer)
    return {}
  }
}

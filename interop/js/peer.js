// The contract's peer: a stock node and the commands that drive it, on Node.js or in a browser.

import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { PERF, perf, servePerf } from './perf.js'
import { ECHO, SINK, echo, serveEcho, serveSink } from './streams.js'

const DIAL_TIMEOUT_MS = 15_000
const IDENTIFY_TIMEOUT_MS = 10_000
const PING_TIMEOUT_MS = 10_000

// A ping's stream may still be closing when the next one opens, and the default is one.
export const PING_STREAMS = { maxInboundStreams: 8, maxOutboundStreams: 8 }

// Serves the contract's protocols, and starts to listen once they are there.
export async function startNode (node) {
  await node.handle(ECHO, serveEcho)
  await node.handle(SINK, serveSink)
  await node.handle(PERF, servePerf)
  await node.start()
}

export class Peer {
  #node
  #implementation
  #gossip
  #usage
  #identified = new Map()

  // emit takes the events; gossip and usage may be missing, and their commands with them.
  constructor (node, implementation, emit, { gossip, usage } = {}) {
    this.#node = node
    this.#implementation = implementation
    this.#gossip = gossip
    this.#usage = usage
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
      implementation: this.#implementation
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
    }
    if (this.#gossip != null) {
      switch (cmd) {
        case 'subscribe': return this.#gossip.subscribe(topic, quiet)
        case 'publish': return this.#gossip.publish(topic, size, seed)
        case 'flood': return this.#gossip.flood(topic, count, size, seed)
        case 'received': return this.#gossip.received(topic)
        case 'topic_peers': return this.#gossip.topicPeers(topic)
      }
    }
    const used = this.#usage?.(cmd)
    if (used == null) throw new Error(`unknown command ${cmd}`)
    return used
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
    for (let i = 0; i < count; i++) rtts.push(await this.#pingOnce(connection))
    return { rtt_ms: rtts }
  }

  #pingOnce (connection) {
    const signal = AbortSignal.timeout(PING_TIMEOUT_MS)
    return this.#node.services.ping.ping(connection.remotePeer, { signal })
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

  // For the official contracts: connects, pings once, and times both together and the ping alone.
  async dialAndPing (addr) {
    const start = performance.now()
    const connection = await this.#node.dial(multiaddr(addr), {
      signal: AbortSignal.timeout(DIAL_TIMEOUT_MS)
    })
    const ping = await this.#pingOnce(connection)
    return { id: connection.remotePeer.toString(), both: performance.now() - start, ping }
  }

  perf (id, up, down) {
    return perf(this.#connection({ peer_id: id }), up, down)
  }
}

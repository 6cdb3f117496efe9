// js-peer is js-libp2p behind the command contract of ../README.md: a stock node, driven by JSON
// lines on stdin, that reports JSON lines on stdout. Logs go to stderr. With the environment of an
// official contract it speaks that instead.

import { parseArgs } from 'node:util'
import {
  contractIsAskedFor, dialForContract, listenForContract, readSettings
} from './contract.js'
import { Gossip, newGossipsub } from './gossip.js'
import { emit, serveCommands } from './lines.js'
import { IMPLEMENTATION, LISTEN, newNode } from './node.js'
import { Peer, startNode } from './peer.js'

// The libraries leave a few promises of dying connections unattended; they must not end a test.
process.on('unhandledRejection', (error) => console.error('js-peer: unhandled rejection:', error))

function usage (what) {
  if (what === 'rss') return { rss_bytes: process.memoryUsage.rss() }
  if (what !== 'cpu') return undefined
  const { user, system } = process.cpuUsage()
  return { cpu_seconds: (user + system) / 1e6 }
}

async function runPeer () {
  const { values: options } = parseArgs({
    options: {
      key: { type: 'string', default: 'ed25519' },
      seed: { type: 'string' },
      listen: { type: 'string' },
      transport: { type: 'string', default: 'tcp' },
      secure: { type: 'string', default: 'noise' },
      muxer: { type: 'string', default: 'yamux' },
      psk: { type: 'string' },
      pubsub: { type: 'string', default: 'strict-sign' },
      'pubsub-queue': { type: 'string' }
    }
  })
  const node = await newNode(options, {
    listen: options.listen == null ? [] : [options.listen],
    services: { pubsub: newGossipsub(options) }
  })
  const gossip = new Gossip(node.services.pubsub)
  const peer = new Peer(node, IMPLEMENTATION, emit, { gossip, usage })
  await startNode(node)
  emit(peer.ready())
  await serveCommands((command) => peer.handle(command))
}

async function runContract () {
  const settings = readSettings()
  const { transport } = settings.options
  const listen = settings.isDialer ? [] : [`/ip4/${settings.listenerIp}/${LISTEN[transport]}`]
  const node = await newNode(settings.options, { listen })
  const peer = new Peer(node, IMPLEMENTATION, () => {})
  await startNode(node)
  await (settings.isDialer
    ? dialForContract(settings, peer)
    : listenForContract(settings, peer.ready().addrs))
}

try {
  await (contractIsAskedFor() ? runContract() : runPeer())
  process.exit(0)
} catch (error) {
  console.error('js-peer:', error)
  process.exit(1)
}

// js-peer is js-libp2p behind the command contract of ../README.md: a stock node, driven by JSON
// lines on stdin, that reports JSON lines on stdout. Logs go to stderr.

import { parseArgs } from 'node:util'
import { emit, serveCommands } from './lines.js'
import { startPeer } from './peer.js'

const { values: options } = parseArgs({
  options: {
    key: { type: 'string', default: 'ed25519' },
    seed: { type: 'string' },
    listen: { type: 'string' },
    transport: { type: 'string', default: 'tcp' },
    secure: { type: 'string', default: 'noise' },
    muxer: { type: 'string', default: 'yamux' },
    pubsub: { type: 'string', default: 'strict-sign' },
    'pubsub-queue': { type: 'string' }
  }
})

// The libraries leave a few promises of dying connections unattended; they must not end a test.
process.on('unhandledRejection', (error) => console.error('js-peer: unhandled rejection:', error))

try {
  const peer = await startPeer(options)
  emit(peer.ready())
  await serveCommands((command) => peer.handle(command))
  process.exit(0)
} catch (error) {
  console.error('js-peer:', error)
  process.exit(1)
}

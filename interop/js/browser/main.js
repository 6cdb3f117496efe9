// chromium-peer is js-libp2p in headless Chromium behind the contracts of ../../README.md, as the
// js-peer is on Node.js. A browser only dials.

import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { contractIsAskedFor, dialForContract, readSettings } from '../contract.js'
import { emit, serveCommands } from '../lines.js'
import { IMPLEMENTATION } from '../node.js'
import { Chromium } from './chromium.js'

const SCRIPT = join(dirname(fileURLToPath(import.meta.url)), '../../bin/chromium-page.js')
const TRANSPORTS = ['ws', 'wss', 'webtransport', 'webrtc-direct']

async function start ({ transport, secure, muxer }, tell) {
  if (!TRANSPORTS.includes(transport)) throw new Error(`Chromium has no --transport ${transport}`)
  if (secure !== 'noise') throw new Error(`js-libp2p in a browser has no --secure ${secure}`)
  const chromium = await Chromium.start(SCRIPT, tell)
  const implementation = `${IMPLEMENTATION} in ${chromium.version}`
  const ready = await chromium.call('startPeer', { transport, muxer, implementation })
  return { chromium, ready }
}

async function runPeer () {
  const { values: options } = parseArgs({
    options: {
      transport: { type: 'string', default: 'ws' },
      secure: { type: 'string', default: 'noise' },
      muxer: { type: 'string', default: 'yamux' }
    }
  })
  const { chromium, ready } = await start(options, (line) => emit(JSON.parse(line)))
  emit(ready)
  await serveCommands((command) => chromium.call('run', 'handle', command))
}

async function runContract () {
  const settings = readSettings()
  if (!settings.isDialer) throw new Error('a browser does not listen')
  const { chromium } = await start(settings.options, () => {})
  await dialForContract(settings, {
    dialAndPing: (addr) => chromium.call('run', 'dialAndPing', addr),
    perf: (id, up, down) => chromium.call('run', 'perf', id, up, down)
  })
}

try {
  await (contractIsAskedFor() ? runContract() : runPeer())
  process.exit(0)
} catch (error) {
  console.error('chromium-peer:', error)
  process.exit(1)
}

// A stock node of js-libp2p on Node.js, with the parts that the options choose.

import { readFileSync } from 'node:fs'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { noise } from '@chainsafe/libp2p-noise'
import { identify, identifyPush } from '@libp2p/identify'
import { mplex } from '@libp2p/mplex'
import { ping } from '@libp2p/ping'
import { preSharedKey } from '@libp2p/pnet'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { webRTCDirect } from '@libp2p/webrtc'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { newKey } from './keys.js'
import { PING_STREAMS } from './peer.js'

const TRANSPORTS = {
  tcp,
  ws: webSockets,
  wss: secureWebSockets,
  'webrtc-direct': webRTCDirect
}
const SECURE_CHANNELS = { noise, tls }
const MUXERS = { yamux, mplex }

// Where to listen with a transport, on a port that is free.
export const LISTEN = {
  tcp: 'tcp/0',
  ws: 'tcp/0/ws',
  wss: 'tcp/0/tls/ws',
  'webrtc-direct': 'udp/0/webrtc-direct'
}

const { version } = JSON.parse(
  readFileSync(new URL('./node_modules/libp2p/package.json', import.meta.url)))
export const IMPLEMENTATION = `js-libp2p v${version}`

function choose (table, option, name) {
  if (!Object.hasOwn(table, name)) throw new Error(`js-libp2p has no --${option} ${name} here`)
  return table[name]()
}

// By the files that the environment names: see ../README.md.
function secureWebSockets () {
  const file = (name) => process.env[name] ? readFileSync(process.env[name], 'utf8') : undefined
  const trusted = file('WSS_TRUST_FILE')
  if (trusted != null) setDefaultCACertificates([...getCACertificates('default'), trusted])
  return webSockets({ https: { cert: file('WSS_CERTIFICATE_FILE'), key: file('WSS_KEY_FILE') } })
}

export async function newNode (options, { listen = [], services = {} }) {
  return createLibp2p({
    privateKey: await newKey(options.key, options.seed),
    nodeInfo: { userAgent: IMPLEMENTATION },
    addresses: { listen },
    transports: [choose(TRANSPORTS, 'transport', options.transport)],
    connectionEncrypters: [choose(SECURE_CHANNELS, 'secure', options.secure)],
    ...(options.psk == null
      ? {}
      : { connectionProtector: preSharedKey({ psk: readFileSync(options.psk) }) }),
    streamMuxers: [choose(MUXERS, 'muxer', options.muxer)],
    // The default admits five connections a second from one host, and here all come from one.
    connectionManager: { inboundConnectionThreshold: 1000 },
    services: {
      identify: identify(),
      identifyPush: identifyPush(),
      ping: ping(PING_STREAMS),
      ...services
    },
    start: false
  })
}

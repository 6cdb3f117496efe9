// js-libp2p in a browser: the contract's peer, driven by chromium.js through two functions of the
// page. What it emits goes out by the binding `tell`.

import { noise } from '@chainsafe/libp2p-noise'
import { identify, identifyPush } from '@libp2p/identify'
import { mplex } from '@libp2p/mplex'
import { ping } from '@libp2p/ping'
import { webRTCDirect } from '@libp2p/webrtc'
import { webSockets } from '@libp2p/websockets'
import { webTransport } from '@libp2p/webtransport'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { PING_STREAMS, Peer, startNode } from '../peer.js'
import { habits } from '../streams.js'

const TRANSPORTS = {
  ws: webSockets,
  wss: webSockets,
  webtransport: webTransport,
  'webrtc-direct': webRTCDirect
}
const MUXERS = { yamux, mplex }

let peer

function emit (event) {
  globalThis.tell(JSON.stringify(event))
}

globalThis.startPeer = async ({ transport, muxer, implementation }) => {
  habits.canPause = transport !== 'webtransport'
  const node = await createLibp2p({
    nodeInfo: { userAgent: implementation },
    transports: [TRANSPORTS[transport]()],
    connectionEncrypters: [noise()],
    streamMuxers: [MUXERS[muxer]()],
    // By default a browser dials no address that is not the world's.
    connectionGater: { denyDialMultiaddr: () => false },
    services: { identify: identify(), identifyPush: identifyPush(), ping: ping(PING_STREAMS) },
    start: false
  })
  peer = new Peer(node, implementation, emit)
  await startNode(node)
  return peer.ready()
}

globalThis.run = (name, ...values) => peer[name](...values)

// The contract's own protocols: echo and the bench's sink.

import { Sha256 } from '#hash'
import { Noise } from './noise.js'

export const ECHO = '/tern/echo/1.0.0'
export const SINK = '/tern/bench-sink/1.0.0'

export const CHUNK = 64 * 1024

// A paused stream is reset once more than this is unread. The remote may have a whole receive
// window under way, which grows to 16 MiB, while the library's default is 4 MiB.
const READ_BUFFER_MAX = 32 * 1024 * 1024

// WebTransport's streams in a browser do not survive a pause: there what comes is queued instead.
export const habits = { canPause: true }

// Calls take(chunk) for everything the remote sends, until it closes its side. While take's
// promise is pending the stream is paused: async iteration would queue without bound.
export function receive (stream, take) {
  return habits.canPause ? receivePausing(stream, take) : receiveQueueing(stream, take)
}

function receiveQueueing (stream, take) {
  return new Promise((resolve, reject) => {
    let taken = Promise.resolve()
    let ended = stream.remoteWriteStatus === 'closed'
    const check = () => {
      if (ended && stream.readBufferLength === 0) taken.then(resolve, reject)
    }
    stream.addEventListener('message', ({ data }) => {
      taken = taken.then(() => take(data))
      taken.catch(reject)
      queueMicrotask(check)
    })
    stream.addEventListener('remoteCloseWrite', () => {
      ended = true
      queueMicrotask(check)
    })
    stream.addEventListener('close', ({ error }) => {
      ended = true
      if (error != null) reject(error)
      else queueMicrotask(check)
    })
    check()
  })
}

function receivePausing (stream, take) {
  stream.maxReadBufferLength = READ_BUFFER_MAX
  return new Promise((resolve, reject) => {
    let busy = false
    let resuming = false
    let ended = stream.remoteWriteStatus === 'closed'
    const pause = () => {
      if (stream.readStatus === 'readable') stream.pause()
    }
    // Resuming hands out what waits and only then opens the window: a pause in between is undone.
    const resume = () => {
      if (stream.readStatus !== 'paused') return
      resuming = true
      stream.resume()
      resuming = false
      if (busy) pause()
    }
    // The close of the remote is announced at once, even before data that waits in the buffer.
    const check = () => {
      if (ended && !busy && stream.readBufferLength === 0) resolve()
    }
    stream.addEventListener('message', (event) => {
      const pending = take(event.data)
      if (pending == null) {
        queueMicrotask(check) // The remote may have closed before anybody listened.
        return
      }
      busy = true
      if (!resuming) pause()
      pending.then(() => {
        busy = false
        resume()
        check()
      }, reject)
    })
    stream.addEventListener('remoteCloseWrite', () => {
      ended = true
      queueMicrotask(check)
    })
    stream.addEventListener('close', (event) => {
      ended = true
      if (event.error != null) reject(event.error)
      else queueMicrotask(check)
    })
    check()
  })
}

// Waits until the stream takes more. Not stream.onDrain(): once it resolved it stays so, and from
// then on nothing holds the sender back.
function drained (stream) {
  return new Promise((resolve, reject) => {
    const settle = (event) => {
      stream.removeEventListener('drain', settle)
      stream.removeEventListener('close', settle)
      if (event.type === 'drain') resolve()
      else reject(event.error ?? new Error('the stream closed before all was sent'))
    }
    stream.addEventListener('drain', settle)
    stream.addEventListener('close', settle)
  })
}

// Sends in pieces: js-libp2p makes one yamux frame of whatever fits the window, and rust-libp2p
// resets a connection with a frame of more than 1 MiB.
export async function send (stream, data) {
  for (let i = 0; i < data.byteLength; i += CHUNK) {
    if (!stream.send(data.subarray(i, i + CHUNK))) await drained(stream)
  }
}

export async function serveEcho (stream) {
  try {
    await receive(stream, (data) => send(stream, data.subarray()))
    await stream.close()
  } catch (error) {
    console.error('js-peer: echo:', error)
    stream.abort(error)
  }
}

// Discards what comes and answers with the count, 8 bytes little-endian.
export async function serveSink (stream) {
  try {
    let total = 0
    await receive(stream, (chunk) => { total += chunk.byteLength })
    const answer = new Uint8Array(8)
    new DataView(answer.buffer).setBigUint64(0, BigInt(total), true)
    stream.send(answer)
    await stream.close()
  } catch (error) {
    console.error('js-peer: sink:', error)
    stream.abort(error)
  }
}

// Sends and receives at once: the remote stops reading when it cannot write, so a client that sent
// everything first would deadlock with it.
export async function echo (connection, size, seed) {
  const stream = await connection.newStream(ECHO)
  const start = performance.now()
  const hashSent = new Sha256()
  const hashReceived = new Sha256()
  let sent = 0
  let received = 0
  const receiving = receive(stream, (chunk) => {
    received += chunk.byteLength
    hashReceived.update(chunk.subarray())
  })
  const sendAll = async () => {
    const noise = new Noise(seed, size)
    while (noise.left > 0) {
      const chunk = noise.read(CHUNK)
      hashSent.update(chunk)
      sent += chunk.byteLength
      await send(stream, chunk)
    }
    await stream.close()
  }
  try {
    await Promise.all([sendAll(), receiving])
  } catch (error) {
    stream.abort(error)
    throw error
  }
  return {
    sent,
    received,
    sha256_sent: hashSent.hex(),
    sha256_received: hashReceived.hex(),
    seconds: (performance.now() - start) / 1000
  }
}

// /perf/1.0.0 as libp2p's specification has it.

import { CHUNK, receive, send } from './streams.js'

export const PERF = '/perf/1.0.0'

async function sendZeros (stream, size) {
  const zeros = new Uint8Array(CHUNK)
  for (let left = size; left > 0; left -= CHUNK) {
    await send(stream, zeros.subarray(0, Math.min(left, CHUNK)))
  }
}

function numberOf (size) {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(size))
  return bytes
}

// Reads how much is wanted and all that comes, then sends that much.
export async function servePerf (stream) {
  try {
    const head = new Uint8Array(8)
    let total = 0
    await receive(stream, (chunk) => {
      if (total < 8) head.set(chunk.subarray(0, 8 - total), total)
      total += chunk.byteLength
    })
    if (total < 8) throw new Error(`${total} bytes are no request`)
    await sendZeros(stream, Number(new DataView(head.buffer).getBigUint64(0)))
    await stream.close()
  } catch (error) {
    console.error('js-peer: perf:', error)
    stream.abort(error)
  }
}

// Seconds that it takes to send so much and to get so much back.
export async function perf (connection, up, down) {
  const start = performance.now()
  const stream = await connection.newStream(PERF)
  try {
    let got = 0
    const receiving = receive(stream, (chunk) => { got += chunk.byteLength })
    await send(stream, numberOf(down))
    await sendZeros(stream, up)
    await stream.close()
    await receiving
    if (got !== down) throw new Error(`${got} bytes came instead of ${down}`)
  } catch (error) {
    stream.abort(error)
    throw error
  }
  return (performance.now() - start) / 1000
}

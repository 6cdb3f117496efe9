// The deterministic byte stream of the contract: xorshift64*, little-endian words. The 64-bit
// state is kept as two 32-bit halves; with BigInt the 64 MiB echo would take minutes.

const ZERO_SEED = 0x9e3779b97f4a7c15n // Zero is the one state xorshift never leaves.
const FACTOR_HIGH = 0x2545f491
const FACTOR_LOW = 0x4f6cdd1d

export class Noise {
  constructor (seed, size) {
    const state = BigInt(seed) === 0n ? ZERO_SEED : BigInt.asUintN(64, BigInt(seed))
    this.high = Number(state >> 32n)
    this.low = Number(state & 0xffffffffn)
    this.left = size
  }

  // The next bytes of the stream, at most `size` of them; size is a multiple of 8.
  read (size) {
    const length = Math.min(this.left, size)
    const bytes = new Uint8Array(Math.ceil(length / 8) * 8)
    const view = new DataView(bytes.buffer)
    for (let i = 0; i < bytes.length; i += 8) {
      this.#step()
      const { low: x, high: y } = this
      view.setUint32(i, Math.imul(x, FACTOR_LOW), true)
      view.setUint32(i + 4,
        productHigh(x, FACTOR_LOW) + Math.imul(x, FACTOR_HIGH) + Math.imul(y, FACTOR_LOW), true)
    }
    this.left -= length
    return bytes.subarray(0, length)
  }

  #step () {
    let { high, low } = this
    low ^= (low >>> 12) | (high << 20)
    high ^= high >>> 12
    high ^= (high << 25) | (low >>> 7)
    low ^= low << 25
    low ^= (low >>> 27) | (high << 5)
    high ^= high >>> 27
    this.high = high >>> 0
    this.low = low >>> 0
  }
}

// The upper 32 bits of the 64-bit product, by halves so that no step exceeds 53 bits.
function productHigh (a, b) {
  const aLow = a & 0xffff
  const aHigh = a >>> 16
  const bLow = b & 0xffff
  const bHigh = b >>> 16
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16)
  const carry = aLow * bHigh + (middle & 0xffff)
  return aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)
}

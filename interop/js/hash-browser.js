// SHA-256 in pieces, which the browser itself does only at once.

import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'

export class Sha256 {
  #hash = sha256.create()

  update (bytes) {
    this.#hash.update(bytes)
  }

  hex () {
    return bytesToHex(this.#hash.digest())
  }
}

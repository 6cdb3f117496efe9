// SHA-256 in pieces; the browser's is hash-browser.js.

import { createHash } from 'node:crypto'

export class Sha256 {
  #hash = createHash('sha256')

  update (bytes) {
    this.#hash.update(bytes)
  }

  hex () {
    return this.#hash.digest('hex')
  }
}

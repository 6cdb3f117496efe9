// As much of Redis as the official contracts need: a listener leaves its address under a key, and a
// dialer waits for it.

import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

const POLL_INTERVAL_MS = 50

export class Redis {
  #socket
  #lines

  // Tries until the server is there: in a test it may start at the same time.
  static async connect (addr, deadline) {
    const [host, port] = addr.split(':')
    for (;;) {
      const socket = connect({ host, port: Number(port) })
      try {
        await new Promise((resolve, reject) => {
          socket.once('connect', resolve)
          socket.once('error', reject)
        })
        return new Redis(socket)
      } catch (error) {
        if (performance.now() > deadline) throw error
        await sleep(POLL_INTERVAL_MS)
      }
    }
  }

  constructor (socket) {
    this.#socket = socket
    this.#lines = createInterface({ input: socket })[Symbol.asyncIterator]()
  }

  close () {
    this.#socket.destroy()
  }

  async publish (key, value, asList) {
    await this.#call('DEL', key)
    await this.#call(asList ? 'RPUSH' : 'SET', key, value)
  }

  // Waits for the value, whether it is a string or the head of a list.
  async wait (key, deadline) {
    const get = { string: 'GET', list: 'LPOP' }
    while (performance.now() < deadline) {
      const how = get[await this.#call('TYPE', key)]
      const value = how == null ? null : await this.#call(how, key)
      if (value != null) return value
      await sleep(POLL_INTERVAL_MS)
    }
    throw new Error(`nothing under the key ${key} in time`)
  }

  // Waits as the older contract has it.
  async pop (key, deadline) {
    const seconds = Math.max(1, Math.floor((deadline - performance.now()) / 1000))
    const reply = await this.#call('BLPOP', key, `${seconds}`)
    if (reply == null) throw new Error(`nothing under the key ${key} in time`)
    return reply[1]
  }

  // Keys and values here are lines of ASCII, so that a line of the answer is a whole value.
  async #call (...words) {
    const request = words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')
    this.#socket.write(`*${words.length}\r\n${request}`)
    return this.#answer()
  }

  async #line () {
    const { value, done } = await this.#lines.next()
    if (done === true) throw new Error('redis closed the connection')
    return value
  }

  async #answer () {
    const line = await this.#line()
    const rest = line.slice(1)
    switch (line[0]) {
      case '+':
      case ':':
        return rest
      case '$':
        return rest === '-1' ? null : await this.#line()
      case '*': {
        if (rest === '-1') return null
        const values = []
        while (values.length < Number(rest)) values.push(await this.#answer())
        return values
      }
      default:
        throw new Error(`redis: ${rest}`)
    }
  }
}

// A headless Chromium with one page, driven through its pipe by the DevTools protocol: JSON messages
// with a zero byte behind each.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { createHash, X509Certificate } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const PROGRAMS = ['/usr/bin/chromium-headless-shell', '/usr/bin/chromium']
const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-component-update',
  '--disable-background-networking', '--disable-sync', '--disable-dev-shm-usage',
  // A page without a permission to hear and see would hide its own addresses behind names.
  '--disable-features=WebRtcHideLocalIpsWithMdns',
  '--remote-debugging-pipe'
]

export class Chromium {
  version
  #process
  #profile
  #server
  #session
  #nextId = 0
  #waiting = new Map()
  #tell

  // Opens the script in a page of its own; tell takes what the page says by its binding.
  static async start (script, tell) {
    const chromium = new Chromium()
    chromium.#tell = tell
    chromium.#launch()
    chromium.version = (await chromium.#call('Browser.getVersion')).product
    await chromium.#open(await chromium.#serve(readFileSync(script)))
    return chromium
  }

  #launch () {
    const program = PROGRAMS.find((program) => existsSync(program))
    if (program == null) throw new Error(`none of ${PROGRAMS.join(', ')} is installed`)
    this.#profile = mkdtempSync(join(tmpdir(), 'tern-chromium-'))
    const flags = [...FLAGS, `--user-data-dir=${this.#profile}`, ...trustFlags()]
    this.#process = spawn(program, flags, { stdio: ['ignore', 2, 2, 'pipe', 'pipe'] })
    process.on('exit', () => this.close())
    this.#process.on('exit', (code) => this.#fail(new Error(`Chromium ended with ${code}`)))
    let rest = ''
    this.#process.stdio[4].setEncoding('utf8').on('data', (text) => {
      const messages = (rest + text).split('\0')
      rest = messages.pop()
      for (const message of messages) this.#hear(JSON.parse(message))
    })
  }

  close () {
    this.#server?.close()
    this.#process?.kill('SIGKILL')
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 3 })
  }

  #fail (error) {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }

  #hear ({ id, method, params, result, error }) {
    if (method === 'Runtime.bindingCalled') this.#tell(params.payload)
    if (method === 'Runtime.consoleAPICalled') {
      console.error('page:', ...params.args.map((arg) => arg.description ?? arg.value))
    }
    const waiting = this.#waiting.get(id)
    if (waiting == null) return
    this.#waiting.delete(id)
    if (error != null) waiting.reject(new Error(error.message))
    else waiting.resolve(result)
  }

  #call (method, params = {}) {
    const id = ++this.#nextId
    const message = JSON.stringify({ id, method, params, sessionId: this.#session })
    this.#process.stdio[3].write(message + '\0')
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
  }

  // The page comes from this machine itself, which browsers trust as they trust HTTPS.
  async #serve (script) {
    this.#server = createServer((request, response) => {
      const isPage = request.url === '/'
      response.setHeader('content-type', isPage ? 'text/html' : 'text/javascript')
      response.end(isPage ? '<!doctype html><script src="/page.js"></script>' : script)
    })
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${this.#server.address().port}/`
  }

  async #open (url) {
    const { targetId } = await this.#call('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = await this.#call('Target.attachToTarget', { targetId, flatten: true })
    this.#session = sessionId
    await this.#call('Runtime.enable')
    await this.#call('Runtime.addBinding', { name: 'tell' })
    await this.#call('Page.enable')
    await this.#call('Page.navigate', { url })
    await this.#evaluate(`new Promise((resolve) => {
      const look = () => globalThis.startPeer == null ? setTimeout(look, 10) : resolve()
      look()
    })`)
  }

  async #evaluate (expression) {
    const { result, exceptionDetails: thrown } = await this.#call('Runtime.evaluate', {
      expression, awaitPromise: true, returnByValue: true
    })
    if (thrown == null) return result.value
    throw new Error(thrown.exception?.description?.split('\n')[0] ?? thrown.text)
  }

  // Calls a function of the page.
  call (name, ...values) {
    return this.#evaluate(`globalThis.${name}(${values.map((v) => JSON.stringify(v)).join(', ')})`)
  }
}

// The authority of the tests, by the hash of its key: see ../../README.md.
function trustFlags () {
  const file = process.env.WSS_TRUST_FILE
  if (!file) return []
  const key = new X509Certificate(readFileSync(file)).publicKey
  const hash = createHash('sha256').update(key.export({ type: 'spki', format: 'der' }))
  return [`--ignore-certificate-errors-spki-list=${hash.digest('base64')}`]
}

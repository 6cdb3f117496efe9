// The official contracts of libp2p's test suites, chosen and told everything by the environment:
// ../README.md, official contracts. A peer for them has dialAndPing(addr) and perf(id, up, down).

import { once } from 'node:events'
import { Redis } from './redis.js'

const TIMEOUT_S = 180

// What a variable is set to; "null" is how the suites say that it is not.
function variable (name) {
  const value = process.env[name]
  return value === '' || value === 'null' ? undefined : value
}

export function contractIsAskedFor () {
  return (variable('IS_DIALER') ?? variable('is_dialer')) != null
}

// What the environment says, in either spelling. The older one is that of test-plans: lower-case
// variables, a list under a fixed key, JSON.
export function readSettings () {
  const isOlder = variable('IS_DIALER') == null
  const pick = (now, before) => variable(isOlder ? before : now)
  const redisAddr = pick('REDIS_ADDR', 'redis_addr') ?? 'redis:6379'
  const kind = variable('LISTENER_KEY_TYPE') ?? (redisAddr.startsWith('perf') ? 'string' : 'list')
  if (!isOlder && variable('TEST_KEY') == null) throw new Error('TEST_KEY is not set')
  const seconds = Number(pick('TEST_TIMEOUT_SECS', 'test_timeout_seconds') ?? TIMEOUT_S)
  return {
    options: {
      key: 'ed25519',
      transport: pick('TRANSPORT', 'transport'),
      secure: pick('SECURE_CHANNEL', 'security') ?? 'noise',
      muxer: pick('MUXER', 'muxer') ?? 'yamux'
    },
    isDialer: pick('IS_DIALER', 'is_dialer') === 'true',
    isOlder,
    redisAddr,
    key: isOlder ? 'listenerAddr' : `${variable('TEST_KEY')}_listener_multiaddr`,
    keyIsList: isOlder || kind === 'list',
    listenerIp: pick('LISTENER_IP', 'ip') ?? '0.0.0.0',
    deadline: performance.now() + seconds * 1000,
    plan: readPlan()
  }
}

// What a dialer is to measure; nothing where the environment is not that of the perf contract.
function readPlan () {
  const names = ['UPLOAD_BYTES', 'DOWNLOAD_BYTES', 'LATENCY_ITERATIONS']
  if (names.every((name) => process.env[name] == null)) return undefined
  const number = (name, otherwise) => Number(variable(name) ?? otherwise)
  return [
    ['upload', number('UPLOAD_BYTES', 2 ** 30), 0, number('UPLOAD_ITERATIONS', 10), 'Gbps'],
    ['download', 0, number('DOWNLOAD_BYTES', 2 ** 30), number('DOWNLOAD_ITERATIONS', 10), 'Gbps'],
    ['latency', 1, 1, number('LATENCY_ITERATIONS', 100), 'ms']
  ]
}

// Publishes the first of these addresses that another machine could dial, until it is told to end.
export async function listenForContract (settings, addrs) {
  const addr = addrs.find((addr) => !addr.startsWith('/ip4/127.') && !addr.startsWith('/ip6/'))
  if (addr == null) throw new Error(`no address but of this machine alone: ${addrs}`)
  const redis = await Redis.connect(settings.redisAddr, settings.deadline)
  await redis.publish(settings.key, addr, settings.keyIsList)
  redis.close()
  console.error('js-peer: listening at', addr)
  const left = AbortSignal.timeout(Math.max(0, Math.floor(settings.deadline - performance.now())))
  await Promise.race(['SIGTERM', 'SIGINT'].map((name) => once(process, name, { signal: left })))
}

export async function dialForContract (settings, peer) {
  const redis = await Redis.connect(settings.redisAddr, settings.deadline)
  const wait = settings.isOlder ? redis.pop : redis.wait
  const addr = await wait.call(redis, settings.key, settings.deadline)
  redis.close()
  console.error('js-peer: dialing', addr)
  const { id, both, ping } = await peer.dialAndPing(addr)
  if (settings.plan != null) {
    await measure(settings.plan, (up, down) => peer.perf(id, up, down))
  } else if (settings.isOlder) {
    console.log(JSON.stringify({ handshakePlusOneRTTMillis: both, pingRTTMilllis: ping }))
  } else {
    console.log('latency:')
    console.log(`  handshake_plus_one_rtt: ${both.toFixed(3)}`)
    console.log(`  ping_rtt: ${ping.toFixed(3)}`)
    console.log('  unit: ms')
  }
}

async function measure (plan, perf) {
  const sections = []
  for (const [name, up, down, count, unit] of plan) {
    const samples = []
    while (samples.length < count) {
      const seconds = await perf(up, down)
      samples.push(unit === 'ms' ? seconds * 1000 : (up + down) * 8 / 1e9 / seconds)
    }
    sections.push(describe(name, unit, samples))
  }
  console.log(sections.join('\n'))
}

// A section of the contract's YAML. Least and most leave out what is far from the middle half.
function describe (name, unit, samples) {
  samples.sort((a, b) => a - b)
  const [q1, median, q3] = [0.25, 0.5, 0.75].map((part) => quantile(samples, part))
  const far = (value) => value < q1 - 1.5 * (q3 - q1) || value > q3 + 1.5 * (q3 - q1)
  const inner = samples.filter((value) => !far(value))
  const list = (values) => `[${values.map((value) => value.toFixed(3)).join(', ')}]`
  const numbers = { min: inner[0] ?? median, q1, median, q3, max: inner.at(-1) ?? median }
  return [
    `${name}:`,
    `  iterations: ${samples.length}`,
    ...Object.entries(numbers).map(([key, value]) => `  ${key}: ${value.toFixed(3)}`),
    `  outliers: ${list(samples.filter(far))}`,
    `  samples: ${list(samples)}`,
    `  unit: ${unit}`
  ].join('\n')
}

// Between the two samples nearest to this part of them, in proportion.
function quantile (sorted, part) {
  if (sorted.length === 0) return 0
  const place = part * (sorted.length - 1)
  const below = Math.floor(place)
  const above = Math.ceil(place)
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below)
}

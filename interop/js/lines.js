// The contract's line protocol: JSON objects out on stdout, commands in on stdin.

import { createInterface } from 'node:readline'
import { writeSync } from 'node:fs'

// A pipe may take a line only in part, or, where it does not block, not yet.
export function emit (line) {
  let rest = Buffer.from(JSON.stringify(line) + '\n')
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest))
    } catch (error) {
      if (error.code === 'EPIPE') process.exit(0) // The reader is gone: nobody is left to serve.
      if (error.code !== 'EAGAIN') throw error
    }
  }
}

// Answers commands until quit or the end of stdin. They run concurrently.
export function serveCommands (handle) {
  return new Promise((resolve) => {
    const lines = createInterface({ input: process.stdin })
    lines.on('close', resolve)
    lines.on('line', (line) => {
      let command
      try {
        command = JSON.parse(line)
      } catch (error) {
        emit({ event: 'result', id: null, ok: false, error: error.message })
        return
      }
      if (command.cmd === 'quit') {
        resolve()
        return
      }
      Promise.resolve().then(() => handle(command)).then(
        (members) => emit({ event: 'result', id: command.id, ok: true, ...members }),
        (error) => emit({ event: 'result', id: command.id, ok: false, error: describe(error) }))
    })
  })
}

// Every reason of a failed dial is worth reading, not only that all of them failed.
function describe (error) {
  if (error.error != null) return describe(error.error) // an event that was thrown
  const causes = (error.errors ?? []).map((cause) => describe(cause))
  const reason = `${error.name ?? error.type}: ${error.message ?? 'no reason given'}`
  return [reason, ...causes].join('; ')
}

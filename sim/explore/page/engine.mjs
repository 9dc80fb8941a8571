// The simulator: the library as WebAssembly, in workers, so that dragging never waits for it. Each worker runs this same script.

import { unpacked } from './packed.mjs'

const text = (id) => document.getElementById(id).textContent

// --- In a worker: the module, asked by messages.

export function work() {
  let exports
  let started
  const call = (name, question) => {
    const { alloc, free, memory } = exports
    const bytes = new TextEncoder().encode(question)
    const at = alloc(bytes.length) >>> 0
    new Uint8Array(memory.buffer, at, bytes.length).set(bytes)
    const result = BigInt.asUintN(64, exports[name](at, bytes.length))
    const [pointer, length] = [Number(result >> 32n), Number(result & 0xffffffffn)]
    const answer = memory.buffer.slice(pointer, pointer + length)
    free(at, bytes.length)
    free(pointer, length)
    return answer
  }
  self.onmessage = async ({ data: { id, module, question } }) => {
    try {
      if (module) started = WebAssembly.instantiate(module)
      exports ??= (await started).instance.exports
      if (module) self.postMessage({ id })
      else if (question.ask === 'pages') {
        const bytes = call('watch', JSON.stringify(question))
        const head = new DataView(bytes).getUint32(0, true)
        const answer = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, head)))
        const body = bytes.slice(4 + head)
        self.postMessage({ id, answer: { ...answer, body } }, [body])
      } else {
        self.postMessage({ id, answer: JSON.parse(new TextDecoder().decode(call('ask', JSON.stringify(question)))) })
      }
    } catch (error) {
      self.postMessage({ id, failed: String(error) })
    }
  }
}

// --- In the page: who asks.

let module
export async function unpack() {
  module = unpacked(text('module').trim())
}

class Worked {
  constructor() {
    this.waiting = new Map()
    this.next = 1
  }

  start() {
    const code = new Blob([text('code')], { type: 'text/javascript' })
    this.worker = new Worker(URL.createObjectURL(code))
    this.worker.onmessage = ({ data }) => {
      const waits = this.waiting.get(data.id)
      this.waiting.delete(data.id)
      if (data.failed) waits?.reject(new Error(data.failed))
      else waits?.resolve(data.answer)
    }
    this.worker.onerror = (event) => this.stop(`the simulator stopped: ${event.message}`)
    this.send({ module })
  }

  send(message) {
    const id = this.next++
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject })
      this.worker.postMessage({ id, ...message })
    })
  }

  ask(question) {
    if (!this.worker) this.start()
    return this.send({ question })
  }

  stop(why = 'stopped') {
    this.worker?.terminate()
    this.worker = undefined
    for (const { reject } of this.waiting.values()) reject(new Stopped(why))
    this.waiting.clear()
  }
}

export class Stopped extends Error {}

const quick = new Worked()
const long = new Worked()

export async function ask(question) {
  const answer = await quick.ask(question)
  if (answer?.error) throw new Error(answer.error)
  return answer
}

// Asks the newest of a kind only: while one is being answered, the last that came waits, and those between are forgotten.
const turns = new Map()
export function latest(kind, question, then) {
  const turn = turns.get(kind) ?? { busy: false, next: null }
  turns.set(kind, turn)
  turn.next = { question, then }
  if (turn.busy) return
  turn.busy = true
  const go = async () => {
    while (turn.next) {
      const { question, then } = turn.next
      turn.next = null
      let answer
      try { answer = await quick.ask(question) } catch (error) { answer = { error: error.message } }
      then(answer)
    }
    turn.busy = false
  }
  go()
}

// Work that takes long has a worker of its own, which can be stopped.
export async function askLong(question) {
  const answer = await long.ask(question)
  if (answer?.error) throw new Error(answer.error)
  return answer
}
export const stopLong = () => long.stop()

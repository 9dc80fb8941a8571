// Chromium, driven by its debugging protocol over a pipe: nothing is installed for it, and no port is open.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export async function browser() {
  const home = mkdtempSync(join(tmpdir(), 'explorer-'))
  const program = process.env.CHROMIUM ?? 'chromium'
  const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-extensions', '--disable-background-networking', '--disable-component-update', '--hide-scrollbars', `--user-data-dir=${home}`, '--remote-debugging-pipe', 'about:blank']
  const child = spawn(program, flags, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] })
  const [to, from] = [child.stdio[3], child.stdio[4]]
  const waiting = new Map()
  const heard = new Set()
  let next = 1
  let rest = ''
  from.setEncoding('utf8')
  from.on('data', (data) => {
    const messages = (rest + data).split('\0')
    rest = messages.pop()
    for (const text of messages) {
      const message = JSON.parse(text)
      const waits = waiting.get(message.id)
      if (waits) {
        waiting.delete(message.id)
        if (message.error) waits.reject(new Error(`${waits.method}: ${message.error.message}`))
        else waits.resolve(message.result)
      } else for (const hear of heard) hear(message)
    }
  })
  const send = (method, params = {}, sessionId) => new Promise((resolve, reject) => {
    const id = next++
    waiting.set(id, { resolve, reject, method })
    to.write(`${JSON.stringify({ id, method, params, sessionId })}\0`)
  })
  child.on('error', (error) => { for (const { reject } of waiting.values()) reject(error) })
  const close = async () => {
    const gone = new Promise((resolve) => child.once('exit', resolve))
    await send('Browser.close').catch(() => child.kill())
    await gone
    rmSync(home, { recursive: true, force: true })
  }
  return { send, hear: (one) => { heard.add(one); return () => heard.delete(one) }, close, page: () => page(send, heard) }
}

// A page, with what it said, asked for and failed at.
async function page(send, heard) {
  const { targetId } = await send('Target.createTarget', { url: 'about:blank' })
  const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true })
  const to = (method, params) => send(method, params, sessionId)
  const [problems, requests] = [[], []]
  const listeners = new Set()
  const hear = (message) => {
    if (message.sessionId !== sessionId) return
    const { method, params } = message
    if (method === 'Runtime.exceptionThrown') problems.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text)
    if (method === 'Log.entryAdded' && params.entry.level === 'error') problems.push(`${params.entry.text} ${params.entry.url ?? ''}`)
    if (method === 'Network.requestWillBeSent') requests.push(params.request.url)
    for (const listen of listeners) listen(method, params)
  }
  heard.add(hear)
  for (const domain of ['Page', 'Runtime', 'Log', 'Network', 'DOM']) await to(`${domain}.enable`)
  const run = async (expression) => {
    const { result, exceptionDetails } = await to('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
    return result.value
  }
  const until = async (expression, what = expression, ms = 30000) => {
    const end = Date.now() + ms
    for (;;) {
      const value = await run(expression)
      if (value) return value
      if (Date.now() > end) throw new Error(`it never came to ${what}`)
      await new Promise((resolve) => setTimeout(resolve, 40))
    }
  }
  const once = (method) => new Promise((resolve) => {
    const listen = (name, params) => { if (name === method) { listeners.delete(listen); resolve(params) } }
    listeners.add(listen)
  })
  const open = async (url) => {
    const loaded = once('Page.loadEventFired')
    const { errorText } = await to('Page.navigate', { url })
    if (errorText) throw new Error(errorText)
    await loaded
    const ready = 'document.documentElement.dataset.ready || document.getElementById("waiting")?.textContent.includes("could not")'
    await until(ready, 'be ready', 10000).catch((error) => { throw new Error(`${error.message}: ${problems.join('; ')}`) })
  }
  const look = async ({ width = 1280, height = 900, dark = false, whole = true } = {}) => {
    await to('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 600 })
    await to('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }] })
    await new Promise((resolve) => setTimeout(resolve, 400))
    const { data } = await to('Page.captureScreenshot', { format: 'png', captureBeyondViewport: whole })
    return Buffer.from(data, 'base64')
  }
  return { to, run, until, once, open, look, problems, requests, sessionId }
}

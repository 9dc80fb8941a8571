// Takes the pictures of docs/explore.md: node sim/explore/test/pictures.mjs. Needs target/debug/migsim.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { browser } from './browser.mjs'

const root = new URL('../../../', import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), 'explore-'))
// Commands are shown, and so are the paths in them.
for (const part of ['calibrate', 'scenarios']) symlinkSync(join(root, part), join(folder, part))
const migsim = (name, ...flags) => {
  execFileSync(join(root, 'target/debug/migsim'), [...flags, name], { cwd: folder, stdio: 'ignore', env: { ...process.env, SOURCE_DATE_EPOCH: '1795824000' } })
  return `file://${join(folder, name)}`
}
const busy = (n = '') => Object.entries({ memory: '4GiB', touched: '3GiB', workload: 'uniform(wss=512MiB, rate=60000p/s)', link: '1Gbit/s' }).map(([key, value]) => `${n}${key}=${encodeURIComponent(value)}`).join('&')
const one = migsim('one.html', 'explore', '--out')
const PICTURES = [
  ['time', `${one}#view=time&${busy()}&auto_converge=true`, { width: 1280, height: 760 }],
  ['memory', `${one}#view=time&${busy()}&auto_converge=true`, { width: 1280, height: 900, memory: true }],
  ['compare', `${one}#view=compare&${busy()}&${busy('2.')}&2.auto_converge=true&${busy('3.')}&3.mode=postcopy`, { width: 1280, height: 760 }],
  ['border', `${one}#view=border&${busy()}`, { width: 1280, height: 860, wait: 8000 }],
  ['models', migsim('runs.html', 'explore', 'calibrate/data/kvm-lab/runs.csv', '--profile', 'lab', '--out'), { width: 1280, height: 1000, wait: 6000 }],
  ['fleet', migsim('fleet.html', 'fleet', 'scenarios/fleet/rack.toml', '--replications', '100', '--deadline', '4min', '--report'), { width: 1280, height: 900, wait: 9000 }],
  ['paper', `${one}#view=paper`, { width: 1280, height: 760 }],
  ['dark', `${one}#view=time&${busy()}&mode=postcopy`, { width: 1280, height: 760, dark: true }],
  ['phone', `${one}#view=time&${busy()}`, { width: 390, height: 844 }],
]

const chromium = await browser()
for (const [name, url, { width, height, wait = 1500, dark, memory }] of PICTURES) {
  const page = await chromium.page()
  await page.to('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }] })
  await page.to('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 600 })
  await page.open(url)
  await new Promise((resolve) => setTimeout(resolve, wait))
  if (memory) {
    await page.run(`[...document.querySelectorAll('button')].find((one) => one.textContent === 'Show memory page by page').click()`)
    await page.until(`document.querySelector('#memory canvas')`, 'memory', 60000)
    await page.run(`(() => { const one = document.querySelector('.play input'); one.value = 620; one.dispatchEvent(new Event('input')); document.getElementById('memory').scrollIntoView({ block: 'center' }) })()`)
  }
  writeFileSync(join(root, `docs/pictures/explore-${name}.png`), await page.look({ width, height, dark, whole: false }))
  await page.to('Page.close')
}
await chromium.close()
rmSync(folder, { recursive: true, force: true })

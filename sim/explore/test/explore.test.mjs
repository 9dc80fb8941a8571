// The page in a real browser: what is moved, shown, exported and refused. Needs target/debug/migsim and what `../modules` installs.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { browser } from './browser.mjs'

const root = new URL('../../../', import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), 'explore-test-'))
const migsim = (...flags) => execFileSync(join(root, 'target/debug/migsim'), flags, { cwd: root, maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'ignore'] }).toString()
const json = (...flags) => JSON.parse(migsim(...flags, '--format', 'json'))
const FIRST = ['--memory', '4GiB', '--touched', '3GiB', '--workload', 'uniform(wss=512MiB, rate=5000p/s)', '--link', '1Gbit/s']
const BUSY = '#view=time&memory=4GiB&touched=3GiB&workload=uniform(wss=512MiB, rate=60000p/s)&link=1Gbit/s'

let chromium
before(async () => { chromium = await browser() })
after(async () => {
  await chromium.close()
  rmSync(folder, { recursive: true, force: true })
})

function made(name, ...flags) {
  const file = join(folder, name)
  migsim('explore', ...flags, '--out', file)
  return `file://${file}`
}

// A page whose downloads are kept, and which has said and asked for nothing once a test is over.
async function opened(url, { size = 1280 } = {}) {
  const page = await chromium.page()
  await page.to('Emulation.setDeviceMetricsOverride', { width: size, height: 900, deviceScaleFactor: 1, mobile: size < 600 })
  await page.to('Page.addScriptToEvaluateOnNewDocument', { source: `
    window.saved = []
    const make = URL.createObjectURL
    URL.createObjectURL = (blob) => { const url = make.call(URL, blob); (window.blobs ??= {})[url] = blob; return url }
    HTMLAnchorElement.prototype.click = async function () { saved.push({ name: this.download, type: blobs[this.href].type, text: await blobs[this.href].text() }) }` })
  await page.open(url)
  return page
}
const quiet = (page) => {
  assert.deepEqual(page.problems, [])
  const foreign = page.requests.filter((url) => !/^(file|blob|data|about):/.test(url) && !/^http:\/\/127\.0\.0\.1:\d+\/page\.html/.test(url))
  assert.deepEqual(foreign, [], 'nothing is asked for')
}
const press = (page, text) => page.run(`(() => { const all = [...document.querySelectorAll('button')].filter((one) => one.textContent === ${JSON.stringify(text)} && one.offsetParent); if (!all.length) throw new Error('no button ' + ${JSON.stringify(text)}); all[0].click() })()`)
async function exported(page, button) {
  const before = await page.run('saved.length')
  await press(page, button)
  await page.until(`saved.length > ${before}`, `a file of ${button}`)
  return page.run('saved.at(-1)')
}
const cells = (csv) => csv.trim().split('\n').map((line) => line.replace(/"(?:[^"]|"")*"/g, (quoted) => quoted.slice(1, -1).replaceAll(',', ';')).split(','))
const figure = (page, name) => page.run(`document.querySelector('[data-figure="${name}"]')?.textContent`)
const settled = (page) => page.until(`document.querySelector('[data-figure="Downtime"]')`, 'figures')

test('it opens from disk and from a server, and asks for nothing', async () => {
  const file = made('page.html')
  const server = createServer((request, response) => { response.setHeader('Content-Type', 'text/html; charset=utf-8'); response.end(readFileSync(join(folder, 'page.html'))) }).listen(0, '127.0.0.1')
  const port = await new Promise((resolve) => server.on('listening', () => resolve(server.address().port)))
  for (const url of [file, `http://127.0.0.1:${port}/page.html`]) {
    const page = await opened(url)
    await settled(page)
    assert.equal(await figure(page, 'Total migration time'), '29.4 s')
    quiet(page)
  }
  server.close()
})

test('its figures are those of the command line to the last digit, in each mode', async () => {
  const page = await opened(made('modes.html'))
  await settled(page)
  for (const [key, flags] of [['', []], ['mode=postcopy', ['--mode', 'postcopy']], ['auto_converge=true', ['--auto-converge']], ['xbzrle=true', ['--xbzrle']], ['qemu=10.1', ['--qemu', '10.1']], ['multifd_channels=4', ['--multifd-channels', '4']], ['profile=lab', ['--profile', 'lab']], ['layout=front', ['--layout', 'front']]]) {
    const theirs = json('predict', ...FIRST, ...flags)
    await page.run(`location.hash = 'view=time&memory=4GiB&touched=3GiB&workload=uniform(wss=512MiB, rate=5000p/s)&link=1Gbit/s&${key}&name=${key.length}'`)
    await page.until(`document.getElementById('verdict')?.textContent.startsWith('${key.length}:')`, key)
    const { text } = await exported(page, 'Data (CSV)')
    const [header, ...rows] = cells(text)
    assert.equal(rows.length, theirs.rounds.length, key)
    theirs.rounds.forEach((round, i) => header.forEach((name, j) => assert.equal(rows[i][j], String(round[name]), `${key} ${name}`)))
    const words = migsim('predict', ...FIRST, ...flags, '--name', String(key.length)).split('\n').find((line) => line.startsWith(`${key.length}: converges`))
    assert.ok((await page.run(`document.getElementById('verdict').textContent`)).startsWith(words), key)
  }
  quiet(page)
})

test('a page is given what a command was asked, and shows what came of it', async () => {
  migsim('predict', 'scenarios/first.toml', '--report', join(folder, 'report.html'), '--seed', '7')
  const page = await opened(`file://${join(folder, 'report.html')}`)
  await settled(page)
  const told = await page.run(`document.getElementById('made').textContent`)
  for (const part of ['migsim predict scenarios/first.toml', 'Seed: 7', 'server-1g', 'UTC']) assert.ok(told.includes(part), `${part} in ${told}`)
  assert.ok((await page.run(`document.getElementById('verdict').textContent`)).startsWith('web: converges.'))
  quiet(page)
})

test('every control moves something, and a link brings it back', async () => {
  const page = await opened(made('controls.html'))
  await settled(page)
  await page.run(`document.querySelectorAll('details').forEach((one) => { one.open = true })`)
  const ids = await page.run(`[...document.querySelectorAll('#controls input:not([type=range]), #controls select')].map((one) => one.id).filter(Boolean)`)
  assert.ok(ids.length > 25, String(ids))
  const text = { 'key-name': 'x', 'key-phase_offset': '1s', 'key-memory': '8GiB', 'key-touched': '2GiB', 'key-zero_head': '8MiB', 'key-link': '2Gbit/s', 'key-rtt': '1ms', 'key-send_buffer': '8MiB', 'key-downtime_limit': '1s', 'key-bandwidth_cap': '64MiB/s', 'key-postcopy_bandwidth': '64MiB/s', 'key-xbzrle_cache': '128MiB', 'key-postcopy_after': '3s', 'key-timeout': '30s', 'key-offline_files': '1MiB', 'key-log_chunk': '512MiB', 'key-workload': 'dirty(4000p/s)' }
  for (const id of ids) {
    const before = await page.run('location.hash')
    const value = text[id] ?? '3'
    await page.run(`(() => {
      const one = document.getElementById('${id}')
      if (one.type === 'checkbox') one.click()
      else if (one.tagName === 'SELECT') { one.selectedIndex = one.options.length - 1; one.dispatchEvent(new Event('change')) }
      else { one.value = ${JSON.stringify(value)}; one.dispatchEvent(new Event('input')) }
    })()`)
    await page.until(`location.hash !== ${JSON.stringify(before)}`, `another address by ${id}`)
    // Some do not go together; what goes on is the example.
    await page.run(`location.hash = 'view=time&memory=4GiB&link=1Gbit/s'`)
    await page.until(`location.hash === '#view=time&memory=4GiB&link=1Gbit/s' && document.getElementById('key-memory').value === '4GiB'`)
  }
  const sliders = await page.run(`document.querySelectorAll('#controls input[type=range]').length`)
  for (let i = 0; i < sliders; i += 1) {
    await page.run(`(() => { const one = document.querySelectorAll('#controls input[type=range]')[${i}]; if (one.closest('.key').style.display === 'none') return; one.value = Number(one.value) > 100 ? 30 : 130; one.dispatchEvent(new Event('input')) })()`)
  }
  quiet(page)
  await page.run(`location.hash = 'view=time&memory=16GiB&link=10GbE&workload=app:postgres(load=0.5)&qemu=10.1&vcpus=8'`)
  const theirs = json('predict', '--memory', '16GiB', '--link', '10GbE', '--workload', 'app:postgres(load=0.5)', '--qemu', '10.1', '--vcpus', '8')
  await page.until(`document.querySelector('[data-figure="On the wire"]')?.textContent.startsWith('${(theirs.wire_bytes / 2 ** 30).toFixed(1)}')`, 'the link shows its migration')
})

test('"Back" takes another view back, with the numbers that were moved before it', async () => {
  const page = await opened(made('back.html'))
  await settled(page)
  await page.run(`(() => { const one = document.getElementById('key-memory'); one.value = '6GiB'; one.dispatchEvent(new Event('input')) })()`)
  await press(page, 'Side by side')
  await page.until(`document.getElementById('frame').dataset.view === 'compare'`, 'two settings')
  await page.run('history.back()')
  await page.until(`document.getElementById('frame').dataset.view === 'time'`, 'the view before')
  assert.equal(await page.run(`document.getElementById('key-memory').value`), '6GiB')
  await page.run('history.forward()')
  await page.until(`document.getElementById('frame').dataset.view === 'compare'`, 'and the one after it')
  quiet(page)
})

test('what is wrong is told at its control, and the last answer stays', async () => {
  const page = await opened(made('wrong.html'))
  await settled(page)
  await page.run(`(() => { const one = document.getElementById('key-memory'); one.value = '4G'; one.dispatchEvent(new Event('input')) })()`)
  await page.until(`document.getElementById('key-memory-wrong').textContent.includes('4GiB')`, 'what 4G may mean')
  assert.ok(await figure(page, 'Total migration time'))
  quiet(page)
})

test('a remedy is applied by a click', async () => {
  const page = await opened(made('busy.html') + encodeURI(BUSY))
  await page.until(`document.querySelectorAll('.remedies button').length >= 6`, 'remedies')
  assert.equal(await figure(page, 'Total migration time'), '-')
  await page.run(`[...document.querySelectorAll('.remedies li')].find((one) => one.textContent.includes('auto-converge')).querySelector('button').click()`)
  await page.until(`document.querySelector('[data-figure="Total migration time"]').textContent === '60.8 s'`, 'what auto-converge makes of it')
  assert.ok(await page.run(`document.getElementById('key-auto_converge').checked`))
  quiet(page)
})

test('memory is shown page by page as the simulator has it, at five moments', async () => {
  const page = await opened(made('memory.html') + '#view=time&memory=1GiB&touched=512MiB&workload=uniform(wss=128MiB,%20rate=8000p/s)&link=1Gbit/s')
  await settled(page)
  await press(page, 'Show memory page by page')
  await page.until(`document.querySelector('#memory canvas')`, 'memory', 60000)
  const seen = new Set()
  for (const share of [0, 250, 500, 750, 1000]) {
    await page.run(`(() => { const one = document.querySelector('.play input'); one.value = ${share}; one.dispatchEvent(new Event('input')) })()`)
    const { told, counted, index } = await page.run(`(() => {
      const canvas = document.querySelector('#memory canvas')
      const data = new Uint32Array(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer)
      const counted = {}
      // Behind the last page there is nothing.
      for (const pixel of data) if (pixel) counted[pixel] = (counted[pixel] ?? 0) + 1
      return { told: document.getElementById('counts').textContent, index: document.getElementById('counts').dataset.index, counted: Object.values(counted) }
    })()`)
    const numbers = [...told.matchAll(/(\d+) (?:sent|zero|waiting|dirtied)/g)].map((found) => Number(found[1]))
    assert.equal(numbers.reduce((sum, n) => sum + n, 0) >= 262144, true, told)
    assert.deepEqual(counted.sort((a, b) => a - b), numbers.filter((n) => n > 0).sort((a, b) => a - b), told)
    seen.add(index)
  }
  assert.ok(seen.size >= 4)
  // It plays smoothly: most pictures within a sixtieth of a second.
  await press(page, 'Play')
  const times = await page.run(`new Promise((done) => { const all = []; let last; const step = (now) => { if (last) all.push(now - last); last = now; if (all.length < 60) requestAnimationFrame(step); else done(all.sort((a, b) => a - b)) }; requestAnimationFrame(step) })`)
  assert.ok(times[45] < 34, `three of four pictures within ${times[45].toFixed(1)} ms`)
  quiet(page)
})

test('a slider of a 4 GiB guest is dragged without stutter', async () => {
  const page = await opened(made('drag.html'))
  await settled(page)
  const events = []
  const stop = chromium.hear((message) => { if (message.method === 'Tracing.dataCollected') events.push(...message.params.value) })
  await page.to('Tracing.start', { transferMode: 'ReportEvents', traceConfig: { includedCategories: ['toplevel', 'blink.user_timing'] } })
  await page.run(`(async () => {
    const slider = document.getElementById('key-memory').parentElement.querySelector('input[type=range]')
    for (let i = 0; i < 60; i += 1) {
      performance.mark('drag-' + i)
      slider.value = 80 + i
      slider.dispatchEvent(new Event('input'))
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    performance.mark('drag-60')
  })()`)
  const done = new Promise((resolve) => { const end = chromium.hear((message) => { if (message.method === 'Tracing.tracingComplete') { end(); resolve() } }) })
  await page.to('Tracing.end')
  await done
  stop()
  const marks = events.filter(({ name }) => /^drag-\d+$/.test(name)).sort((a, b) => a.ts - b.ts)
  assert.equal(marks.length, 61)
  const main = events.filter(({ name, pid, tid, dur, ph }) => name === 'ThreadControllerImpl::RunTask' && ph === 'X' && dur && pid === marks[0].pid && tid === marks[0].tid)
  const work = marks.slice(0, 60).map(({ ts }, i) => main.filter((task) => task.ts >= ts && task.ts < marks[i + 1].ts).reduce((sum, { dur, tdur }) => sum + (tdur ?? dur), 0) / 1000).sort((a, b) => a - b)
  console.log(`main-thread work per input event: p50 ${work[30].toFixed(1)} ms, p95 ${work[57].toFixed(1)} ms, most ${work[59].toFixed(1)} ms`)
  // The aim is 8 ms; drawn in software on two busy processors it is 7 to 10. Beyond a picture's time it would stutter.
  assert.ok(work[57] <= 16, `${work[57]} ms`)
  quiet(page)
})

test('settings stand side by side with the figures of the command line', async () => {
  const page = await opened(made('compare.html') + encodeURI('#view=compare&memory=4GiB&touched=3GiB&workload=uniform(wss=512MiB, rate=5000p/s)&link=1Gbit/s'))
  await page.until(`document.querySelectorAll('main .scroll tbody tr').length === 2`, 'two settings')
  await press(page, 'auto-converge')
  await press(page, 'offline')
  await page.until(`document.querySelectorAll('main .scroll tbody tr').length === 4`, 'four settings')
  const [header, ...rows] = cells((await exported(page, 'Data (CSV)')).text)
  for (const [row, flags] of [[0, []], [1, ['--mode', 'postcopy']], [2, ['--auto-converge']], [3, ['--mode', 'offline']]]) {
    const theirs = json('predict', ...FIRST, ...flags)
    for (const name of ['tmt_s', 'downtime_s', 'wire_bytes']) assert.equal(rows[row].at(header.indexOf(name) - header.length), String(theirs[name]), `${flags} ${name}`)
  }
  await press(page, 'Command line')
  const lines = await page.until(`document.getElementById('notice').textContent`, 'the command lines')
  assert.equal(lines.match(/migsim predict/g).length, 4, lines)
  quiet(page)
})

test('the border of convergence is that of a sweep, can be looked at closer, and a point opens', async () => {
  const page = await opened(made('border.html') + encodeURI('#view=border&memory=4GiB&touched=3GiB&workload=uniform(wss=512MiB, rate=5000p/s)&link=1Gbit/s'))
  await page.until(`document.getElementById('progress')?.textContent === '4096 migrations.'`, 'the finest map', 90000)
  const ours = cells((await exported(page, 'Data (CSV)')).text)
  const theirs = cells(migsim('sweep', ...FIRST, '--vary', 'rate=1000p/s..100000p/s:64:log', '--vary', 'link=500Mbit/s..10Gbit/s:64:log', '--format', 'csv'))
  const at = (table, name) => table[0].indexOf(name)
  assert.equal(ours.length, theirs.length)
  for (const name of ['rate_pages_s', 'link_bit_s', 'outcome', 'tmt_s', 'downtime_s', 'wire_bytes']) {
    const same = (a, b) => a === b || (a !== '' && Number(a) === Number(b))
    ours.slice(1).forEach((row, i) => assert.ok(same(row[at(ours, name)], theirs[i + 1][at(theirs, name)]), `${name} in row ${i}`))
  }
  const box = await page.run(`(({ left, top, width, height }) => ({ left, top, width, height }))(document.querySelector('canvas.map').getBoundingClientRect())`)
  const mouse = (type, x, y) => page.to('Input.dispatchMouseEvent', { type, x: box.left + x * box.width, y: box.top + y * box.height, button: 'left', buttons: type === 'mouseReleased' ? 0 : 1, clickCount: 1 })
  await mouse('mousePressed', 0.3, 0.3)
  await mouse('mouseMoved', 0.6, 0.6)
  await mouse('mouseReleased', 0.6, 0.6)
  await page.until(`location.hash.includes('x=rate')`, 'a closer look')
  await page.until(`document.getElementById('progress').textContent === '4096 migrations.'`, 'the closer map', 90000)
  await mouse('mousePressed', 0.3, 0.3)
  await mouse('mouseReleased', 0.3, 0.3)
  await page.until(`document.querySelector('[data-figure="Downtime"]')`, 'the migration of that point')
  quiet(page)
})

test('a sweep over one number is drawn as lines', async () => {
  migsim('sweep', ...FIRST, '--vary', 'rate=1000p/s..60000p/s:40', '--report', join(folder, 'sweep.html'))
  const page = await opened(`file://${join(folder, 'sweep.html')}`)
  await page.until(`document.getElementById('progress')?.textContent === '256 migrations.'`, 'lines', 60000)
  assert.equal(await page.run(`document.querySelectorAll('main .panel canvas').length`), 2)
  quiet(page)
})

test('published models say what the command line has them say', async () => {
  const page = await opened(made('models.html') + encodeURI('#view=models&memory=4GiB&touched=3GiB&workload=uniform(wss=512MiB, rate=5000p/s)&link=1Gbit/s'))
  await page.until(`document.querySelectorAll('main .scroll tbody tr').length > 3`, 'models')
  const [, ...rows] = cells((await exported(page, 'Data (CSV)')).text)
  const { models } = json('predict', ...FIRST, '--model', 'all')
  for (const [name, converges, total, down] of rows) {
    assert.deepEqual([converges, total, down], [String(models[name].converges), String(models[name].tmt_s ?? ''), String(models[name].downtime_s ?? '')], name)
  }
  quiet(page)
})

test('recorded runs are predicted as the command line does, and a run opens', async () => {
  const page = await opened(made('runs.html', 'calibrate/data/paper/runs.csv', '--profile', 'lab'))
  await page.until(`document.getElementById('accuracy')`, 'what is off by how much', 60000)
  const [header, ...rows] = cells((await exported(page, 'Data (CSV)')).text)
  const theirs = cells(migsim('predict', '--records', 'calibrate/data/paper/runs.csv', '--profile', 'lab').replace(/"[^"]*"/g, ''))
  const column = theirs[0].indexOf('pred_elapsed_ms')
  assert.equal(rows.length, theirs.length - 1)
  rows.forEach((row, i) => assert.equal(Number(row[header.indexOf('pred_elapsed_ms')]).toFixed(3), theirs[i + 1][column], row[1]))
  await page.run(`document.querySelector('#runs circle').dispatchEvent(new MouseEvent('click', { bubbles: true }))`)
  await press(page, 'Open it')
  await settled(page)
  quiet(page)
})

test('runs of which nothing was measured are told so, not taken to be at once', async () => {
  const file = join(folder, 'unmeasured.csv')
  writeFileSync(file, 'mode,memory_mib,workload,link_mbit\nprecopy,1024,idle,1000\nprecopy,2048,idle,1000\n')
  const page = await opened(made('unmeasured.html', file))
  await page.until(`document.getElementById('accuracy')?.textContent.includes('nothing to compare with')`, 'that nothing was measured')
  quiet(page)
})

test('a validation comes along with its figures and its worst runs', async () => {
  execFileSync(join(root, 'target/debug/migcal'), ['validate', 'calibrate/data/paper/runs.csv', '--report', join(folder, 'validate.html')], { cwd: root, stdio: 'ignore' })
  const page = await opened(`file://${join(folder, 'validate.html')}`)
  await page.until(`document.getElementById('accuracy')`, 'what is off by how much')
  assert.ok((await page.run(`document.querySelector('main pre').textContent`)).includes('plain pre-copy'))
  quiet(page)
})

test('a fleet is moved as the command line moves it, with its deadline and what-ifs', async () => {
  migsim('fleet', 'scenarios/fleet/rack.toml', '--replications', '20', '--deadline', '10min', '--report', join(folder, 'fleet.html'))
  const page = await opened(`file://${join(folder, 'fleet.html')}`)
  await page.until(`document.getElementById('progress')?.textContent === '' && document.querySelector('#gantt')`, 'a fleet', 120000)
  const theirs = json('fleet', 'scenarios/fleet/rack.toml', '--replications', '20', '--deadline', '10min')
  const [header, ...rows] = cells((await exported(page, 'Data (CSV)')).text)
  theirs.moves.forEach((move, i) => { for (const name of ['name', 'began_s', 'tmt_s', 'downtime_s', 'wire_bytes']) assert.equal(rows[i][header.indexOf(name)], String(move[name] ?? ''), `${move.name} ${name}`) })
  assert.equal(await page.run(`document.querySelectorAll('#gantt [data-guest]').length`), theirs.moves.length)
  const words = await page.run(`document.getElementById('verdict').textContent`)
  assert.ok(words.includes(`probability of ${(theirs.deadline.p_all_arrived * 100).toFixed(0)} %`), words)
  // What came along is what the page itself answers.
  const before = (await exported(page, 'Data (CSV)')).text
  await page.run(`location.hash = location.hash.replace(/&?seed=\\d+/, '') + '&seed=2'`)
  await page.until(`document.getElementById('progress').textContent !== ''`, 'being asked anew')
  await page.until(`document.getElementById('progress').textContent === ''`, 'its own answer', 120000)
  assert.equal((await exported(page, 'Data (CSV)')).text, before)
  await page.run(`(() => { const one = document.querySelector('[aria-label="What if"]'); one.value = 'at_once=4'; one.dispatchEvent(new Event('change')) })()`)
  await page.until(`location.hash.includes('at_once')`)
  await page.until(`document.getElementById('progress').textContent === ''`, 'the what-if', 120000)
  await press(page, 'Keep for comparison')
  await page.until(`document.querySelectorAll('main .scroll table').length >= 3`, 'a comparison', 120000)
  quiet(page)
})

test('the paper has its experiment, its own figures and the four equations', async () => {
  const page = await opened(made('paper.html') + '#view=paper')
  await page.until(`document.querySelectorAll('main .scroll tbody tr').length === 18`, 'its twelve migrations and six figures')
  const theirs = json('predict', 'scenarios/paper/live.toml', '--profile', 'scenarios/paper/profile.toml').results
  const [header, ...rows] = cells((await exported(page, 'Data (CSV)')).text.replace(/"[^"]*"/g, 'guest'))
  theirs.forEach((one, i) => assert.equal(rows[i][header.indexOf('tmt_s')], String(one.tmt_s), one.name))
  quiet(page)
})

test('each view exports a picture, its data, the scenario and the command line that gives the same', async () => {
  const page = await opened(made('exports.html') + encodeURI(BUSY))
  await settled(page)
  const { text } = await exported(page, 'Scenario (TOML)')
  writeFileSync(join(folder, 'exported.toml'), text)
  assert.deepEqual(json('predict', join(folder, 'exported.toml')).terms, json('predict', '--memory', '4GiB', '--touched', '3GiB', '--workload', 'uniform(wss=512MiB, rate=60000p/s)', '--link', '1Gbit/s').terms)
  for (const view of ['time', 'compare', 'border', 'models', 'paper']) {
    await page.run(`location.hash = location.hash.replace(/view=\\w+/, 'view=${view}')`)
    await page.until(`document.querySelector('#frame').dataset.view === '${view}'`)
    await page.until(view === 'border' ? `document.getElementById('progress').textContent.includes('64 points')` : `document.querySelectorAll('main .scroll tbody tr').length > 1`, view, 60000)
    if (view !== 'models') {
      const picture = await exported(page, 'Picture')
      assert.ok(picture.name.endsWith('.png') && picture.text.length > 5000, view)
    }
    assert.ok(cells((await exported(page, 'Data (CSV)')).text).length > 1, view)
    await press(page, 'Command line')
    const line = await page.until(`document.getElementById('notice').textContent || document.getElementById('spoken').textContent`)
    assert.ok(line, view)
  }
  quiet(page)
})

test('hostile names and long texts are text, wherever they come from', async () => {
  const names = ['<img src=x onerror=alert(1)>', '"><script>window.hurt = 1</script>', `'; window.hurt = 1; '`, '{{given}}', '\u202eabc', 'x'.repeat(1 << 20)]
  for (const [i, name] of names.entries()) {
    const file = join(folder, `hostile${i}.toml`)
    writeFileSync(file, `[[guest]]\nname = ${JSON.stringify(name)}\nmemory = "1GiB"\n[link]\ncapacity = "1Gbit/s"\n`)
    const page = await opened(made(`hostile${i}.html`, file))
    await settled(page)
    const verdict = await page.run(`document.getElementById('verdict').textContent`)
    if (i < 4) assert.ok(verdict.startsWith(name), verdict.slice(0, 100))
    assert.ok(!verdict.includes('\u202e'))
    for (const view of ['compare', 'models', 'time']) {
      await page.run(`[...document.querySelectorAll('#views button')].find((one) => one.dataset.view === '${view}').click()`)
      await page.until(`document.querySelectorAll('main .scroll tbody tr').length > 1`, view)
    }
    assert.equal(await page.run(`window.hurt ?? document.querySelectorAll('img, iframe, object').length`), 0)
    quiet(page)
  }
})

test('a megabyte in any field is text, and told to be wrong', async () => {
  const page = await opened(made('long.html'))
  await settled(page)
  await page.run(`document.querySelectorAll('details').forEach((one) => { one.open = true })`)
  const ids = await page.run(`[...document.querySelectorAll('#controls input[type=text]')].map((one) => one.id)`)
  for (const id of ids.filter((id) => id !== 'key-name')) {
    await page.run(`(() => { const one = document.getElementById('${id}'); one.value = '<b>x</b>'.repeat(131072); one.dispatchEvent(new Event('input')) })()`)
    await page.until(`document.getElementById('view').classList.contains('stale')`, `${id} is wrong`, 30000)
    await page.run(`(() => { const one = document.getElementById('${id}'); one.value = ''; one.dispatchEvent(new Event('input')) })()`)
    await page.run(`(() => { const one = document.getElementById('key-memory'); one.value = '4GiB'; one.dispatchEvent(new Event('input')) })()`)
    await page.run(`(() => { const one = document.getElementById('key-link'); one.value = '1Gbit/s'; one.dispatchEvent(new Event('input')) })()`)
    await page.until(`!document.getElementById('view').classList.contains('stale')`, `right again after ${id}`, 30000)
  }
  quiet(page)
})

test('a damaged address or file is told, and never a blank page', async () => {
  const file = made('damaged.html')
  for (const hash of ['#view=nowhere', '#%E0%A4%A', '#memory=<b>', `#${'x='.repeat(5000)}`, '#memory=4GiB&nokey=1', '#9.memory=1GiB', '#view=border&x=rate', '#view=border&x=rate=a..b:3&y=%00', '#view=fleet&deadline=soon', '#changes=[[[', '#view=time&throttle={']) {
    const page = await opened(file + hash)
    const text = await page.until(`document.querySelector('main').textContent`)
    assert.ok(text.length > 40, hash)
    quiet(page)
  }
  const whole = readFileSync(join(folder, 'damaged.html'), 'utf8')
  for (const [i, [what, words]] of [[whole.replace(/(id="given">)[^<]*/, '$1{"settings": [{'), 'damaged'], [whole.replace(/(id="module">.{1000})./, '$1*'), 'could not be started'], [whole.replace(/(id="module">.{5000}).{5000}/, '$1'), 'could not be started']].entries()) {
    writeFileSync(join(folder, `damaged${i}.html`), what)
    const page = await opened(`file://${join(folder, `damaged${i}.html`)}`)
    await page.until(`document.body.textContent.includes(${JSON.stringify(words)})`, words)
  }
})

test('nothing serious bars anybody: axe finds none in any view, light or dark, wide or narrow', async () => {
  const axe = readFileSync(join(root, 'target/explore/node_modules/axe-core/axe.min.js'), 'utf8')
  const url = made('axe.html', 'scenarios/fleet/rack.toml')
  for (const [size, theme] of [[1280, 'light'], [390, 'dark']]) {
    const page = await opened(url, { size })
    await page.until(`document.querySelector('#gantt')`, 'the fleet', 60000)
    await page.run(axe)
    if (theme === 'dark') await press(page, 'Dark / light')
    for (const view of ['fleet', 'time', 'compare', 'border', 'models', 'paper']) {
      await page.run(`[...document.querySelectorAll('#views button')].find((one) => one.dataset.view === '${view}').click()`)
      await new Promise((resolve) => setTimeout(resolve, 1500))
      const found = await page.run(`axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations.filter(({ impact }) => ['serious', 'critical'].includes(impact)).map(({ id, nodes }) => id + ': ' + nodes.slice(0, 4).map((one) => one.html.slice(0, 160) + ' ' + one.failureSummary).join(' | ')))`)
      assert.deepEqual(found, [], `${view} ${size} ${theme}`)
      const wide = await page.run('document.documentElement.scrollWidth')
      assert.ok(wide <= size + 1, `${view}: ${wide} px on ${size}`)
    }
  }
})

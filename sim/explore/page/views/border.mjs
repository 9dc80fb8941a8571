// The border of convergence: a map over any two keys, drawn coarse and made finer, zoomed by dragging; a click opens a migration.
import { Chart } from '../chart.mjs'
import { complain } from '../controls.mjs'
import { css, el, tell } from '../dom.mjs'
import { Stopped, ask, askLong, stopLong } from '../engine.mjs'
import * as files from '../files.mjs'
import { change, hosts, setting, state } from '../state.mjs'
import * as units from '../units.mjs'

const FIGURES = { tmt_s: 'total migration time', downtime_s: 'downtime', wire_bytes: 'bytes on the wire', dirty_syncs: 'dirty syncs', p_converge: 'probability of converging' }
// So many points across, one after the other.
const GRIDS = [8, 16, 32, 64]
// So many are asked at a time, so that a drag is answered soon.
const PART = 256
const START = { x: 'rate=1000p/s..100000p/s:64:log', y: 'link=500Mbit/s..10Gbit/s:64:log' }
// Cividis, which colour-blind people read like everybody.
const RAMP = ['#00224e', '#123570', '#3b496c', '#575d6d', '#707173', '#8a8678', '#a59c74', '#c3b369', '#e1cc55', '#fee838']
const MARGIN = { left: 74, top: 10, right: 96, bottom: 44 }

let catalog, parts, turn, grid, drag

// An axis as `--vary` writes it: KEY=FROM..TO:N, or KEY=A,B,C. `none` as the second: lines over the first.
function axis(name) {
  const text = state.own[name] ?? START[name]
  const found = /^([^=]+)=(.*?)\.\.(.*?)(?::(\d+))?(:log)?$/.exec(text)
  if (found) return { key: found[1], from: found[2], to: found[3], log: Boolean(found[5]) }
  const [key, list] = text.split(/=(.*)/s)
  return { key, list }
}
const isLine = () => state.own.y === 'none'
const kindOf = (key) => ({ wss: 'size', rate: 'page-rate' })[key] ?? catalog.keys.find((known) => known.name === key)?.kind ?? 'number'
// Some keys have few whole values; others go by equal ratios.
const range = ({ key, from, to, log, list }, n) => (list !== undefined ? `${key}=${list}` : `${key}=${from}..${to}:${n}${log ? ':log' : ''}`)

export function enter(place, known) {
  catalog = known
  turn = 0
  grid = null
  const keys = ['rate', 'wss', ...known.keys.filter(({ kind }) => ['size', 'rate', 'time', 'whole', 'page-rate'].includes(kind)).map(({ name }) => name)]
  const axes = (name) => {
    const parts = {}
    const put = () => {
      const key = parts.key.value
      change((to) => { to.own[name] = key === 'none' ? key : `${key}=${parts.from.value.trim()}..${parts.to.value.trim()}:64${kindOf(key) === 'whole' ? '' : ':log'}` })
    }
    parts.key = el('select', { 'aria-label': `${name} axis`, onchange: () => {
      [parts.from.value, parts.to.value] = ends(parts.key.value, kindOf(parts.key.value))
      put()
    } }, [...keys, ...(name === 'y' ? ['none'] : [])].map((key) => el('option', { value: key }, key === 'none' ? 'nothing: lines' : key)))
    parts.from = el('input', { type: 'text', size: 10, 'aria-label': `${name} axis from`, onchange: put })
    parts.to = el('input', { type: 'text', size: 10, 'aria-label': `${name} axis to`, onchange: put })
    return { ...parts, element: el('label', {}, name === 'x' ? 'Across' : 'Upwards', el('span', { class: 'row' }, parts.key, parts.from, 'to', parts.to)) }
  }
  parts = {
    x: axes('x'), y: axes('y'),
    of: el('select', { 'aria-label': 'What is drawn', onchange: () => change((to) => { to.own.of = parts.of.value }) }, Object.entries(FIGURES).map(([value, words]) => el('option', { value }, words))),
    canvas: el('canvas', { class: 'map', tabindex: 0, role: 'img', 'aria-label': 'Map' }),
    lines: [new Chart('Total migration time', { unit: 's' }), new Chart('Downtime', { unit: 's' })],
    here: el('p', { class: 'small', id: 'here' }), state: el('p', { class: 'small dim', id: 'progress' }),
  }
  place.append(
    el('div', { class: 'row' }, parts.x.element, parts.y.element, el('label', {}, 'Figure', parts.of),
      el('button', { onclick: () => change((to) => { delete to.own.x; delete to.own.y }) }, 'Whole map'), el('button', { onclick: () => { turn += 1; stopLong(); parts.state.textContent = 'Stopped.' } }, 'Stop')),
    parts.canvas, ...parts.lines.map((chart) => chart.element), parts.here, parts.state,
    el('p', { class: 'small dim' }, 'Drag a rectangle to look closer. Click a point to open that migration; with the keyboard: arrows and Enter. Ring: the setting as it is. Hatched: it does not converge. Crossed: QEMU or libvirt refuses it. Colours span the middle nine tenths of the figures; what lies beyond has the colour of the end.'))
  const { canvas } = parts
  canvas.addEventListener('pointerdown', (event) => { drag = { from: place_(event) }; canvas.setPointerCapture(event.pointerId) })
  canvas.addEventListener('pointermove', (event) => { const here = place_(event); if (drag) drag.to = here; pointed(here); paint() })
  canvas.addEventListener('pointerup', (event) => {
    const { from } = drag ?? {}
    const to = place_(event)
    drag = null
    if (!from || !grid) return
    if (Math.abs(to.x - from.x) < 0.02 && Math.abs(to.y - from.y) < 0.02) openAt(to)
    else zoom(from, to)
  })
  canvas.addEventListener('keydown', (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key]
    if (step && grid) {
      event.preventDefault()
      const at = parts.at ?? { x: 0.5, y: 0.5 }
      pointed({ x: clamp(at.x + step[0] / grid.nx), y: clamp(at.y + step[1] / grid.ny) })
      paint()
    }
    if (event.key === 'Enter' && parts.at) openAt(parts.at)
  })
  parts.watch = new ResizeObserver(() => paint())
  parts.watch.observe(place)
}

export function leave() {
  turn += 1
  stopLong()
  parts.watch.disconnect()
  for (const chart of parts.lines) chart.end()
}

const ENDS = { memory: ['512MiB', '256GiB'], touched: ['256MiB', '4GiB'], downtime_limit: ['10ms', '10s'], rtt: ['50us', '100ms'], link: ['100Mbit/s', '100Gbit/s'], vcpus: ['1', '64'], multifd_channels: ['0', '16'], wss: ['16MiB', '3GiB'], rate: ['1000p/s', '200000p/s'] }
const ends = (key, kind) => ENDS[key] ?? { size: ['1MiB', '1GiB'], rate: ['10Mbit/s', '10Gbit/s'], time: ['100ms', '1000s'], whole: ['1', '16'] }[kind] ?? ['1', '10']

export async function update() {
  for (const name of ['x', 'y']) {
    const { key, from, to } = axis(name)
    if (![...parts[name].key.options].some(({ value }) => value === key)) parts[name].key.append(el('option', { value: key }, key))
    parts[name].key.value = key
    for (const [field, text] of [['from', from], ['to', to]]) {
      parts[name][field].value = text ?? ''
      parts[name][field].disabled = text === undefined
    }
  }
  const line = isLine()
  parts.canvas.style.display = line ? 'none' : ''
  for (const chart of parts.lines) chart.element.style.display = line ? '' : 'none'
  parts.of.value = state.own.of ?? 'tmt_s'
  const mine = ++turn
  stopLong()
  for (const n of GRIDS) {
    const vary = line ? [range(axis('x'), 4 * n)] : [range(axis('x'), n), range(axis('y'), n)]
    const asked = { ask: 'sweep', question: setting(), ...hosts(), vary, intervals: parts.of.value === 'p_converge' }
    const results = []
    let count = 1
    let first
    // Intervals take sixty times as long: of those the finest map is left out.
    if (asked.intervals && n > 32) return
    try {
      while (results.length < count) {
        const part = await askLong({ ...asked, from: results.length, until: results.length + (asked.intervals ? 16 : PART) })
        if (mine !== turn) return
        complain('')
        first ??= part
        count = part.count
        results.push(...part.results)
        parts.state.textContent = `${n} points across: ${results.length} of ${count}`
      }
    } catch (error) {
      if (error instanceof Stopped || mine !== turn) return
      complain(error.message)
      parts.state.textContent = error.message
      return
    }
    const [x, y = { name: 'y', texts: [''] }] = first.axes
    grid = { x, y, nx: x.texts.length, ny: y.texts.length, results, vary, asked }
    parts.state.textContent = `${count} migrations.`
    if (line) drawLines()
    else paint()
  }
  tell(summary())
}

const summary = () => {
  const fails = grid.results.filter((one) => one.outcome !== 'completed').length
  return `Of ${grid.results.length} migrations ${fails} do not converge.`
}

// Total time and downtime over one quantity; where it does not converge, shaded.
function drawLines() {
  const { key, list } = axis('x')
  const kind = kindOf(key)
  const place = (text, i) => { const value = units.isSliding(kind) ? units.parse(kind, text) : Number(text); return list !== undefined || Number.isNaN(value) ? i : value }
  const at = grid.x.texts.map(place)
  const log = axis('x').log && at[0] > 0
  const x = (value) => (log ? Math.log10(value) : value)
  const points = (figure) => grid.results.map((one, i) => [x(at[i]), one[figure] ?? null])
  const spans = grid.results.flatMap((one, i) => (done(one) ? [] : [{ from: x(at[Math.max(i - 1, 0)] + (at[i] - at[Math.max(i - 1, 0)]) / 2), to: x(at[i] + (at[Math.min(i + 1, at.length - 1)] - at[i]) / 2), colour: 'down' }]))
  const write = (value) => { const real = log ? 10 ** value : value; return units.isSliding(kind) && list === undefined ? units.write(kind, real) : grid.x.texts[Math.round(real)] ?? String(Number(real.toPrecision(4))) }
  const [total, down] = parts.lines
  const show = (chart, figure, colour) => chart.show({ from: x(at[0]), to: x(at.at(-1)), spans, series: [{ label: figure === 'tmt_s' ? 'total' : 'downtime', colour, breaks: true, points: points(figure) }], described: summary() })
  for (const chart of parts.lines) Object.assign(chart, { x: `${key}${spans.length ? ' (shaded: it does not converge)' : ''}`, tick: (u, ticks) => ticks.map(write) })
  show(total, 'tmt_s', 'blue')
  show(down, 'downtime_s', 'orange')
}

// A sweep's first range changes slowest.
const cell = (ix, iy) => grid.results[ix * grid.ny + iy]
const figure = (one) => one?.[state.own.of ?? 'tmt_s']
const done = (one) => one?.outcome === 'completed'
const clamp = (share) => Math.min(Math.max(share, 0), 1 - 1e-9)

function paint() {
  const { canvas } = parts
  const look = getComputedStyle(canvas.parentElement)
  const room = canvas.parentElement.clientWidth - parseFloat(look.paddingLeft) - parseFloat(look.paddingRight)
  const width = Math.max(280, Math.min(room, 900))
  const height = Math.round(width * 0.62)
  const scale = devicePixelRatio || 1
  Object.assign(canvas, { width: width * scale, height: height * scale })
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` })
  const to = canvas.getContext('2d')
  to.scale(scale, scale)
  to.fillStyle = css('ground')
  to.fillRect(0, 0, width, height)
  if (!grid || isLine()) return
  const box = { x: MARGIN.left, y: MARGIN.top, w: width - MARGIN.left - MARGIN.right, h: height - MARGIN.top - MARGIN.bottom }
  parts.box = box
  const { low, high, least, most, of } = colours()
  const [w, h] = [box.w / grid.nx, box.h / grid.ny]
  for (let ix = 0; ix < grid.nx; ix += 1) {
    for (let iy = 0; iy < grid.ny; iy += 1) {
      const one = cell(ix, iy)
      const [x, y] = [box.x + ix * w, box.y + box.h - (iy + 1) * h]
      const shows = state.own.of === 'p_converge' ? figure(one) !== undefined && figure(one) !== null : done(one)
      to.fillStyle = shows ? of(figure(one)) : css('panel')
      to.fillRect(x, y, w + 0.5, h + 0.5)
      if (!done(one) && state.own.of !== 'p_converge') hatch(to, x, y, w, h, one?.ending === 'refused')
    }
  }
  edges(to, box)
  ring(to, box)
  bar(to, box, { low, high, least, most })
  if (drag?.to) {
    to.strokeStyle = css('bad')
    to.strokeRect(box.x + drag.from.x * box.w, box.y + (1 - drag.from.y) * box.h, (drag.to.x - drag.from.x) * box.w, (drag.from.y - drag.to.y) * box.h)
  } else if (parts.at && document.activeElement === canvas) {
    to.strokeStyle = css('bad')
    to.lineWidth = 2
    const [ix, iy] = [Math.floor(parts.at.x * grid.nx), Math.floor(parts.at.y * grid.ny)]
    to.strokeRect(box.x + ix * w, box.y + box.h - (iy + 1) * h, w, h)
  }
  canvas.setAttribute('aria-label', `Map of ${FIGURES[parts.of.value]} over ${grid.x.name} and ${grid.y.name}. ${summary()}`)
}

// From the fifth to the 95th percentile, by ratios where they span much: one outlier washes nothing out.
function colours() {
  const all = grid.results.filter((one) => done(one) || state.own.of === 'p_converge').map(figure).filter((value) => Number.isFinite(value)).sort((a, b) => a - b)
  if (!all.length) return { low: 0, high: 1, least: 0, most: 1, of: () => RAMP[0] }
  let [low, high] = [all[Math.floor(0.05 * (all.length - 1))], all[Math.ceil(0.95 * (all.length - 1))]]
  if (state.own.of === 'p_converge') [low, high] = [0, 1]
  const log = low > 0 && high / low > 8
  const share = (value) => (high === low ? 0.5 : log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low))
  const of = (value) => RAMP[Math.round(Math.min(Math.max(share(value), 0), 1) * (RAMP.length - 1))]
  return { low, high, least: all[0], most: all.at(-1), of }
}

function hatch(to, x, y, w, h, crossed) {
  to.save()
  to.beginPath()
  to.rect(x, y, w, h)
  to.clip()
  to.strokeStyle = css('dim')
  to.lineWidth = 0.8
  to.beginPath()
  const step = 7
  // Strokes run on from field to field.
  for (let at = Math.floor((x - y - h) / step) * step; at < x + w - y + step; at += step) {
    to.moveTo(y + at, y)
    to.lineTo(y + h + at, y + h)
    if (crossed) { to.moveTo(2 * x + w - y - at, y); to.lineTo(2 * x + w - y - h - at, y + h) }
  }
  to.stroke()
  to.restore()
}

// A value of an axis as people write it.
function short(axis, i) {
  const kind = kindOf(axis.name)
  const value = units.isSliding(kind) ? units.parse(kind, axis.texts[i]) : NaN
  return Number.isNaN(value) ? axis.texts[i] : units.write(kind, value)
}

function edges(to, box) {
  to.strokeStyle = css('text')
  to.fillStyle = css('text')
  to.lineWidth = 1
  to.strokeRect(box.x, box.y, box.w, box.h)
  to.font = '12px system-ui, sans-serif'
  const few = (n, room) => { const step = Math.max(1, Math.ceil(n / room)); return [...Array(n).keys()].filter((i) => i % step === 0) }
  to.textAlign = 'center'
  for (const i of few(grid.nx, Math.floor(box.w / 90))) to.fillText(short(grid.x, i), box.x + (i + 0.5) * box.w / grid.nx, box.y + box.h + 16)
  to.fillText(grid.x.name, box.x + box.w / 2, box.y + box.h + 36)
  to.textAlign = 'right'
  for (const i of few(grid.ny, 8)) to.fillText(short(grid.y, i), box.x - 5, box.y + box.h - (i + 0.5) * box.h / grid.ny + 4)
  to.save()
  to.translate(12, box.y + box.h / 2)
  to.rotate(-Math.PI / 2)
  to.textAlign = 'center'
  to.fillText(grid.y.name, 0, 0)
  to.restore()
}

const said = (value) => ({ tmt_s: units.time, downtime_s: units.time, wire_bytes: units.size, p_converge: units.percent })[state.own.of ?? 'tmt_s']?.(value) ?? String(Math.round(value))

// Where the setting as it is lies, as shares of the axes; `null`: outside, or on an axis without numbers.
function here() {
  const share = (name) => {
    const { key, from, to, log, list } = axis(name)
    const kind = kindOf(key)
    if (list !== undefined) return NaN
    const text = new RegExp(`\\b${key}=([^,()]+)`).exec(['rate', 'wss'].includes(key) ? setting().workload ?? '' : '')?.[1] ?? setting()[key]
    const [at, low, high] = [text, from, to].map((one) => (units.isSliding(kind) ? units.parse(kind, one) : Number(one)))
    return log ? Math.log(at / low) / Math.log(high / low) : (at - low) / (high - low)
  }
  const [x, y] = [share('x'), share('y')]
  return [x, y].every((one) => one >= 0 && one <= 1) ? { x, y } : null
}

function ring(to, box) {
  const at = here()
  if (!at) return
  for (const [colour, width] of [['ground', 5], ['text', 2]]) {
    to.strokeStyle = css(colour)
    to.lineWidth = width
    to.beginPath()
    to.arc(box.x + at.x * box.w, box.y + (1 - at.y) * box.h, 7, 0, 2 * Math.PI)
    to.stroke()
  }
}

function bar(to, box, { low, high, least, most }) {
  const [x, w] = [box.x + box.w + 14, 16]
  RAMP.forEach((colour, i) => {
    to.fillStyle = colour
    to.fillRect(x, box.y + box.h * (1 - (i + 1) / RAMP.length), w, box.h / RAMP.length + 0.5)
  })
  to.fillStyle = css('text')
  to.textAlign = 'left'
  to.fillText(`${most > high ? '\u2265' : ''}${said(high)}`, x + w + 4, box.y + 11)
  to.fillText(`${least < low ? '\u2264' : ''}${said(low)}`, x + w + 4, box.y + box.h)
}

function place_(event) {
  const { left, top } = parts.canvas.getBoundingClientRect()
  const { x, y, w, h } = parts.box ?? { x: 0, y: 0, w: 1, h: 1 }
  return { x: clamp((event.clientX - left - x) / w), y: clamp(1 - (event.clientY - top - y) / h) }
}

function pointed(at) {
  if (!grid) return
  parts.at = at
  const [ix, iy] = [Math.floor(at.x * grid.nx), Math.floor(at.y * grid.ny)]
  const one = cell(ix, iy)
  const what = done(one) ? `${units.time(one.tmt_s)} in all, down for ${units.time(one.downtime_s)}` : one?.reason ?? one?.ending ?? ''
  parts.here.textContent = `${grid.x.name} ${short(grid.x, ix)}, ${grid.y.name} ${short(grid.y, iy)}: ${what}`
}

function zoom(a, b) {
  const part = (name, from, to) => {
    const texts = grid[name].texts
    const at = (share, up) => texts[Math.min(texts.length - 1, Math.max(0, (up ? Math.ceil : Math.floor)(share * texts.length)))]
    const now = axis(name)
    const [low, high] = [at(Math.min(from, to), false), at(Math.max(from, to), true)]
    return low === high || now.list !== undefined ? state.own[name] ?? START[name] : range({ ...now, from: low, to: high }, 64)
  }
  const next = { x: part('x', a.x, b.x), y: part('y', a.y, b.y) }
  parts.at = null
  parts.here.textContent = ''
  change((to) => { Object.assign(to.own, next) })
}

async function openAt(at) {
  const [ix, iy] = [Math.floor(at.x * grid.nx), Math.floor(at.y * grid.ny)]
  const index = ix * grid.ny + iy
  try {
    const { question } = await ask({ ...grid.asked, from: index, until: index + 1 })
    change((to) => { Object.assign(to.settings[0], question); to.view = 'time' })
  } catch (error) {
    complain(error.message)
  }
}

const vary = () => (isLine() ? [axis('x')] : [axis('x'), axis('y')]).map((one) => range(one, parts.of.value === 'p_converge' ? 32 : GRIDS.at(-1)))
export const command = () => files.command(catalog, 'sweep', setting(), [...vary().map((text) => `--vary '${text}'`), '--plot map.svg'])
export function rows() {
  if (!grid) return null
  if (isLine()) return [[grid.x.column, 'outcome', 'tmt_s', 'downtime_s'], grid.results.map((one) => [one.varied[grid.x.column], one.outcome, one.tmt_s, one.downtime_s])]
  return [[grid.x.column, grid.y.column, 'outcome', 'tmt_s', 'downtime_s', 'wire_bytes', 'dirty_syncs'], grid.results.map((one) => [one.varied[grid.x.column], one.varied[grid.y.column], one.outcome, one.tmt_s, one.downtime_s, one.wire_bytes, one.dirty_syncs])]
}
export const picture = () => (isLine()
  ? files.png('sweep.png', parts.lines.map((chart) => chart.picture()), `Over ${axis('x').key}`)
  : files.png('border.png', [{ canvas: parts.canvas }], `${FIGURES[parts.of.value]} over ${axis('x').key} and ${axis('y').key}`))

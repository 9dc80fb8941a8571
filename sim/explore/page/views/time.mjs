// One migration over time: what is left to send, rates, throttle, the downtime's parts, the four terms, and memory page by page.
import { Chart } from '../chart.mjs'
import { complain, addSetting } from '../controls.mjs'
import { css, el, put, table, tell } from '../dom.mjs'
import { Stopped, askLong, latest, stopLong } from '../engine.mjs'
import * as files from '../files.mjs'
import { change, hosts, set, setting, state } from '../state.mjs'
import * as units from '../units.mjs'

const GIB = 2 ** 30
const PAGE = 4096
const STATES = [['sent', 'blue', 'the destination has it'], ['zero', 'line', 'zero'], ['waiting', 'orange', 'to be sent'], ['dirtied', 'pink', 'written since it was sent']]
const TERMS = {
  TI: 'all iterations, until the last look at the dirty log',
  OV: 'what comes before and after the iterations; after a switch to post-copy, the pages that are sent then',
  DM: 'dirty memory that is sent while the guest is down',
  VS: 'the state of vCPUs and devices',
}

const CHARTS = ['left', 'close', 'rates', 'throttle']
// So many iterations are seen in close-up.
const CLOSE = 5

let catalog, parts, answer, playing, memory, lit, resting, drawn, soon
let shownAt = 0
let shownNext = 0

export function enter(place, known) {
  catalog = known
  memory = null
  lit = null
  drawn = false
  parts = {
    first: el('b'), more: el('span'), shown: new Map(),
    verdict: el('div', { class: 'verdict', id: 'verdict' }),
    figures: el('div', { class: 'figures' }),
    remedies: el('ul', { class: 'remedies', 'aria-label': 'What would help' }),
    left: new Chart('Memory left to send', { unit: 'GiB', moved: at }),
    close: new Chart('The last iterations, in close-up', { unit: 'MiB', moved: at, height: 170 }),
    rates: new Chart('Sent and dirtied', { unit: 'Mbit/s', moved: at, height: 170 }),
    throttle: new Chart('vCPUs held back', { unit: '%', moved: at, height: 130 }),
    terms: el('div', { class: 'terms' }),
    strip: el('div', { class: 'strip', role: 'img' }),
    downtime: el('div'),
    explained: el('ol', { class: 'explained', tabindex: 0, 'aria-label': 'Which rule applied, iteration by iteration' }),
    rounds: el('div'),
    said: el('div', { class: 'small dim' }),
    slider: el('input', { type: 'range', min: 0, max: 1000, value: 0, 'aria-label': 'Moment of the migration', oninput: () => point(last() * parts.slider.value / 1000) }),
    now: el('span', { class: 'small', id: 'now' }),
    play: el('button', { onclick: () => (playing ? pause() : play()) }, 'Play'),
    watch: el('button', { onclick: watch }, 'Show memory page by page'),
    bitmap: el('div', { id: 'memory' }),
  }
  parts.verdict.append(parts.first, parts.more)
  place.append(
    parts.verdict, parts.figures, parts.remedies,
    el('div', { class: 'play' }, parts.play, parts.slider, parts.now),
    ...CHARTS.map((name) => parts[name].element),
    el('div', { class: 'below' }, el('h2', {}, 'The four terms'), parts.terms, parts.strip,
    el('h2', {}, 'The downtime in its parts'), parts.downtime,
    el('h2', {}, 'Memory page by page'), el('div', { class: 'row' }, parts.watch), parts.bitmap,
    el('h2', {}, 'Which rule QEMU applied'), parts.explained,
    el('h2', {}, 'Iterations'), parts.rounds,
    el('h2', {}, 'As it was understood'), parts.said),
  )
}

export function leave() {
  pause()
  cancelAnimationFrame(soon)
  clearTimeout(resting)
  stopLong()
  for (const name of CHARTS) parts[name].end()
}

export function update() {
  latest('predict', { ask: 'predict', question: setting(), ...hosts() }, (found) => {
    if (state.view !== 'time') return
    complain(found.error ?? '')
    // Figures of what was asked before are not those of what stands there now.
    document.getElementById('view').classList.toggle('stale', Boolean(found.error))
    if (found.error) {
      put(parts.first, found.error)
      put(parts.more, '')
      parts.verdict.className = 'verdict bad'
      return
    }
    if (memory && JSON.stringify(answer.prediction.question) !== JSON.stringify(found.prediction.question)) forget()
    answer = found
    // In the same picture as what the hand has moved.
    cancelAnimationFrame(soon)
    soon = requestAnimationFrame(draw)
  })
}

// Where the axis of time ends: with the migration, or with the interval of its end.
function end() {
  const { tmt_s, intervals } = answer.prediction
  const over = units.overAt(answer.prediction)
  return tmt_s === null ? over : Math.max(over, Math.min(intervals?.tmt_s?.p95 ?? over, over * 1.6))
}

// Where the moments end: with the migration, or with its replay page by page.
const last = () => Math.max(units.overAt(answer.prediction), memory?.found.ended_s ?? 0)

// When the guest stops and goes on.
function stopped(p) {
  if (p.downtime_s === null) return null
  const resumed = p.resumed_s ?? p.tmt_s
  return [resumed - p.downtime_s, resumed]
}

function draw() {
  const p = answer.prediction
  const completed = p.outcome === 'completed'
  const [first, ...rest] = answer.verdict.trim().split('\n')
  // What would help stands below, with buttons.
  const more = rest.filter((line) => !/^ {2}(- |It would converge)/.test(line))
  const shape = `verdict ${completed ? '' : 'bad'}`
  if (parts.verdict.className !== shape) parts.verdict.className = shape
  put(parts.first, first)
  put(parts.more, more.length ? `\n${more.join('\n')}` : '')
  tell(first)
  const sure = p.intervals
  figure('Total migration time', units.time(p.tmt_s), completed && sure?.tmt_s)
  figure('Downtime', units.time(p.downtime_s), completed && sure?.downtime_s)
  figure('On the wire', units.size(p.wire_bytes))
  figure('Service lost beside it', p.switched_s === null && !(p.throttled_s > 0) ? '-' : units.time(p.stalled_s + p.throttled_s))
  figure('Converges with', p.p_converge === null || p.p_converge === undefined ? '-' : units.percent(p.p_converge))
  if (answer.remedies.length || parts.remedies.childElementCount) parts.remedies.replaceChildren(...(answer.remedies.length ? [el('li', {}, 'It would converge, all else equal (the least that is expected to do; more makes it surer),')] : []), ...answer.remedies.map(({ words, key, value }) => el('li', {},
    el('button', { onclick: () => set({ [key]: value }) }, 'Do it'), ' ',
    el('button', { onclick: () => { addSetting({ [key]: value || undefined }); change((to) => { to.view = 'compare' }) } }, 'Beside'), ` ${words}`)))
  const down = stopped(p)
  const shade = [
    ...(completed && sure?.tmt_s ? [{ from: sure.tmt_s.p5, to: sure.tmt_s.p95, colour: 'sure' }] : []),
    ...(down ? [{ from: down[0], to: down[1], colour: 'down' }] : []),
    ...litSpans(p),
  ]
  const marks = [
    ...(p.switched_s !== null ? [{ at: p.switched_s, text: 'post-copy' }] : []),
    ...(p.given_up_s !== null ? [{ at: p.given_up_s, text: 'given up' }] : []),
    ...(down && p.switched_s === null && p.mode !== 'offline' ? [{ at: down[0], text: 'the guest stops' }] : []),
  ]
  const to = end()
  const dirtied = p.rounds.map((round, i) => [round.end_s, Math.max(0, round.dirty_pages_at_end - left(i)) * PAGE])
  parts.left.show({
    to, spans: shade, marks,
    series: [
      { label: 'left to send', colour: 'blue', points: answer.left.map(([s, pages]) => [s, pages * PAGE / GIB]) },
      { label: 'dirtied in an iteration', colour: 'orange', dots: true, points: dirtied.map(([s, bytes]) => [s, bytes / GIB]) },
    ],
    described: first,
  })
  const below = [() => drawClose(p, shade, marks, dirtied), () => drawRates(p, to, shade, dirtied)]
  // One of them at a time, in turns.
  if (performance.now() - shownAt > BELOW_MS) {
    below[shownNext]()
    shownNext = (shownNext + 1) % below.length
    shownAt = performance.now()
  }
  clearTimeout(resting)
  resting = setTimeout(() => { for (const one of below) one(); drawRest(p, to) }, drawn ? REST_MS : 0)
  drawn = true
}

// What is read rather than watched is drawn when the hand rests: while a slider is dragged, there are sixteen milliseconds for all.
const REST_MS = 120
// And what stands below the first picture a few times a second.
const BELOW_MS = 250

// What is left beside the threshold below which QEMU looks whether it may stop: too little to be seen beside all memory.
function drawClose(p, shade, marks, dirtied) {
  const rounds = p.rounds.slice(-CLOSE - 1)
  const shown = p.rounds.length > 2 && rounds.some((round) => round.threshold_bytes > 0)
  parts.close.element.style.display = shown ? '' : 'none'
  if (!shown) return
  const from = rounds[0].end_s
  const mib = (bytes) => bytes / 2 ** 20
  // What is left when the guest stops is what QEMU compares.
  const looks = rounds.filter((round) => round.threshold_bytes > 0)
  const within = (points) => points.filter(([s]) => s >= from)
  const left = within(answer.left).map(([s, pages]) => [s, mib(pages * PAGE)])
  parts.close.show({
    from, to: units.overAt(p), marks, spans: shade.filter(({ colour }) => colour === 'down'),
    series: [
      { label: 'left to send', colour: 'blue', points: left },
      { label: 'dirtied in an iteration', colour: 'orange', dots: true, points: within(dirtied).map(([s, bytes]) => [s, mib(bytes)]) },
      { label: 'threshold', colour: 'pink', steps: true, dash: [6, 4], points: looks.flatMap((round) => [[Math.max(round.start_s, from), mib(round.threshold_bytes)], [round.end_s, mib(round.threshold_bytes)]]) },
    ],
    described: 'QEMU looks at the dirty log when less is left than the threshold, and stops the guest if less is left still.',
  })
}

function drawRates(p, to, shade, dirtied) {
  const over = (round) => Math.max(round.end_s - round.start_s, 1e-9)
  const steps = (of) => p.rounds.flatMap((round, i) => [[round.start_s, of(round, i)], [round.end_s, of(round, i)]])
  parts.rates.show({
    to, spans: shade,
    series: [
      { label: 'sent', colour: 'blue', steps: true, points: steps((round) => round.wire_bytes * 8 / over(round) / 1e6) },
      { label: 'dirtied', colour: 'orange', steps: true, dash: [6, 4], points: steps((round, i) => dirtied[i][1] * 8 / over(round) / 1e6) },
    ],
    described: `Sent as fast as ${p.bound_by_words ?? 'the path'} lets it.`,
  })
  const held = p.rounds.some((round) => round.throttle_percent > 0)
  parts.throttle.element.style.display = held ? '' : 'none'
  if (held) parts.throttle.show({ to, top: 100, spans: shade, series: [{ label: 'throttle', colour: 'orange', steps: true, points: steps((round) => round.throttle_percent) }] })
}

function drawRest(p, to) {
  const over = (round) => Math.max(round.end_s - round.start_s, 1e-9)
  drawTerms(p, to)
  drawDowntime(p)
  parts.explained.replaceChildren(...answer.explained.trim().split('\n').map((line) => el('li', { 'data-iteration': iterationOf(line) }, line)))
  const rows = p.rounds.map((round) => el('tr', { 'data-iteration': round.n },
    [round.iterations > 1 ? `${round.n + 1 - round.iterations} to ${round.n}` : round.n, round.start_s.toFixed(3), over(round).toFixed(3), Math.round(round.normal_pages), Math.round(round.zero_pages), units.size(round.wire_bytes), Math.round(round.dirty_pages_at_end), `${round.throttle_percent} %`, round.decision].map((cell) => el('td', {}, String(cell)))))
  parts.rounds.replaceChildren(table(['iteration', 'from, s', 'for, s', 'normal', 'zero', 'on the wire', 'dirty after it', 'throttle', 'decision'], rows))
  const outside = p.outside.map(({ quantity, value, seen }) => `${quantity} ${value} (seen: ${seen.join(' to ')})`)
  parts.said.replaceChildren(
    el('p', {}, p.question_line),
    ...p.warnings.map((text) => el('p', {}, `Note: ${text}.`)),
    outside.length ? el('p', {}, `Outside of the runs behind the profile: ${outside.join('; ')}. Intervals are wider there.`) : '',
  )
  parts.at = undefined
  if (!playing) moment(Math.min(parts.slider.value / 1000, 1) * last())
}

function figure(name, value, span) {
  let shown = parts.shown.get(name)
  if (!shown) {
    shown = [el('b', { 'data-figure': name }), el('small')]
    parts.shown.set(name, shown)
    parts.figures.append(el('div', {}, el('small', {}, name), shown))
  }
  put(shown[0], value)
  put(shown[1], span ? `90 %: ${units.span(span)}` : '')
}

// What an iteration left unsent, from the two points that each has in `left`.
const left = (index) => answer.left[2 * index + 1]?.[1] ?? 0
const iterationOf = (line) => /^Iterations? (?:\d+ to )?(\d+)/.exec(line)?.[1]

// The four terms on the axis of time: TI and OV over all of it, DM and VS within the downtime.
function spansOf(p) {
  if (p.outcome !== 'completed') return null
  const { ti_s, ov_s, dm_s, vs_s } = p.terms
  const down = stopped(p) ?? [p.tmt_s, p.tmt_s]
  const begin = p.rounds[0]?.start_s ?? 0
  return {
    TI: ti_s === 0 ? [] : [[begin, begin + ti_s]],
    OV: [[0, begin], [begin + ti_s, p.tmt_s]],
    DM: dm_s ? [[down[0], down[0] + dm_s]] : [],
    VS: [[down[0] + dm_s, down[1]]],
    seconds: { TI: ti_s, OV: ov_s, DM: dm_s, VS: vs_s },
  }
}

function litSpans(p) {
  const spans = lit && spansOf(p)
  return spans ? spans[lit].map(([from, to]) => ({ from, to, colour: 'sure' })) : []
}

function drawTerms(p, to) {
  const spans = spansOf(p)
  if (!spans) {
    parts.terms.replaceChildren(el('p', { class: 'dim' }, 'A migration that does not complete has no total time and no downtime to take apart.'))
    parts.strip.replaceChildren()
    return
  }
  const term = (name) => el('button', { 'aria-pressed': String(lit === name), title: TERMS[name], onclick: () => { lit = lit === name ? null : name; draw() } }, `${name} = ${units.time(spans.seconds[name])}`)
  // Of a guest that is switched at once there are no iterations, and no memory is sent while it is down.
  const [iterated, switched] = [spans.seconds.TI > 0, p.mode === 'postcopy']
  parts.terms.replaceChildren(
    el('div', {}, `TMT = ${iterated ? 'TI + ' : ''}OV = `, iterated ? term('TI') : '', term('OV'), `= ${units.time(p.tmt_s)}`, el('span', { class: 'dim' }, iterated ? '  (1)' : '  (2)')),
    el('div', {}, `TDT = ${switched ? '' : 'DM + '}VS = `, switched ? '' : term('DM'), term('VS'), `= ${units.time(p.downtime_s)}`, el('span', { class: 'dim' }, switched ? '  (4)' : '  (3)')),
    el('p', { class: 'small dim' }, lit ? `${lit}: ${TERMS[lit]}. It is shaded above.` : 'Equations 1 to 4 of the study of Baadal, 2016. Press a term to see it on the axis of time.'),
  )
  const colour = { TI: 'blue', OV: 'green', DM: 'orange', VS: 'pink' }
  const pieces = ['TI', 'OV'].flatMap((name) => spans[name].map((span) => ({ name, span }))).sort((a, b) => a.span[0] - b.span[0])
  parts.strip.setAttribute('aria-label', `TI ${units.time(spans.seconds.TI)} and OV ${units.time(spans.seconds.OV)} in their order`)
  parts.strip.replaceChildren(...pieces.map(({ name, span }) => el('span', { title: `${name}: ${units.time(span[1] - span[0])}`, style: { background: css(colour[name]), flex: `${Math.max(span[1] - span[0], to / 2000)} 0 0`, opacity: lit && lit !== name ? '.35' : '1' } })))
}

const PARTS = { setup_s: 'until the first page', stop_s: 'stopping the vCPUs', flush_s: 'flushing disks', sync_s: 'last look at the dirty log', queued_bytes_s: 'bytes in flight', rest_of_ram_s: 'rest of RAM', device_state_s: 'device state', destination_load_s: 'loading it', control_round_trips_s: 'round trips of control', suspend_s: 'suspend', copy_s: 'copy', resume_s: 'resume' }

function drawDowntime(p) {
  const all = Object.entries(p.downtime_parts ?? {}).filter(([, s]) => s > 0)
  const most = Math.max(...all.map(([, s]) => s), 1e-9)
  parts.downtime.replaceChildren(...(p.downtime_s === null ? [el('p', { class: 'dim' }, 'It is not down.')] : all.map(([name, s]) => el('div', { class: 'bar' },
    el('span', {}, PARTS[name] ?? name), el('i', { style: { width: `${100 * s / most}%` } }), el('span', {}, units.time(s))))))
}

// --- A moment: charts, sentences, table and memory in step.

function at(s) {
  if (!answer) return
  if (!playing) parts.slider.value = 1000 * s / last()
  moment(Math.min(s, last()))
}

// The same, with the cursor of the charts there.
function point(s) {
  if (!answer) return
  moment(s)
  for (const name of CHARTS) parts[name].point(s)
}

function moment(s) {
  const round = answer.prediction.rounds.find((one) => s <= one.end_s) ?? answer.prediction.rounds.at(-1)
  put(parts.now, `${units.time(Math.max(s, 0))}${round ? `, iteration ${round.n}` : ''}`)
  parts.slider.setAttribute('aria-valuetext', parts.now.textContent)
  if (memory) paint(s)
  if (parts.at === round?.n) return
  parts.at = round?.n
  for (const place of [parts.explained, parts.rounds]) {
    for (const one of place.querySelectorAll('[aria-current]')) one.removeAttribute('aria-current')
    const now = round && place.querySelector(`[data-iteration="${round.n}"]`)
    now?.setAttribute('aria-current', 'step')
    if (playing && now) place.scrollTop = now.offsetTop - place.offsetTop - 40
  }
}

const SHOWN_S = 12

function play() {
  const start = performance.now()
  const begun = parts.slider.value >= 999 ? 0 : parts.slider.value / 1000
  parts.play.textContent = 'Pause'
  const step = (now) => {
    const share = Math.min(1, begun + (now - start) / 1000 / SHOWN_S)
    parts.slider.value = 1000 * share
    point(share * last())
    if (share < 1) playing = requestAnimationFrame(step)
    else pause()
  }
  playing = requestAnimationFrame(step)
}

function pause() {
  cancelAnimationFrame(playing)
  playing = undefined
  parts.play.textContent = 'Play'
}

// --- Memory page by page.

const COLUMNS = 512

async function watch() {
  const stop = el('button', { onclick: () => stopLong() }, 'Stop')
  parts.bitmap.replaceChildren(el('p', {}, 'Every page and every write is being replayed ... ', stop))
  parts.watch.disabled = true
  try {
    const seed = Number(state.own.seed ?? 1)
    const found = await askLong({ ask: 'pages', question: setting(), ...hosts(), seed, moments: 240 })
    const rows = Math.ceil(found.pages / COLUMNS)
    const canvas = el('canvas', { class: 'memory', width: COLUMNS, height: rows, role: 'img', 'aria-label': 'Each pixel a page of guest memory' })
    canvas.style.aspectRatio = `${COLUMNS} / ${Math.min(rows, 640)}`
    const counts = el('span', { class: 'small', id: 'counts' })
    memory = { found, bytes: new Uint8Array(found.body), canvas, image: canvas.getContext('2d').createImageData(COLUMNS, rows), counts, index: -1 }
    const chunk = units.parse('size', setting().log_chunk ?? '1GiB') / PAGE
    const borders = chunk > 0 ? [...Array(Math.ceil(found.pages / chunk)).keys()].slice(1, 257) : []
    parts.bitmap.replaceChildren(
      el('div', { class: 'pages' }, canvas, borders.map((n) => el('i', { style: { top: `${100 * n * chunk / found.pages}%` } }))),
      el('div', { class: 'legend' }, STATES.map(([name, colour, words]) => el('span', {}, el('i', { style: { background: css(colour) } }), `${name}: ${words}`))),
      counts,
      el('p', { class: 'small dim' }, `Seed ${seed}: every write drawn and replayed. It ends after ${units.time(found.ended_s)}; the charts, by expected counts, after ${units.time(answer.prediction.tmt_s ?? answer.prediction.given_up_s ?? answer.prediction.timed_out_s)}. Addresses run from left to right and down, ${units.size(COLUMNS * PAGE)} a line; lines part the chunks of the dirty log, which are cleared one by one (${setting().log_chunk ?? '1GiB'}).`),
    )
    parts.slider.value = 0
    moment(0)
  } catch (error) {
    parts.bitmap.replaceChildren(el('p', { class: error instanceof Stopped ? 'dim' : 'wrong' }, error instanceof Stopped ? 'Stopped.' : error.message))
  }
  parts.watch.disabled = false
}

function forget() {
  memory = null
  parts.bitmap.replaceChildren(el('p', { class: 'dim' }, 'The settings have changed.'))
}

function paint(s) {
  const { found, bytes, canvas, image, counts } = memory
  // The replay has draws of its own: it may be over earlier or later than the charts, which are of expected counts.
  let index = found.moments.findIndex((one) => one.at_s > s)
  index = (index < 0 ? found.moments.length : Math.max(index, 1)) - 1
  if (index === memory.index) return
  memory.index = index
  const colours = STATES.map(([, name]) => packed(css(name)))
  const pixels = new Uint32Array(image.data.buffer)
  const start = index * Math.ceil(found.pages / 4)
  for (let page = 0; page < found.pages; page += 1) pixels[page] = colours[(bytes[start + (page >> 2)] >> ((page & 3) * 2)) & 3]
  canvas.getContext('2d').putImageData(image, 0, 0)
  const { at_s, syncs, counts: by } = found.moments[index]
  counts.dataset.index = index
  counts.textContent = `${units.time(at_s)}, ${syncs} dirty syncs: ${by.map((n, i) => `${n} ${STATES[i][0]}`).join(', ')}`
}

function packed(colour) {
  const [r, g, b] = /^#(..)(..)(..)$/.exec(colour)?.slice(1).map((part) => parseInt(part, 16)) ?? [128, 128, 128]
  return (255 << 24 | b << 16 | g << 8 | r) >>> 0
}

// --- What leaves the view.

export const command = () => files.command(catalog, 'predict')
export function rows() {
  if (!answer) return null
  const header = Object.keys(answer.prediction.rounds[0] ?? {})
  return [header, answer.prediction.rounds.map((round) => header.map((name) => round[name]))]
}
export const picture = () => files.png('migration.png', [
  ...CHARTS.map((name) => parts[name]).filter((chart) => !chart.element.style.display).map((chart) => chart.picture()),
  ...(memory ? [{ canvas: memory.canvas, title: parts.now.textContent, legend: STATES.map(([name, colour]) => [name, colour]) }] : []),
], answer.verdict.split('\n')[0])

// Published models on the same question, and predictions against recorded runs.
import { Chart } from '../chart.mjs'
import { complain } from '../controls.mjs'
import { css, el, table, tell } from '../dom.mjs'
import { Stopped, askLong, latest, stopLong } from '../engine.mjs'
import * as files from '../files.mjs'
import { held } from '../given.mjs'
import { change, hosts, setting, state } from '../state.mjs'
import * as units from '../units.mjs'

const PART = 64
const REGIMES = [
  ['writes under 5 % of the link', 'blue', (run) => run.writes_to_link < 0.05],
  ['5 to 50 %', 'green', (run) => run.writes_to_link < 0.5],
  ['50 to 100 %', 'orange', (run) => run.writes_to_link < 1],
  ['more than the link', 'pink', () => true],
]

let catalog, parts, answer, runs, asked
let seen = []

export function enter(place, known) {
  catalog = known
  runs = asked = null
  parts = { models: el('div'), runs: el('div', { id: 'runs' }), picked: el('p', { class: 'small' }) }
  const models = [el('h2', {}, 'Published models on this question'), parts.models]
  const recorded = [el('h2', {}, 'Against recorded runs'), parts.runs, parts.picked]
  // Who brings runs along has come for them.
  place.append(...(held.records.length || held.result?.rows ? [...recorded, ...models] : [...models, ...recorded]))
}

export function leave() {
  stopLong()
  for (const chart of seen) chart.end()
  seen = []
}

export function update() {
  latest('models', { ask: 'predict', question: setting(), ...hosts(), models: true }, (found) => {
    if (state.view !== 'models') return
    complain(found.error ?? '')
    if (found.error) return
    answer = found
    drawModels()
  })
  const now = JSON.stringify([held.records.map(({ name }) => name), hosts()])
  if (asked !== now) {
    asked = now
    if (held.result?.rows) {
      runs = held.result.rows
      drawRuns([])
    } else if (held.records.length) predictRuns()
    else parts.runs.replaceChildren(el('p', { class: 'dim' }, 'Open a file of run records (CSV): each run is predicted here, beside what was measured. `migsim records import` makes one of what virsh, QEMU, Proxmox and others print; `migsim explore RUNS.csv` brings one along.'))
  }
}

function drawModels() {
  const p = answer.prediction
  const all = [['migsim', { converges: p.outcome === 'completed', tmt_s: p.tmt_s, downtime_s: p.downtime_s, formula: 'this simulation', known: '', fair: null }], ...Object.entries(p.models ?? {})]
  const most = (of) => Math.max(...all.map(([, one]) => of(one) ?? 0), 1e-9)
  const [total, down] = [most((one) => one.tmt_s), most((one) => one.downtime_s)]
  const bar = (value, most) => el('div', { class: 'bar', style: { gridTemplateColumns: '6rem 6.5rem' } }, el('i', { style: { width: `${100 * (value ?? 0) / most}%`, background: css('blue') } }), el('span', {}, units.time(value)))
  const rows = all.map(([name, one]) => [name, one.converges ? bar(one.tmt_s, total) : 'does not converge', one.converges ? bar(one.downtime_s, down) : '-', one.formula, one.known])
  const others = catalog.models.filter(({ name }) => !(name in (p.models ?? {}))).map(({ name }) => name)
  parts.models.replaceChildren(
    table(['model', 'total', 'downtime', 'what it computes', 'how that is known'], rows, { words: [0, 3, 4] }),
    others.length ? el('p', { class: 'small dim' }, `Of other modes, and not asked: ${others.join(', ')}.`) : '')
}

async function predictRuns() {
  const mine = asked
  const note = el('p', { class: 'small dim' })
  parts.runs.replaceChildren(note, el('button', { onclick: () => stopLong() }, 'Stop'))
  stopLong()
  const rows = []
  const errors = []
  try {
    for (const file of held.records) {
      for (let from = 0, count = 1; from < count; from += PART) {
        const part = await askLong({ ask: 'records', ...file, ...hosts(), from, until: from + PART })
        if (mine !== asked) return
        count = part.count
        if (from === 0) errors.push(...part.errors)
        rows.push(...part.rows)
        note.textContent = `${file.name}: ${Math.min(from + PART, count)} of ${count} runs`
      }
    }
  } catch (error) {
    if (!(error instanceof Stopped)) { parts.runs.replaceChildren(el('p', { class: 'wrong' }, error.message)); return }
  }
  if (mine !== asked || state.view !== 'models') return
  runs = rows
  drawRuns(errors)
}

const quantile = (sorted, q) => (sorted.length ? sorted[Math.min(sorted.length - 1, Math.round(q * (sorted.length - 1)))] : null)
const both = (name) => runs.filter((run) => run.completed && run.pred_completed && run[name] && run[`pred_${name}`])

function drawRuns(errors) {
  const relative = (name) => both(name).map((run) => Math.abs(run[`pred_${name}`] / run[name] - 1)).sort((a, b) => a - b)
  const away = both('downtime_ms').map((run) => Math.abs(run.pred_downtime_ms - run.downtime_ms)).sort((a, b) => a - b)
  const totals = relative('elapsed_ms')
  const verdicts = runs.filter((run) => run.completed !== null)
  const wrong = verdicts.filter((run) => run.completed !== run.pred_completed).length
  const share = (value) => (value === null ? '-' : `${(100 * value).toFixed(1)} %`)
  const off = (q) => (away.length ? units.time(quantile(away, q) / 1e3) : '-')
  const by = held.result?.by ? `, predicted by ${held.result.by}` : ''
  const summary = `${held.records.map(({ name }) => name).join(', ')}${held.records.length ? ': ' : ''}${runs.length} runs${by}. Total time is off by ${share(quantile(totals, 0.5))} (median), ${share(quantile(totals, 0.9))} (p90); downtime by ${off(0.5)} and ${off(0.9)}; ${wrong} of ${verdicts.length} verdicts are wrong.`
  const compared = totals.length || away.length || verdicts.length
  parts.runs.replaceChildren(
    el('p', { id: 'accuracy' }, compared ? summary : `${runs.length} runs${by}. Nothing measured stands in the file (\`elapsed_ms\`, \`downtime_ms\`, \`outcome\`): there is nothing to compare with.`),
    errors.length ? el('details', {}, el('summary', {}, `${errors.length} rows could not be read`), errors.slice(0, 200).map((error) => el('div', { class: 'small' }, error))) : '',
    el('div', { class: 'legend' }, REGIMES.map(([words, colour]) => el('span', {}, el('i', { style: { background: css(colour) } }), words))),
    el('div', { class: 'row' }, scatter('Total migration time, s', 'elapsed_ms'), scatter('Downtime, s', 'downtime_ms')),
    el('h3', {}, 'Errors by how much the guest writes'), byRegime(share),
    held.result?.table ? el('details', { open: true }, el('summary', {}, 'All figures'), el('pre', {}, held.result.table)) : '',
    el('h3', {}, 'The worst'), ...worst())
  tell(summary)
}

function byRegime(share) {
  const rest = new Set(runs)
  return table(['writes', 'runs', 'total: p50', 'p90', 'downtime: p50', 'p90', 'wrong verdicts'], REGIMES.map(([words, , of]) => {
    const mine = [...rest].filter(of)
    mine.forEach((run) => rest.delete(run))
    const done = mine.filter((run) => run.completed && run.pred_completed)
    const sorted = (of) => done.map(of).filter(Number.isFinite).sort((a, b) => a - b)
    const [total, down] = [sorted((run) => Math.abs(run.pred_elapsed_ms / run.elapsed_ms - 1)), sorted((run) => Math.abs(run.pred_downtime_ms - run.downtime_ms) / 1e3)]
    return [words, mine.length, share(quantile(total, 0.5)), share(quantile(total, 0.9)), units.time(quantile(down, 0.5)), units.time(quantile(down, 0.9)), mine.filter((run) => run.completed !== null && run.completed !== run.pred_completed).length]
  }))
}

// The runs whose total times are furthest off; of those of a validation, memory left to send as predicted and as it was seen.
function worst() {
  const away = (run) => Math.abs(Math.log(run.pred_elapsed_ms / run.elapsed_ms))
  const all = both('elapsed_ms').sort((a, b) => away(b) - away(a)).slice(0, 8)
  const line = (run) => [run.id, run.mode, String(run.question.workload), units.rate(run.link_bit_s), units.size(run.memory_bytes), units.time(run.elapsed_ms / 1e3), units.time(run.pred_elapsed_ms / 1e3), units.time(run.downtime_ms / 1e3), units.time(run.pred_downtime_ms / 1e3), opens(run)]
  for (const chart of seen) chart.end()
  seen = (held.result?.worst ?? []).map(({ id, predicted, measured }) => {
    const chart = new Chart(id, { unit: 'MiB left', height: 150 })
    const points = (list) => list.map(([s, bytes]) => [s, bytes / 2 ** 20])
    setTimeout(() => chart.show({ to: Math.max(1e-3, ...predicted.map(([s]) => s), ...measured.map(([s]) => s)), series: [{ label: 'predicted', colour: 'blue', points: points(predicted) }, { label: 'as libvirt told it', colour: 'orange', dots: true, points: points(measured) }] }))
    return chart
  })
  return [table(['run', 'mode', 'writes', 'link', 'memory', 'total', 'predicted', 'downtime', 'predicted', ''], all.map(line), { words: [0, 1, 2] }), ...seen.map((chart) => chart.element)]
}

const opens = (run) => el('button', { onclick: () => change((to) => { to.settings[0] = run.question; to.view = 'time' }) }, 'Open it')

// Predicted over measured, by ratios; a click goes on from the run.
function scatter(title, name) {
  const all = both(name)
  if (!all.length) return el('p', { class: 'dim' }, `${title}: nothing to compare.`)
  const [size, left, below] = [380, 56, 40]
  const values = all.flatMap((run) => [run[name], run[`pred_${name}`]]).map((ms) => Math.max(ms, 1e-3))
  const [low, high] = [Math.log10(Math.min(...values)) - 0.05, Math.log10(Math.max(...values)) + 0.05]
  const span = Math.max(high - low, 1e-6)
  const x = (ms) => left + (size - left - 10) * (Math.log10(Math.max(ms, 1e-3)) - low) / span
  const y = (ms) => size - below - (size - below - 24) * (Math.log10(Math.max(ms, 1e-3)) - low) / span
  const ticks = [...Array(12).keys()].flatMap((i) => [1, 2, 5].map((n) => n * 10 ** (i - 1))).filter((ms) => Math.log10(ms) >= low && Math.log10(ms) <= high)
  const dot = (run) => {
    const [, colour] = REGIMES.find(([, , of]) => of(run))
    const words = `${run.id}: measured ${units.time(run[name] / 1e3)}, predicted ${units.time(run[`pred_${name}`] / 1e3)}`
    return el('circle', { cx: x(run[name]), cy: y(run[`pred_${name}`]), r: 3.5, fill: css(colour), 'fill-opacity': 0.75, 'data-run': run.id, onclick: () => picked(run, words), style: { cursor: 'pointer' } }, el('title', {}, words))
  }
  return el('svg', { class: 'chart', width: size, height: size, viewBox: `0 0 ${size} ${size}`, role: 'img', 'aria-label': `${title}: predicted over measured` },
    el('title', {}, `${title}: predicted over measured`),
    el('text', { x: left, y: 14 }, title),
    el('line', { class: 'axis', x1: left, x2: size - 10, y1: size - below, y2: size - below }), el('line', { class: 'axis', x1: left, x2: left, y1: 24, y2: size - below }),
    el('line', { x1: x(10 ** low), y1: y(10 ** low), x2: x(10 ** high), y2: y(10 ** high), stroke: css('dim'), 'stroke-dasharray': '4 4' }),
    ticks.map((ms) => el('g', {}, el('text', { x: x(ms), y: size - below + 16, 'text-anchor': 'middle' }, String(ms / 1e3)), el('text', { x: left - 6, y: y(ms) + 4, 'text-anchor': 'end' }, String(ms / 1e3)))),
    el('text', { x: (left + size) / 2, y: size - 6, 'text-anchor': 'middle' }, 'measured'),
    el('text', { x: 12, y: size / 2, transform: `rotate(-90 12 ${size / 2})`, 'text-anchor': 'middle' }, 'predicted'),
    all.map(dot))
}

function picked(run, words) {
  parts.picked.replaceChildren(`Line ${run.line}, ${words}. `, opens(run))
}

export const command = () => files.command(catalog, 'predict', setting(), ['--model all'])
export function rows() {
  if (runs) {
    const header = ['line', 'id', 'mode', 'link_bit_s', 'memory_bytes', 'completed', 'elapsed_ms', 'downtime_ms', 'pred_completed', 'pred_elapsed_ms', 'pred_downtime_ms']
    return [header, runs.map((run) => header.map((name) => run[name]))]
  }
  if (!answer) return null
  return [['model', 'converges', 'tmt_s', 'downtime_s'], Object.entries(answer.prediction.models ?? {}).map(([name, one]) => [name, one.converges, one.tmt_s, one.downtime_s])]
}
export function picture() {
  const chart = parts.runs.querySelector('svg')
  if (chart) files.svg('runs.svg', chart)
}

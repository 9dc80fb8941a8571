// Two to four settings side by side: on one axis of time, and in one table.
import { Chart } from '../chart.mjs'
import { addSetting, complain, named } from '../controls.mjs'
import { el, table, tell } from '../dom.mjs'
import { ask } from '../engine.mjs'
import * as files from '../files.mjs'
import { MOST_SETTINGS, activeIndex, change, choose, hosts, state } from '../state.mjs'
import * as units from '../units.mjs'

const COLOURS = ['blue', 'orange', 'green', 'pink']
// What people put beside a setting.
const WAYS = [
  ['auto-converge', { auto_converge: 'true' }], ['post-copy', { mode: 'postcopy' }], ['XBZRLE', { xbzrle: 'true' }],
  ['4 multifd channels', { multifd_channels: '4' }], ['offline', { mode: 'offline' }], ['QEMU 10.1', { qemu: '10.1' }], ['a tenfold link', null],
]

let catalog, parts, found, turn

export function enter(place, known) {
  catalog = known
  found = []
  turn = 0
  parts = { chart: new Chart('Memory left to send', { unit: 'GiB', height: 260 }), chosen: el('div', { class: 'settings-tabs' }), more: el('div', { class: 'row' }), table: el('div'), words: el('div') }
  place.append(parts.chosen, parts.more, parts.chart.element, parts.table, parts.words)
}

export function leave() { parts.chart.end() }

export async function update() {
  if (state.settings.length < 2) {
    const busy = { ...state.settings[0] }
    state.settings.push({ ...busy, mode: busy.mode === 'postcopy' ? 'precopy' : 'postcopy' })
  }
  const mine = ++turn
  const answers = await Promise.all(state.settings.map((question) => ask({ ask: 'predict', question, ...hosts() }).catch((error) => ({ error: error.message }))))
  if (mine !== turn || state.view !== 'compare') return
  found = answers
  complain(answers[activeIndex()]?.error ?? '')
  draw()
}

function draw() {
  const names = state.settings.map((keys, index) => `${index + 1}: ${named(keys, index)}`)
  parts.chosen.replaceChildren(...names.map((name, index) => el('span', {},
    el('button', { 'aria-pressed': String(index === activeIndex()), onclick: () => choose(index) }, name),
    state.settings.length > 2 ? el('button', { 'aria-label': `Remove ${name}`, onclick: () => change((to) => { to.settings.splice(index, 1) }) }, '\u00d7') : '')))
  const full = state.settings.length >= MOST_SETTINGS
  parts.more.replaceChildren(full ? '' : el('span', { class: 'dim' }, 'Beside it: '), ...(full ? [] : WAYS.map(([name, keys]) => el('button', { onclick: () => addSetting(keys ?? faster()) }, name))))
  const right = found.map((one, index) => ({ one, index })).filter(({ one }) => !one.error)
  const end = ({ prediction }) => units.overAt(prediction)
  const last = Math.max(...right.map(({ one }) => end(one)), 1e-3)
  // One that never ends does not press the others to the edge.
  const ended = right.filter(({ one }) => one.prediction.tmt_s !== null).map(({ one }) => end(one))
  const to = ended.length ? Math.min(last, 3 * Math.max(...ended)) : last
  const line = ({ prediction: p, left }) => (p.rounds.length ? [...left.map(([s, pages]) => [s, pages / 262144]), [end({ prediction: p }), p.tmt_s === null ? left.at(-1)[1] / 262144 : 0]] : [[0, 0], [p.tmt_s ?? 0, 0]])
  parts.chart.show({ to: to * 1.02, series: right.map(({ one, index }) => ({ label: names[index].slice(0, 60), colour: COLOURS[index], points: line(one) })), described: names.join('; ') })
  parts.table.replaceChildren(table(['setting', 'outcome', 'total', '90 % interval', 'downtime', '90 % interval', 'service lost', 'on the wire', 'source free'],
    found.map((one, index) => (one.error ? [names[index], one.error, '-', '-', '-', '-', '-', '-', '-'] : line_(one.prediction, names[index]))), { words: [0, 1] }))
  parts.words.replaceChildren(...right.map(({ one, index }) => el('p', { class: 'small verdict' }, el('b', {}, `${names[index]}. `), one.verdict.trim())))
  tell(right.map(({ one, index }) => `${names[index]}: ${units.time(one.prediction.tmt_s)}`).join('; '))
}

const lost = (p) => (p.downtime_s ?? 0) + p.throttled_s + p.stalled_s
const line_ = (p, name) => [name, p.outcome, units.time(p.tmt_s), units.span(p.intervals?.tmt_s), units.time(p.downtime_s), units.span(p.intervals?.downtime_s), p.tmt_s === null ? '-' : units.time(lost(p)), units.size(p.wire_bytes), units.time(p.source_free_s)]

function faster() {
  const link = units.parse('rate', state.settings[0].link)
  return { link: units.write('rate', (Number.isNaN(link) ? 1e9 : link) * 10) }
}

// A line for each setting.
export function command() {
  const lines = state.settings.map((keys) => files.command(catalog, 'predict', keys))
  return lines.includes(null) ? null : lines.join('\n')
}
export const rows = () => [['setting', 'outcome', 'tmt_s', 'downtime_s', 'lost_s', 'wire_bytes'], found.filter((one) => !one.error).map(({ prediction: p }, index) => [named(state.settings[index], index), p.outcome, p.tmt_s, p.downtime_s, lost(p), p.wire_bytes])]
export const picture = () => files.png('side-by-side.png', [parts.chart.picture()], state.settings.map(named).join(' / '))

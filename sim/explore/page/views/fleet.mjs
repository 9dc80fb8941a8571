// A fleet: when each guest moves, how busy links and hosts are, how likely it is done by when, and what-ifs.
import { Chart, RIGHT } from '../chart.mjs'
import { css, el, table, tell } from '../dom.mjs'
import { Stopped, askLong, stopLong } from '../engine.mjs'
import * as files from '../files.mjs'
import { held } from '../given.mjs'
import { change, hosts, state } from '../state.mjs'
import * as units from '../units.mjs'

const COLOURS = ['blue', 'orange', 'green', 'pink']
const EXAMPLES = ['at_once=4', 'order=largest', 'auto_converge=true', 'mode=postcopy', 'multifd_channels=4', 'host.nic=25GbE']
const ROW = 15
const ASKED = ['changes', 'deadline', 'replications', 'seed', 'profile', 'manager']
const LEFT = 210
// A stop is drawn so wide at least.
const STOP = 3

let parts, answer, asked, ways

export function enter(place) {
  answer = asked = null
  ways = held.result?.what_ifs ?? []
  parts = {
    changes: el('input', { type: 'text', size: 34, placeholder: 'at_once=4,auto_converge=true', 'aria-label': 'What if', onchange: () => put('changes', parts.changes) }),
    deadline: el('input', { type: 'text', size: 8, placeholder: '2h', 'aria-label': 'Deadline, from the start', onchange: () => put('deadline', parts.deadline) }),
    replications: el('input', { type: 'number', min: 0, max: 2000, step: 50, value: 0, 'aria-label': 'Replications', onchange: () => put('replications', parts.replications) }),
    progress: el('p', { class: 'small dim', id: 'progress' }), words: el('div'), gantt: el('div', { class: 'scroll', tabindex: 0, style: { maxHeight: '60rem', scrollbarGutter: 'auto' } }),
    links: new Chart('How busy links are', { unit: '%', height: 190, left: LEFT }), hosts: new Chart('How busy hosts\u2019 processors are', { unit: '%', height: 190, left: LEFT }),
    likely: new Chart('All guests have arrived', { unit: 'probability, %', height: 190, left: LEFT }),
    ways: el('div'), guests: el('div'), memory: el('div'),
  }
  if (!held.fleet) {
    place.append(el('p', {}, 'Open a fleet: its TOML and the tables that it names (guests.csv, hosts.csv), all at once. `migsim inventory import` makes one of what RVTools, virsh, OpenStack, KubeVirt or Proxmox list; `migsim explore fleet.toml` brings one along.'))
    return
  }
  place.append(
    el('div', { class: 'row' }, el('label', {}, 'What if', parts.changes), el('label', {}, 'Deadline', parts.deadline), el('label', {}, 'Replications', parts.replications), el('button', { onclick: compare }, 'Keep for comparison'), el('button', { onclick: () => stopLong() }, 'Stop')),
    el('div', { class: 'small dim' }, 'For example: ', EXAMPLES.map((text) => el('button', { onclick: () => { parts.changes.value = text; put('changes', parts.changes) } }, text))),
    parts.progress, parts.words, parts.ways, el('h2', {}, 'When each guest moves'), el('p', { class: 'small dim' }, 'Orange: it is down. Dashed: it does not arrive.'), parts.gantt, parts.links.element, parts.hosts.element, parts.likely.element,
    el('h2', {}, 'Guests'), parts.guests, el('h2', {}, 'Memory of hosts'), parts.memory)
  drawWays()
}

const put = (name, field) => change((to) => { to.own[name] = field.value.trim() })

export function leave() {
  stopLong()
  for (const name of ['links', 'hosts', 'likely']) parts[name].end()
}

function question() {
  const deadline = state.own.deadline
  const deadline_s = deadline ? units.parse('time', deadline) : undefined
  if (Number.isNaN(deadline_s)) throw new Error(`\`${deadline}\` is no length of time; it is written like 90min or 2h.`)
  const replications = Number(state.own.replications ?? 0) || (deadline ? 200 : 0)
  return { ...held.fleet, ...hosts(), changes: state.own.changes ?? '', deadline_s, replications, seed: Number(state.own.seed ?? 1) }
}

export async function update() {
  if (!held.fleet) return
  parts.changes.value = state.own.changes ?? ''
  parts.deadline.value = state.own.deadline ?? ''
  parts.replications.value = state.own.replications ?? 0
  let full
  try { full = question() } catch (error) { parts.progress.textContent = error.message; return }
  const now = JSON.stringify(full)
  if (asked === now) { if (answer) draw(); return }
  asked = now
  stopLong()
  try {
    // What was asked when the page was made has been answered.
    const isAsked = ASKED.every((key) => String(held.own[key] ?? '') === String(state.own[key] ?? ''))
    if (held.result?.answer && isAsked) {
      answer = held.result
      parts.progress.textContent = ''
      draw()
      return
    }
    parts.progress.textContent = 'It is being moved ...'
    answer = await askLong({ ...full, replications: 0 })
    if (asked !== now) return
    draw()
    if (full.replications > 0) {
      parts.progress.textContent = `${full.replications} replications ...`
      answer = await askLong(full)
      if (asked !== now) return
    }
    parts.progress.textContent = ''
    draw()
  } catch (error) {
    if (asked !== now) return
    parts.progress.textContent = error instanceof Stopped ? 'Stopped.' : error.message
    if (error instanceof Stopped) asked = null
  }
}

function draw() {
  const { answer: a, use, makespans_s } = answer
  const late = a.not_arrived_guests.length
  const likely = a.replications
  const words = [
    `${a.name}: ${a.moves.length - late} of ${a.moves.length} guests arrive, the last after ${units.time(a.makespan_s)}.`,
    `Downtime in all ${units.time(a.downtime_s)}, at worst ${units.time(a.worst_downtime_s)}; service lost ${units.time(a.lost_s)}; ${units.size(a.wire_bytes)} over the links; at most ${a.most_at_once} at once.`,
    likely?.makespan_s ? `Over replications the last arrives after ${units.span(likely.makespan_s)} (90 %).` : '',
    a.deadline ? `All have arrived within ${units.time(a.deadline.within_s)} with a probability of ${units.percent(a.deadline.p_all_arrived)}.${a.deadline.endangered_by.length ? ` Endangered by ${a.deadline.endangered_by.slice(0, 6).map(({ name, p_arrived }) => `${name} (${units.percent(p_arrived)})`).join(', ')}.` : ''}` : '',
  ].filter(Boolean)
  parts.words.replaceChildren(
    el('p', { class: `verdict ${late ? 'bad' : ''}`, id: 'verdict' }, el('b', {}, words[0]), ` ${words.slice(1).join(' ')}`),
    ...a.not_arrived_guests.slice(0, 12).map((one) => el('p', { class: 'small' }, el('b', {}, one.name), ` (${one.from} to ${one.to}): ${one.reason}.${one.remedy ? ` It would arrive ${one.remedy}.` : ''}`)),
    ...a.warnings.map((text) => el('p', { class: 'small dim' }, `Note: ${text}.`)))
  tell(words[0])
  const end = Math.max(a.makespan_s, ...a.moves.map((one) => one.ended_s ?? 0), 1e-3)
  gantt(a, end)
  const busiest = (all) => [...all].map((one) => ({ ...one, sum: one.share.reduce((sum, [, share]) => sum + share, 0) })).filter(({ sum }) => sum > 0).sort((x, y) => y.sum - x.sum).slice(0, 4)
  const lines = (all) => busiest(all).map(({ name, share }, i) => ({ label: name, colour: COLOURS[i], steps: true, points: share.map(([s, part]) => [s, 100 * part]) }))
  parts.links.show({ to: end, top: 105, series: lines(use.links), described: 'The busiest four.' })
  parts.hosts.show({ to: end, top: 105, series: lines(use.hosts), described: 'The busiest four.' })
  parts.likely.element.style.display = makespans_s ? '' : 'none'
  if (makespans_s) {
    const arrived = makespans_s.filter((s) => s !== null).sort((x, y) => x - y)
    const points = arrived.map((s, i) => [s, 100 * (i + 1) / makespans_s.length])
    const to = Math.max(arrived.at(-1) ?? 1, a.deadline?.within_s ?? 0) * 1.05
    parts.likely.show({ to, top: 105, series: [{ label: 'arrived', colour: 'blue', steps: true, points: [[0, 0], ...points, [to, points.at(-1)?.[1] ?? 0]] }], marks: a.deadline ? [{ at: a.deadline.within_s, text: 'deadline' }] : [] })
  }
  const cells = (one) => [one.name, one.from, one.to, one.outcome, units.time(one.began_s), units.time(one.tmt_s), one.quantiles ? units.span(one.quantiles.tmt_s) : '-', units.time(one.downtime_s), units.time(one.lost_s), one.remedy ?? '']
  const bytes = ({ name, memory_bytes, given_before_bytes, given_after_bytes }) => [name, ...[memory_bytes, given_before_bytes, given_after_bytes, Math.max(0, memory_bytes - given_after_bytes)].map(units.size)]
  parts.memory.replaceChildren(table(['host', 'memory', 'given before', 'given after', 'left after'], use.memory.map(bytes)))
  parts.guests.replaceChildren(table(['guest', 'from', 'to', 'outcome', 'began', 'total', '90 % interval', 'downtime', 'service lost', 'would arrive'], a.moves.map(cells), { words: [0, 1, 2, 3, 9] }))
}

// A bar for each guest, in groups of the host that it leaves.
function gantt(a, end) {
  const width = Math.max(520, parts.gantt.clientWidth || 900)
  const moves = [...a.moves].filter((one) => one.began_s !== null).sort((x, y) => x.from.localeCompare(y.from, 'en', { numeric: true }) || x.began_s - y.began_s)
  const x = (s) => LEFT + (width - LEFT - RIGHT) * s / end
  const height = 30 + moves.length * ROW
  const ticks = nice(end)
  const bar = (one, i) => {
    const y = 24 + i * ROW
    const fails = one.outcome !== 'completed'
    const first = i === 0 || moves[i - 1].from !== one.from
    return el('g', { 'data-guest': one.name },
      el('title', {}, `${one.name}, ${one.from} to ${one.to}: from ${units.time(one.began_s)} for ${units.time(one.ended_s - one.began_s)}${fails ? `, ${one.ending}` : `, down for ${units.time(one.downtime_s)}`}`),
      first ? el('line', { class: 'axis', x1: 0, x2: width, y1: y - 1, y2: y - 1 }) : '',
      first ? el('text', { x: 2, y: y + 11, 'font-weight': 600 }, cut(one.from, 12)) : '',
      el('text', { x: LEFT - 6, y: y + 11, 'text-anchor': 'end' }, cut(one.name, 16)),
      el('rect', { x: x(one.began_s), y: y + 2, width: Math.max(x(one.ended_s) - x(one.began_s), 1), height: ROW - 4, fill: fails ? 'none' : css('blue'), stroke: fails ? css('bad') : 'none', 'stroke-dasharray': fails ? '3 2' : undefined }),
      fails || one.downtime_s === null ? '' : el('rect', { x: Math.max(x(one.began_s), Math.min(x(one.ended_s - one.downtime_s), x(one.ended_s) - STOP)), y: y + 2, width: Math.max(x(one.downtime_s) - LEFT, STOP), height: ROW - 4, fill: css('orange') }))
  }
  parts.gantt.replaceChildren(el('svg', { class: 'chart', id: 'gantt', width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': `When each of ${moves.length} guests moves; the table below has the figures` },
    el('title', {}, `When each guest of ${a.name} moves`),
    ticks.map((s) => el('g', {}, el('line', { class: 'axis', x1: x(s), x2: x(s), y1: 18, y2: height }), el('text', { x: x(s), y: 12, 'text-anchor': s === 0 ? 'start' : 'middle' }, s === 0 ? '0' : units.time(s)))),
    moves.map(bar)))
}

const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}\u2026` : text)
function nice(end) {
  const step = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400].find((s) => end / s <= 7) ?? end / 6
  return [...Array(Math.floor(end / step) + 1).keys()].map((i) => i * step)
}

// Rows of a comparison: as it is, and each what-if that was kept.
async function compare() {
  const changes = state.own.changes ?? ''
  try {
    const wanted = ways.length ? [changes] : ['', changes]
    for (const one of wanted.filter((said, i) => i === 0 || said)) {
      const { row } = await askLong({ ...question(), changes: one, totals: true })
      ways = [...ways.filter((way) => way.what_if !== row.what_if), row]
    }
    drawWays()
  } catch (error) {
    parts.progress.textContent = error.message
  }
}

function drawWays() {
  if (!ways.length) return
  parts.ways.replaceChildren(el('h2', {}, 'What-ifs'), table(['what if', 'the last arrives after', '90 % interval', 'downtime in all', 'at worst', 'service lost', 'over the links', 'not arrived', 'all in time'],
    ways.map((way) => [way.what_if, units.time(way.makespan_s), units.span(way.makespan_quantiles_s), units.time(way.downtime_s), units.time(way.worst_downtime_s), units.time(way.lost_s), units.size(way.wire_bytes), way.not_arrived, way.p_all_arrived === null || way.p_all_arrived === undefined ? '-' : units.percent(way.p_all_arrived)])))
}

export function command() {
  if (!held.fleet) return null
  const flag = (name, key) => (state.own[key] ? [`--${name} '${String(state.own[key]).replaceAll("'", '')}'`] : [])
  return files.command({ keys: [] }, 'fleet', {}, [held.fleet.name, ...flag('what-if', 'changes'), ...flag('deadline', 'deadline'), ...flag('replications', 'replications')])
}
export function rows() {
  if (!answer) return null
  const header = Object.keys(answer.answer.moves[0] ?? {}).filter((name) => name !== 'quantiles')
  return [header, answer.answer.moves.map((one) => header.map((name) => one[name]))]
}
export function picture() {
  const chart = document.getElementById('gantt')
  if (chart) files.svg('fleet.svg', chart)
}

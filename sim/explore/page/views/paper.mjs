// The study of Baadal, 2016: its experiment simulated, its own figures, and the same experiment made with real runs.
import live from '../../../../scenarios/paper/live.toml'
import offline from '../../../../scenarios/paper/offline.toml'
import profile from '../../../../scenarios/paper/profile.toml'
import { Chart } from '../chart.mjs'
import { el, table, tell } from '../dom.mjs'
import { ask } from '../engine.mjs'
import * as files from '../files.mjs'
import { change, state, useProfile } from '../state.mjs'
import * as units from '../units.mjs'

// The study's own figures of its largest guest, seconds.
const PUBLISHED = { memory: 1024, live_total: 12.5, live_down: 7, offline_total: 10.8, suspend: 2.8, copy: 7.3, resume: 0.7 }
// Means of three real runs each (calibrate/data/paper, QEMU 7.2, 400 Mbit/s; docs/paper.md): live total and downtime, offline total.
const RUNS = [[128, 1.98, 0.27, 2.42], [256, 5.1, 0.35, 5.82], [384, 8.03, 0.35, 9.17], [512, 10.93, 0.34, 12.37], [768, 16.61, 0.35, 19.67], [1024, 22.26, 0.33, 27.06]]

let parts, found

export async function enter(place) {
  const chart = (title) => new Chart(title, { unit: 's', height: 220, x: 'memory, MiB', tick: (u, ticks) => ticks.map(String) })
  parts = { total: chart('Total migration time'), down: chart('Downtime'), real: chart('The same with real runs of QEMU 7.2: total time'), table: el('div'), terms: el('div') }
  place.append(
    el('p', {}, 'The study of Baadal, the private cloud of IIT Delhi: \u201cPerformance Analysis of Live and Offline VM Migration Using KVM\u201d (I.J. Modern Education and Computer Science, 2016) moved six guests live and offline, and defined total migration time and downtime by four equations:'),
    el('pre', {}, 'TMT(pre-copy) = TI + OV  (1)     TMT(post-copy) = OV  (2)\nTDT(pre-copy) = DM + VS  (3)     TDT(post-copy) = VS  (4)'),
    parts.total.element, parts.down.element, parts.table,
    el('p', { class: 'small dim' }, 'Lines: simulated, with hosts and guests inferred from the study (it gives one memory size and no speed of any part). Larger dots: its own figures, of its largest guest. Its 7 s of downtime belong to the QEMU of 2012: open a guest, set QEMU to 7.2 and the downtime limit to 300 ms.'),
    parts.terms, parts.real.element,
    el('p', { class: 'small dim' }, 'Means of three runs each over 400 Mbit/s. Here live is the faster one at every size: offline writes the image, sends it and reads it back, one after the other.'))
}

export function leave() { for (const name of ['total', 'down', 'real']) parts[name].end() }

export async function update() {
  if (!found) {
    const of = async (name, toml) => {
      const { guests } = await ask({ ask: 'scenario', name, toml })
      return Promise.all(guests.map(async (question) => ({ question, prediction: (await ask({ ask: 'predict', question, profile })).prediction })))
    }
    found = { live: await of('live.toml', live), offline: await of('offline.toml', offline) }
  }
  if (state.view !== 'paper') return
  const over = (mode, figure) => found[mode].map(({ question, prediction }) => [units.parse('size', question.memory) / 2 ** 20, prediction[figure]])
  const both = (figure, points) => ({
    from: 0, to: 1150,
    series: [
      { label: 'live, simulated', colour: 'blue', points: over('live', figure) },
      { label: 'offline, simulated', colour: 'orange', points: over('offline', figure) },
      { label: 'live, the study', colour: 'blue', dots: true, points: [[PUBLISHED.memory, points[0]]] },
      { label: 'offline, the study', colour: 'orange', dots: true, points: [[PUBLISHED.memory, points[1]]] },
    ],
  })
  parts.total.show(both('tmt_s', [PUBLISHED.live_total, PUBLISHED.offline_total]))
  parts.down.show(both('downtime_s', [PUBLISHED.live_down, PUBLISHED.offline_total]))
  parts.real.show({ from: 0, to: 1150, series: [
    { label: 'live, measured', colour: 'blue', dots: true, points: RUNS.map(([mib, total]) => [mib, total]) },
    { label: 'offline, measured', colour: 'orange', dots: true, points: RUNS.map(([mib, , , total]) => [mib, total]) },
  ] })
  const terms = ({ ti_s, ov_s, dm_s, vs_s }) => [ti_s, ov_s, dm_s, vs_s].map(units.time)
  const open = (question) => el('button', { onclick: () => change((to) => { useProfile(profile); delete to.own.profile; to.settings[0] = { ...question }; to.view = 'time' }) }, 'Open')
  const line = ({ question, prediction: p }) => [question.name, p.mode, units.time(p.tmt_s), units.time(p.downtime_s), ...terms(p.terms), open(question)]
  parts.table.replaceChildren(table(['guest', 'mode', 'total', 'downtime', 'TI', 'OV', 'DM', 'VS', ''], [...found.live, ...found.offline].map(line), { words: [0, 1] }))
  const largest = found.offline.at(-1).prediction.downtime_parts
  const compared = [['suspend', PUBLISHED.suspend, largest.suspend_s], ['copy', PUBLISHED.copy, largest.copy_s], ['resume', PUBLISHED.resume, largest.resume_s], ['offline, total', PUBLISHED.offline_total, found.offline.at(-1).prediction.tmt_s], ['live, total', PUBLISHED.live_total, found.live.at(-1).prediction.tmt_s], ['live, downtime', PUBLISHED.live_down, found.live.at(-1).prediction.downtime_s]]
  parts.terms.replaceChildren(table(['largest guest', 'the study', 'simulated'], compared.map(([name, said, ours]) => [name, `${said} s`, units.time(ours)])))
  tell('The study\u2019s experiment.')
}

export const command = () => 'migsim predict scenarios/paper/live.toml --profile scenarios/paper/profile.toml'
export const rows = () => [['guest', 'mode', 'tmt_s', 'downtime_s', 'ti_s', 'ov_s', 'dm_s', 'vs_s'], [...found.live, ...found.offline].map(({ question, prediction: p }) => [question.name, p.mode, p.tmt_s, p.downtime_s, p.terms.ti_s, p.terms.ov_s, p.terms.dm_s, p.terms.vs_s])]
export const picture = () => files.png('paper.png', [parts.total, parts.down].map((chart) => chart.picture()), 'The study of Baadal, 2016')

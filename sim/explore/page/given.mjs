// What came with the page, and what somebody opens in it: a scenario, a fleet with its tables, run records, results.
import { el } from './dom.mjs'
import { ask } from './engine.mjs'
import { MOST_SETTINGS, change, state } from './state.mjs'

// The fleet and the records that views show, as texts.
export const held = { fleet: null, records: [], result: null, made: null, own: {} }

let catalog

export async function given(known, useProfile) {
  catalog = known
  const text = document.getElementById('given').textContent.trim()
  // A page as it was built was given nothing.
  if (!text || text.startsWith('{{')) return
  let came
  try { came = JSON.parse(text) } catch { throw new Error('What came with the page is damaged: it shows an example instead.') }
  if (came.profile) useProfile(came.profile)
  if (came.own) Object.assign(state.own, came.own)
  Object.assign(held, { made: came.made ?? null, result: came.result ?? null, own: came.own ?? {} })
  if (came.made) told(came.made)
  if (came.files) await take(came.files)
  if (came.settings?.length) state.settings = came.settings.slice(0, MOST_SETTINGS)
  if (came.view) state.view = came.view
}

function told(made) {
  const parts = [['Made', made.when], ['by', made.version], ['Command', made.command], ['Seed', made.seed], ['Profile', made.profile], ['Migrations', made.migrations], ['Assumed', made.assumed]]
  document.getElementById('made').replaceChildren(...parts.filter(([, text]) => text !== undefined && text !== null)
    .flatMap(([what, text]) => [el('b', {}, `${what}: `), `${text}  `]))
}

// Takes files by what they are; what cannot be used is an error that says why.
export async function take(files) {
  const tomls = files.filter(({ name }) => name.toLowerCase().endsWith('.toml'))
  const tables = files.filter(({ name }) => !name.toLowerCase().endsWith('.toml'))
  const needs = 'This page answers for single migrations; `migsim explore FILE` makes one for fleets and run records.'
  const fleets = tomls.filter(({ text }) => /^\s*\[\[(host|vm|rack)\]\]|^\s*\[moves\]|^\s*(hosts|inventory)\s*=/m.test(text))
  if ((fleets.length || tables.length) && !catalog.fleets) throw new Error(needs)
  if (fleets.length) {
    const [fleet] = fleets
    const asked = { ask: 'fleet', name: fleet.name, toml: fleet.text, tables: Object.fromEntries(tables.map(({ name, text }) => [name, text])) }
    await ask({ ...asked, totals: true })
    held.fleet = asked
    document.getElementById('title').textContent = fleet.name
    change((to) => { to.view = 'fleet' })
    return
  }
  for (const { name, text } of tables) {
    await ask({ ask: 'records', name, csv: text, until: 0 })
    held.records = [...held.records.filter((one) => one.name !== name), { name, csv: text }]
    held.result = null
    change((to) => { to.view = 'models' })
  }
  for (const { name, text } of tomls) {
    const { guests } = await ask({ ask: 'scenario', name, toml: text })
    document.getElementById('title').textContent = name
    change((to) => {
      to.settings = guests.slice(0, MOST_SETTINGS)
      to.view = guests.length > 1 ? 'compare' : 'time'
    })
  }
}

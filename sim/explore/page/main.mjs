// The page: it unpacks the simulator, reads what came with it and the address, and shows one view at a time.
import { controls } from './controls.mjs'
import { el, tell } from './dom.mjs'
import { ask, unpack, work } from './engine.mjs'
import { VIEWS, activeIndex, change, onChange, read, state, useProfile, written } from './state.mjs'
import * as files from './files.mjs'
import { given, take } from './given.mjs'
import * as time from './views/time.mjs'
import * as compare from './views/compare.mjs'
import * as border from './views/border.mjs'
import * as models from './views/models.mjs'
import * as fleet from './views/fleet.mjs'
import * as paper from './views/paper.mjs'

const MODULES = { time, compare, border, models, fleet, paper }
const NAMES = { time: 'Over time', compare: 'Side by side', border: 'Border of convergence', models: 'Models and runs', fleet: 'Fleet', paper: 'The paper' }

let shown
let catalog

export function notice(text) {
  const place = document.getElementById('notice')
  place.textContent = text
  place.hidden = !text
}

function show() {
  if (shown !== state.view) {
    MODULES[shown]?.leave?.()
    shown = state.view
    const view = document.getElementById('view')
    view.replaceChildren()
    view.setAttribute('aria-label', NAMES[shown])
    document.getElementById('frame').dataset.view = shown
    MODULES[shown].enter(view, catalog)
    for (const button of document.querySelectorAll('#views button')) button.setAttribute('aria-selected', String(button.dataset.view === shown))
  }
  MODULES[shown].update()
}

function head() {
  const tabs = VIEWS.map((view) => el('button', {
    role: 'tab', 'data-view': view, 'aria-selected': 'false', 'aria-controls': 'view', onclick: () => change((to) => { to.view = view }),
  }, NAMES[view]))
  document.getElementById('views').replaceChildren(...tabs)
  document.getElementById('views').addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
    if (!step) return
    const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length]
    next.focus()
    next.click()
  })
  const dark = matchMedia('(prefers-color-scheme: dark)')
  const theme = (name) => { document.documentElement.dataset.theme = name; if (shown) { MODULES[shown].leave?.(); shown = undefined; show() } }
  theme(dark.matches ? 'dark' : 'light')
  dark.addEventListener('change', () => theme(dark.matches ? 'dark' : 'light'))
  const pick = el('input', { type: 'file', accept: '.toml,.csv', multiple: true, class: 'file', 'aria-label': 'Files', hidden: true, onchange: () => open([...pick.files]) })
  document.getElementById('tools').replaceChildren(
    pick,
    el('button', { title: 'A scenario, a fleet with its tables, or run records', onclick: () => pick.click() }, 'Open ...'),
    el('button', { onclick: () => copy(files.address(), 'The link') }, 'Copy link'),
    el('button', { onclick: commandLine }, 'Command line'),
    el('button', { onclick: toml }, 'Scenario (TOML)'),
    el('button', { onclick: () => rows() }, 'Data (CSV)'),
    el('button', { onclick: picture }, 'Picture'),
    el('button', { onclick: () => theme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark') }, 'Dark / light'),
  )
  document.body.append(el('div', { id: 'spoken', class: 'skip', 'aria-live': 'polite' }))
  document.body.addEventListener('dragover', (event) => event.preventDefault())
  document.body.addEventListener('drop', (event) => { event.preventDefault(); open([...event.dataTransfer.files]) })
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text)
    tell(`${what} is copied.`)
    notice(`${what} is copied: ${text.length > 200 ? `${text.slice(0, 200)} ...` : text}`)
  } catch {
    notice(`${what}: ${text}`)
  }
}

function commandLine() {
  const line = MODULES[shown].command?.() ?? null
  if (line) copy(line, 'The command line')
  else notice('Something in this setting stands in files only: save the scenario and give it to the command line.')
}

// Of several settings the one that is chosen.
function toml() {
  const several = state.settings.length > 1
  files.save(several ? `scenario-${activeIndex() + 1}.toml` : 'scenario.toml', files.scenario(catalog), 'text/plain')
  if (several) notice(`This is setting ${activeIndex() + 1} of ${state.settings.length}: choose another one to save it.`)
}

function picture() {
  const charts = document.querySelectorAll('#view canvas, #view svg')
  if (charts.length && MODULES[shown].picture) MODULES[shown].picture()
  else notice('There is no picture in this view yet.')
}

function rows() {
  const made = MODULES[shown].rows?.()
  if (made) files.save(`${shown}.csv`, files.csv(...made), 'text/csv')
  else notice('There are no data in this view yet.')
}

async function open(list) {
  try {
    const texts = await Promise.all(list.map(async (file) => ({ name: file.name, text: await file.text() })))
    notice('')
    await take(texts)
  } catch (error) {
    notice(error.message)
  }
}

async function begin() {
  try {
    await unpack()
    catalog = await ask({ ask: 'catalog' })
  } catch (error) {
    document.getElementById('waiting').textContent = `The simulator could not be started: ${error.message}. It needs a browser of 2023 or later (WebAssembly, DecompressionStream).`
    return
  }
  head()
  const wrong = []
  try {
    await given(catalog, useProfile)
  } catch (error) {
    wrong.push(error.message)
  }
  if (location.hash.length > 1) wrong.push(...read(location.hash, known()))
  controls(catalog, document.getElementById('controls'))
  if (matchMedia('(max-width: 760px)').matches) document.getElementById('settings').open = false
  onChange(show)
  addEventListener('hashchange', () => {
    // `#view` is the link to the answer, for keyboards.
    if (location.hash === '#view' || location.hash.slice(1) === written()) return
    notice(read(location.hash, known()).join('\n'))
    change(() => {})
  })
  notice(wrong.join('\n'))
  show()
  document.documentElement.dataset.ready = 'true'
}

const known = () => new Set([...catalog.keys.map((key) => key.name), 'changes', 'throttle'])

if (typeof document === 'undefined') work()
else begin().catch((error) => { notice(`Something went wrong: ${error.message}`); throw error })

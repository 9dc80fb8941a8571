// The settings: one control for each key of a scenario, made from the simulator's own table of keys.
import { el, put } from './dom.mjs'
import * as units from './units.mjs'
import { MOST_SETTINGS, activeIndex, change, choose, hosts, onChange, ownProfile, set, setting, state, useProfile } from './state.mjs'

const FIRST = ['memory', 'touched', 'workload', 'vcpus', 'link', 'rtt', 'mode', 'downtime_limit', 'qemu', 'auto_converge', 'multifd_channels']
const STEPS = 240
// Ends of sliders that are nearer than those of their kind.
const ENDS = { downtime_limit: [0.001, 30], rtt: [2e-5, 0.3], xbzrle_cache: [2 ** 22, 2 ** 34], send_buffer: [2 ** 16, 2 ** 28] }
const QEMUS = ['2.5', '2.12', '4.2', '6.2', '7.2', '8.2', '9.2', '10.1']
// A slider that nobody has moved stands at what holds then.
const DEFAULTS = { rtt: '200us', downtime_limit: '300ms', xbzrle_cache: '64MiB' }
const LABELS = { link: 'Link', rtt: 'Round-trip time', qemu: 'QEMU', vcpus: 'vCPUs', xbzrle: 'XBZRLE', xbzrle_cache: 'XBZRLE cache', multifd_channels: 'multifd channels', auto_converge: 'Auto-converge', touched: 'Touched (not zero)', zero_head: 'Zero pages in front' }
const label = (name) => LABELS[name] ?? name[0].toUpperCase() + name.slice(1).replaceAll('_', ' ')

let wrong = () => {}
// Says at a control what the simulator says of its key.
export const complain = (message) => wrong(message)

export function controls(catalog, place) {
  const shown = []
  const key = (known) => {
    const one = control(catalog, known)
    shown.push(one)
    return one.element
  }
  const by = (name) => catalog.keys.find((known) => known.name === name)
  const rest = catalog.keys.filter((known) => !FIRST.includes(known.name))
  const group = (title, names) => el('fieldset', {}, el('legend', {}, title), names.map((name) => key(by(name))))
  const tabs = el('div', { class: 'settings-tabs', role: 'group', 'aria-label': 'Which setting' })
  const whole = el('p', { class: 'wrong small', role: 'status' })
  place.replaceChildren(
    tabs,
    whole,
    group('Guest', ['memory', 'touched', 'workload', 'vcpus']),
    group('Link', ['link', 'rtt']),
    group('Migration', ['mode', 'downtime_limit', 'qemu', 'auto_converge', 'multifd_channels']),
    hostControls(catalog, shown),
    el('details', {}, el('summary', {}, 'All other keys'), rest.map(key)),
  )
  wrong = (message) => {
    const named = message && shown.find((one) => one.name && (message.startsWith(`\`${one.name}\``) || message.startsWith(`\`${one.key}\``)))
    for (const one of shown) one.complain?.(one === named ? message : '')
    const rest = message && !named ? message : ''
    if (whole.textContent !== rest) whole.textContent = rest
  }
  let listed
  const refresh = () => {
    for (const one of shown) one.refresh()
    const now = JSON.stringify([state.settings.length > 1 && state.settings, activeIndex()])
    if (now === listed) return
    listed = now
    const buttons = state.settings.map((keys, index) => el('button', {
      'aria-pressed': String(index === activeIndex()), onclick: () => choose(index),
    }, `${index + 1}: ${named(keys, index)}`))
    tabs.replaceChildren(...(state.settings.length > 1 ? buttons : []))
  }
  onChange(refresh)
  refresh()
}

// What a setting differs in from the first.
export function named(keys, index = state.settings.indexOf(keys)) {
  if (index <= 0) return keys.name ?? 'as set'
  const first = state.settings[0]
  const names = [...new Set([...Object.keys(keys), ...Object.keys(first)])].filter((name) => keys[name] !== first[name] && name !== 'name')
  const said = (name) => (keys[name] === undefined ? `no ${name}` : keys[name] === 'true' ? name : `${name} ${keys[name]}`)
  return names.map(said).join(', ') || 'the same'
}

export function addSetting(keys = {}) {
  if (state.settings.length >= MOST_SETTINGS) return
  change((to) => { to.settings.push({ ...state.settings[0], ...keys }) })
  choose(state.settings.length - 1)
}

function control(catalog, known) {
  if (known.name === 'workload') return workload(catalog, known)
  const id = `key-${known.name}`
  const problem = el('span', { class: 'wrong', id: `${id}-wrong` })
  const doc = known.doc.replace(/\s*\(files only\)\.?/, '')
  const head = el('label', { for: id, title: doc }, label(known.name))
  const put = (value) => set({ [known.name]: value })
  const now = () => setting()[known.name]
  let parts, refresh
  if (known.kind === 'switch') {
    const box = el('input', { type: 'checkbox', id, title: doc, onchange: () => put(box.checked ? 'true' : '') })
    parts = [box, head]
    refresh = () => { box.checked = String(now()) === 'true' }
  } else if (known.words.length || known.name === 'qemu') {
    const words = known.words.length ? known.words : QEMUS
    const pick = el('select', { id, title: doc, onchange: () => put(pick.value) })
    parts = [head, pick]
    const offered = new Set()
    const offer = (word) => { offered.add(word); pick.append(el('option', { value: word }, word || `default${default_(doc)}`)) }
    for (const word of ['', ...words]) offer(word)
    refresh = () => {
      const value = now() ?? ''
      if (!offered.has(value)) offer(value)
      if (pick.value !== value) pick.value = value
    }
  } else {
    const field = el('input', { type: 'text', id, title: doc, autocomplete: 'off', spellcheck: 'false', 'aria-describedby': `${id}-wrong`, placeholder: default_(doc).replace(/^: /, ''), oninput: () => put(field.value.trim()) })
    const slider = sliding(known, (value) => put(value))
    parts = [head, slider?.element, field]
    refresh = () => {
      const value = now() ?? ''
      if (document.activeElement !== field && field.value !== value) field.value = value
      slider?.refresh(now())
    }
  }
  const wide = !units.isSliding(known.kind) && known.kind !== 'whole' && known.kind !== 'switch' && !known.words.length && known.name !== 'qemu'
  const element = el('div', { class: `key ${known.kind === 'switch' ? 'switch' : ''} ${wide ? 'wide' : ''}` }, parts, problem)
  return { name: known.name, key: known.key, element, refresh, complain: (message) => { if (problem.textContent !== message) problem.textContent = message } }
}

const default_ = (doc) => { const found = /\[default: ([^\]]*)\]/.exec(doc); return found ? `: ${found[1]}` : '' }

// A slider by equal ratios, or whole numbers; `null`: the key has no numbers.
function sliding(known, put) {
  const title = `${label(known.name)}, slider`
  if (known.kind === 'whole') {
    const most = { vcpus: 128, multifd_channels: 16, postcopy_after_passes: 20, delta_bytes: 4096 }[known.name] ?? 100
    const element = el('input', { type: 'range', min: known.name === 'vcpus' ? 1 : 0, max: most, step: 1, 'aria-label': title, oninput: () => put(element.value) })
    return { element, refresh: (text) => { element.value = text ?? (known.name === 'vcpus' ? 1 : 0) } }
  }
  if (!units.isSliding(known.kind)) return null
  const [from, to] = ENDS[known.name] ?? units.ends(known.kind)
  const element = el('input', { type: 'range', min: 0, max: STEPS, step: 1, 'aria-label': title, oninput: () => put(units.write(known.kind, from * (to / from) ** (element.value / STEPS))) })
  const refresh = (text) => {
    const value = units.parse(known.kind, text ?? DEFAULTS[known.name])
    const place = String(Number.isNaN(value) ? (known.name === 'touched' ? STEPS : 0) : Math.round(STEPS * Math.log(Math.max(value, from) / from) / Math.log(to / from)))
    if (element.value !== place) element.value = place
    if (element.getAttribute('aria-valuetext') !== (text ?? 'default')) element.setAttribute('aria-valuetext', text ?? 'default')
  }
  return { element, refresh }
}

// What a guest writes: its usual forms by sliders, anything as text.
function workload(catalog, known) {
  const id = 'key-workload'
  const problem = el('span', { class: 'wrong' })
  const field = el('input', { type: 'text', id, title: known.doc, autocomplete: 'off', spellcheck: 'false', oninput: () => put(field.value.trim()) })
  const put = (value) => set({ workload: value })
  const forms = [
    ['', 'nothing known: idle'],
    ['uniform', 'random writes to a working set'],
    ['dirty', 'known by its dirty rate'],
    ...catalog.applications.map(({ name }) => [`app:${name}`, `like ${name}`]),
    ['text', 'as written below'],
  ]
  const pick = el('select', { 'aria-label': 'What it writes', onchange: () => {
    const { rate, wss } = read(setting().workload ?? '')
    if (pick.value === '') put('')
    else if (pick.value === 'uniform') put(`uniform(wss=${wss ?? '512MiB'}, rate=${rate ?? '5000p/s'})`)
    else if (pick.value === 'dirty') put(`dirty(${rate ?? '5000p/s'})`)
    else if (pick.value.startsWith('app:')) put(pick.value)
    field.value = setting().workload ?? ''
  } }, forms.map(([value, words]) => el('option', { value }, words)))
  const part = (kind, what, text) => {
    const slider = sliding({ kind, name: what }, (value) => {
      const known = { ...read(setting().workload ?? ''), [what]: value }
      put(known.form === 'dirty' ? `dirty(${known.rate})` : `uniform(wss=${known.wss}, rate=${known.rate})`)
    })
    slider.element.setAttribute('aria-label', text)
    const said = el('span', { class: 'small' })
    return { row: el('div', { class: 'key' }, el('label', {}, text), slider.element, said), slider, said, what }
  }
  const rows = [part('page-rate', 'rate', 'Writes, pages a second'), part('size', 'wss', 'Working set')]
  const refresh = () => {
    const text = setting().workload ?? ''
    if (document.activeElement !== field) field.value = text
    const found = read(text)
    pick.value = found.form
    for (const { row, slider, said, what } of rows) {
      row.hidden = !found[what]
      row.style.display = found[what] ? '' : 'none'
      if (found[what]) { slider.refresh(found[what]); said.textContent = found[what] }
    }
  }
  const element = el('div', {}, el('div', { class: 'key wide' }, el('label', { for: id, title: known.doc }, 'Workload'), pick, field, problem), rows.map(({ row }) => row))
  return { name: 'workload', key: 'workload', element, refresh, complain: (message) => { if (problem.textContent !== message) problem.textContent = message } }
}

function read(text) {
  if (text === '' || text === 'idle') return { form: '' }
  const uniform = /^uniform\(wss=([^,()]+), rate=([^,()]+)\)$/.exec(text)
  if (uniform) return { form: 'uniform', wss: uniform[1], rate: uniform[2] }
  const dirty = /^dirty\(([^,()]+)\)$/.exec(text)
  if (dirty) return { form: 'dirty', rate: dirty[1] }
  const app = /^(app:[\w-]+)/.exec(text)
  return { form: app ? app[1] : 'text' }
}

function hostControls(catalog, shown) {
  const pick = (id, text, words, key, note) => {
    const none = el('option', { value: '' }, note)
    const choose = (to) => {
      // A profile that has no name gives way to one that has.
      if (key === 'profile') useProfile(undefined)
      to.own[key] = select.value
    }
    const select = el('select', { id, onchange: () => change(choose) }, none, words.map(([value, said]) => el('option', { value }, said)))
    const refresh = () => {
      if (key === 'profile') put(none, ownProfile() ? 'the one that came with the page, or the study\u2019s' : note)
      const value = state.own[key] ?? ''
      if (select.value !== value) select.value = value
    }
    shown.push({ refresh })
    return el('div', { class: 'key wide' }, el('label', { for: id }, text), select)
  }
  return el('fieldset', { class: 'hosts' }, el('legend', {}, 'Hosts'),
    pick('profile', 'Profile', catalog.profiles.map(({ name, says }) => [name, `${name}: ${says}`.slice(0, 90)]), 'profile', 'servers of the link\'s class'),
    pick('manager', 'Run by', catalog.managers.map((name) => [name, name]), 'manager', 'as the profile has it'))
}

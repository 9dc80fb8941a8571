// What the page shows: one state, which stands in the address behind `#`. So a view is a link.
//
//   view=time & memory=4GiB & link=1Gbit/s & 2.mode=postcopy & profile=lab & x=... & y=...
//
// Keys of the first setting stand alone, those of others have its number before them. Whatever is no view's and no host's own is a key
// of a scenario.

export const VIEWS = ['time', 'compare', 'border', 'models', 'fleet', 'paper']
const OWN = ['view', 'profile', 'manager', 'x', 'y', 'of', 'seed', 'changes', 'deadline', 'replications', 'run']
export const MOST_SETTINGS = 4

export const START = {
  view: 'time',
  settings: [{ memory: '4GiB', touched: '3GiB', workload: 'uniform(wss=512MiB, rate=5000p/s)', link: '1Gbit/s' }],
  own: {},
}

export const state = structuredClone(START)
let active = 0
const heard = new Set()

export const onChange = (hear) => { heard.add(hear); return () => heard.delete(hear) }
export const setting = () => state.settings[active] ?? state.settings[0]
export const activeIndex = () => Math.min(active, state.settings.length - 1)

export function change(what, { quiet = false } = {}) {
  const [view, before] = [state.view, written()]
  what(state)
  active = activeIndex()
  // Another view is a step that "Back" takes back.
  if (state.view !== view) {
    clearTimeout(soon)
    history.replaceState(null, '', `#${before}`)
    history.pushState(null, '', `#${written()}`)
  } else remember()
  if (!quiet) for (const hear of heard) hear()
}

export function choose(index) {
  active = index
  for (const hear of heard) hear()
}

// Sets keys of the active setting; an empty value takes a key away.
export function set(keys, options) {
  change(() => {
    const to = setting()
    for (const [key, value] of Object.entries(keys)) {
      if (value === '' || value === undefined) delete to[key]
      else to[key] = value
    }
  }, options)
}

export const hosts = () => ({ profile: profileText ?? state.own.profile, manager: state.own.manager })
// A profile of somebody's own came with the page; it is too long for an address.
let profileText
export const useProfile = (text) => { profileText = text }
export const ownProfile = () => profileText

export function written() {
  const params = new URLSearchParams()
  params.set('view', state.view)
  for (const [key, value] of Object.entries(state.own)) if (value) params.set(key, value)
  state.settings.forEach((keys, index) => {
    for (const [key, value] of Object.entries(keys)) {
      params.set(index === 0 ? key : `${index + 1}.${key}`, typeof value === 'string' ? value : JSON.stringify(value))
    }
  })
  return params.toString()
}

let soon
function remember() {
  // Browsers refuse an address that changes too often.
  clearTimeout(soon)
  soon = setTimeout(() => history.replaceState(null, '', `#${written()}`), 250)
}

// Reads an address; returns what of it could not be used.
export function read(fragment, known) {
  clearTimeout(soon)
  const wrong = []
  const next = structuredClone(START)
  let params
  try {
    params = new URLSearchParams(fragment.replace(/^#/, ''))
  } catch {
    return ['The address cannot be read.']
  }
  const entries = [...params].slice(0, 400)
  const settings = []
  for (const [name, value] of entries) {
    if (name === 'view') {
      if (VIEWS.includes(value)) next.view = value
      else wrong.push(`There is no view \`${value}\`; there are ${VIEWS.join(', ')}.`)
      continue
    }
    if (OWN.includes(name)) { next.own[name] = value; continue }
    const numbered = /^([2-4])\.(.*)$/.exec(name)
    const [index, key] = numbered ? [Number(numbered[1]) - 1, numbered[2]] : [0, name]
    if (!known.has(key)) { wrong.push(`There is no key \`${key}\`.`); continue }
    settings[index] ??= {}
    settings[index][key] = held(value)
  }
  const whole = settings.filter(Boolean)
  if (whole.length) next.settings = whole
  Object.assign(state, next)
  active = 0
  return wrong
}

function held(value) {
  if (!/^[[{]/.test(value)) return value
  try { return JSON.parse(value) } catch { return value }
}

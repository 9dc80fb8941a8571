// What leaves the page: pictures, tables, scenarios, links, command lines.
import { css } from './dom.mjs'
import { setting, state, written } from './state.mjs'

export function save(name, content, type) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  document.body.append(link)
  link.click()
  link.remove()
  setTimeout(() => URL.revokeObjectURL(url), 5000)
}

// A cell that a spreadsheet would take for a formula gets a blank before it, as the command line does.
function cell(value) {
  if (value === null || value === undefined) return ''
  const text = String(value)
  const harmless = typeof value === 'string' && /^[=+@\t\r-]/.test(text) ? ` ${text}` : text
  return /[",\n\r]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}
export const csv = (header, rows) => [header, ...rows].map((row) => row.map(cell).join(',')).join('\n') + '\n'

const quoted = (value) => JSON.stringify(String(value)).replace(/[\u007f-\u009f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)

// A key's value as TOML: whole numbers and switches are not quoted.
function toml(known, value) {
  if (typeof value !== 'string') return inline(value)
  if (known.kind === 'switch' || known.kind === 'whole') return value
  return quoted(value)
}
function inline(value) {
  if (Array.isArray(value)) return `[${value.map(inline).join(', ')}]`
  if (value && typeof value === 'object') return `{ ${Object.entries(value).map(([key, one]) => `${key} = ${inline(one)}`).join(', ')} }`
  return typeof value === 'string' ? quoted(value) : String(value)
}

const FILE_ONLY = { changes: { table: 'link', key: 'changes' }, throttle: { table: 'migration', key: 'throttle' } }
export const keyOf = (catalog, name) => catalog.keys.find((key) => key.name === name) ?? FILE_ONLY[name]

export function scenario(catalog, keys = setting()) {
  const tables = { guest: [], link: [], migration: [] }
  for (const [name, value] of Object.entries(keys)) {
    const known = keyOf(catalog, name)
    if (known) tables[known.table].push(`${known.key} = ${toml(known, value)}`)
  }
  const part = (head, lines) => (lines.length ? [head, ...lines, ''] : [])
  return [...part('[[guest]]', tables.guest), ...part('[link]', tables.link), ...part('[migration]', tables.migration)].join('\n')
}

const shell = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${String(text).replaceAll("'", `'\\''`)}'`)

// The command line that gives the same; `null`: something in it stands in files only.
export function command(catalog, verb, keys = setting(), more = []) {
  const flags = []
  for (const [name, value] of Object.entries(keys)) {
    const known = catalog.keys.find((key) => key.name === name)
    if (!known?.flag || typeof value !== 'string') return null
    if (known.kind === 'switch') {
      if (value === 'true') flags.push(`--${known.flag}`)
      else flags.push(`--${known.flag}=false`)
    } else flags.push(`--${known.flag} ${shell(value)}`)
  }
  const { profile, manager } = state.own
  if (profile) flags.push(`--profile ${shell(profile)}`)
  if (manager) flags.push(`--manager ${shell(manager)}`)
  return ['migsim', verb, ...flags, ...more].join(' ')
}

export const address = () => `${location.href.split('#')[0]}#${written()}`

// Pictures of a view below each other, each under its title and legend ([label, colour]), as one PNG.
export async function png(name, pictures, title) {
  const scale = devicePixelRatio || 1
  const shown = pictures.filter(({ canvas }) => canvas)
  const width = Math.max(...shown.map(({ canvas }) => canvas.width))
  const head = 34 * scale
  const gap = 30 * scale
  const height = shown.reduce((sum, { canvas }) => sum + canvas.height + gap, head)
  const all = Object.assign(document.createElement('canvas'), { width, height })
  const to = all.getContext('2d')
  const look = getComputedStyle(document.body)
  to.fillStyle = look.backgroundColor
  to.fillRect(0, 0, width, height)
  to.fillStyle = look.color
  to.font = `${15 * scale}px system-ui, sans-serif`
  to.fillText(title, 8 * scale, 22 * scale)
  let y = head
  for (const { canvas, title, legend = [] } of shown) {
    let x = 8 * scale
    const write = (text, colour, bold) => {
      to.font = `${bold ? 'bold ' : ''}${12 * scale}px system-ui, sans-serif`
      if (!bold) {
        to.fillStyle = css(colour)
        to.fillRect(x, y + 6 * scale, 12 * scale, 10 * scale)
        x += 17 * scale
      }
      to.fillStyle = look.color
      to.fillText(text, x, y + 16 * scale)
      x += to.measureText(text).width + 16 * scale
    }
    if (title) write(title, '', true)
    for (const [label, colour] of legend) write(label, colour, false)
    to.drawImage(canvas, 0, y + 22 * scale)
    y += canvas.height + gap
  }
  save(name, await new Promise((resolve) => all.toBlob(resolve, 'image/png')))
}

export function svg(name, element) {
  const copy = element.cloneNode(true)
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg')
  const from = [element, ...element.querySelectorAll('*')]
  const to = [copy, ...copy.querySelectorAll('*')]
  // Colours of the page's style are written into the file, which has no style of its own.
  from.forEach((one, index) => {
    const look = getComputedStyle(one)
    for (const what of ['fill', 'stroke', 'font-size', 'font-family', 'font-weight']) {
      if (one.tagName === 'text' || !what.startsWith('font')) to[index].setAttribute(what, look.getPropertyValue(what))
    }
  })
  save(name, new XMLSerializer().serializeToString(copy), 'image/svg+xml')
}

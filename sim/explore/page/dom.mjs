// Elements, from names, attributes and children. Text is always text: nothing that a file or an address holds becomes markup.

export function el(tag, attributes = {}, ...children) {
  const element = tag === 'svg' || svgTags.has(tag)
    ? document.createElementNS('http://www.w3.org/2000/svg', tag)
    : document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (name in own) own[name](element, value)
    else element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false).map((child) => (child instanceof Node ? child : shown(String(child)))))
  return element
}

// Characters that turn a line around or cannot be seen are shown by their numbers; very long texts are cut.
const shown = (text) => (text.length > 20000 ? `${text.slice(0, 20000)} ...` : text).replace(/[\0-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g, (c) => `\\u{${c.charCodeAt(0).toString(16)}}`)

const svgTags = new Set(['g', 'rect', 'line', 'path', 'text', 'title', 'desc', 'circle', 'pattern', 'defs'])
// What the policy forbids as an attribute is set as a property.
const own = {
  style: (element, value) => Object.assign(element.style, value),
  value: (element, value) => { element.value = value },
  checked: (element, value) => { element.checked = value },
}

export function table(header, rows, { words = [0] } = {}) {
  const kind = (index) => (words.includes(index) ? 'words' : undefined)
  return el('div', { class: 'scroll', tabindex: 0 },
    el('table', {},
      el('thead', {}, el('tr', {}, header.map((name, i) => el('th', { class: kind(i), scope: 'col' }, name)))),
      el('tbody', {}, rows.map((row) => row instanceof Element ? row
        : el('tr', {}, row.map((cell, i) => el('td', { class: kind(i) }, cell)))))))
}

// Sets text where it has changed: what has not is not laid out again.
export function put(element, text) {
  const now = shown(String(text))
  if (element.textContent !== now) element.textContent = now
}

export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()

// What a screen reader says, once what changes has come to rest.
let told
export function tell(text) {
  clearTimeout(told)
  told = setTimeout(() => { document.getElementById('spoken').textContent = text }, 600)
}

// Puts the page together: node bundle.mjs MODULE.wasm OUT.html. Script and style are allowed by their hashes alone.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const [wasm, out] = process.argv.slice(2)
const require = createRequire(`${process.env.NODE_MODULES}/`)
const esbuild = require('esbuild')
const here = new URL('page/', import.meta.url).pathname

const bundle = async (entry, options) => (await esbuild.build({ entryPoints: [here + entry], bundle: true, minify: true, write: false, charset: 'utf8', legalComments: 'inline', ...options })).outputFiles[0].text.trim()
const script = (await bundle('main.mjs', { format: 'iife', target: 'es2022', loader: { '.toml': 'text' } })).replaceAll('</script', '<\\/script').replaceAll('<!--', '<\\!--')
const style = await bundle('all.css', {})
const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

// LZMA takes a quarter off what gzip leaves; base 85, of characters from `(` on without `<`, another sixteenth.
function packed(file) {
  const bytes = execFileSync('xz', ['--format=lzma', '-9e', '-c', file], { maxBuffer: 1 << 26 })
  const whole = Buffer.concat([bytes, Buffer.alloc((4 - bytes.length % 4) % 4)])
  const four = (at) => {
    let value = whole.readUInt32BE(at)
    let text = ''
    for (let i = 0; i < 5; i += 1) { const code = 40 + value % 85; text = String.fromCharCode(code < 60 ? code : code + 1) + text; value = Math.floor(value / 85) }
    return text
  }
  return Array.from({ length: whole.length / 4 }, (_, i) => four(4 * i)).join('')
}
const module = packed(wasm)

const parts = { script, style, module, 'script-hash': hash(script), 'style-hash': hash(style), given: '{{given}}' }
const page = readFileSync(here + 'index.html', 'utf8').replace(/\{\{([\w-]+)\}\}/g, (_, name) => parts[name])
writeFileSync(out, page)
const size = (text) => `${(Buffer.byteLength(text) / 1000).toFixed(0)} kB`
console.log(`${out}: ${size(page)} (module ${size(module)}, script ${size(script)}, style ${size(style)})`)

import { Decoder, InputBuffer, OutputBuffer } from './vendor/lzma1.mjs'

// LZMA in base 85, five characters for four bytes: a quarter less than gzip in base 64. `bundle.mjs` writes it.
export function unpacked(text) {
  const packed = new Uint8Array(text.length / 5 * 4)
  const view = new DataView(packed.buffer)
  for (let at = 0; at < text.length; at += 5) {
    let four = 0
    for (let i = at; i < at + 5; i += 1) four = four * 85 + text.charCodeAt(i) - FIRST - (text.charCodeAt(i) > LESS ? 1 : 0)
    view.setUint32(at / 5 * 4, four)
  }
  const out = new OutputBuffer(packed.length * 4)
  new Decoder().decompress(new InputBuffer(packed), out)
  return out.toArray()
}
// Characters from `(` on, without `<`, which could end the element that holds them.
const [FIRST, LESS] = [40, 60]

// The answers of the module: questions on standard input, one a line.
import { readFileSync } from 'node:fs'

const module = new WebAssembly.Module(readFileSync(process.argv[2]))
if (WebAssembly.Module.imports(module).length > 0) throw new Error('the module has imports')
const { alloc, free, ask, memory } = new WebAssembly.Instance(module).exports

function answer(question) {
  const bytes = new TextEncoder().encode(question)
  const at = alloc(bytes.length) >>> 0
  new Uint8Array(memory.buffer, at, bytes.length).set(bytes)
  const result = BigInt.asUintN(64, ask(at, bytes.length))
  const [pointer, length] = [Number(result >> 32n), Number(result & 0xffffffffn)]
  const text = new TextDecoder().decode(new Uint8Array(memory.buffer, pointer, length))
  free(at, bytes.length)
  free(pointer, length)
  return text
}

for (const question of readFileSync(0, 'utf8').split('\n')) {
  if (question) process.stdout.write(answer(question) + '\n')
}

// The module that is in a page: node unpack.mjs PAGE.html OUT.wasm
import { readFileSync, writeFileSync } from 'node:fs'
import { unpacked } from './page/packed.mjs'

const [page, out] = process.argv.slice(2)
const packed = /<script type="application\/octet-stream" id="module">([^<]*)<\/script>/.exec(readFileSync(page, 'utf8'))
writeFileSync(out, unpacked(packed[1].trim()))

// Quantities as people read them, and as the simulator's keys are written. The rules are those of `models/src/units.rs`.

const three = (value) => (value >= 99.95 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2))

function scaled(value, base, units) {
  let unit = 0
  while (value >= base && unit + 1 < units.length) { value /= base; unit += 1 }
  return `${unit === 0 ? value.toFixed(0) : three(value)} ${units[unit]}`
}

export const size = (bytes) => scaled(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB'])
export const rate = (bits) => scaled(bits, 1000, ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s'])
const two = (value) => String(Math.floor(value)).padStart(2, '0')

export function time(s) {
  if (s === null || s === undefined) return '-'
  if (s === 0) return '0 s'
  if (s < 0.001) return `${(s * 1e6).toFixed(0)} us`
  if (s < 0.9995) return `${three(s * 1e3)} ms`
  if (s < 120) return `${three(s)} s`
  if (s < 7200) return `${Math.floor(s / 60)} min ${two(s % 60)} s`
  return `${Math.floor(s / 3600)} h ${two((s % 3600) / 60)} min`
}

// When a migration was over, whatever came of it.
export const overAt = ({ tmt_s, given_up_s, timed_out_s, rounds }) => tmt_s ?? given_up_s ?? timed_out_s ?? rounds.at(-1)?.end_s ?? 1
export const span = (interval) => (interval ? `${time(interval.p5)} to ${time(interval.p95)}` : '-')
export const percent = (share) => `${(share * 100).toFixed(share > 0.995 && share < 1 ? 1 : 0)} %`

// Kinds of keys: their base unit, the ends of a slider, and how a value is written.
const KINDS = {
  size: { from: 2 ** 26, to: 2 ** 40, units: { TiB: 2 ** 40, GiB: 2 ** 30, MiB: 2 ** 20, KiB: 1024, TB: 1e12, GB: 1e9, MB: 1e6, kB: 1e3, Ti: 2 ** 40, Gi: 2 ** 30, Mi: 2 ** 20, Ki: 1024, p: 4096, B: 1 }, written: ['TiB', 'GiB', 'MiB', 'KiB', 'B'] },
  rate: { from: 1e7, to: 4e11, units: { 'Tbit/s': 1e12, 'Gbit/s': 1e9, 'Mbit/s': 1e6, 'kbit/s': 1e3, 'bit/s': 1, Gbps: 1e9, Mbps: 1e6, GbE: 1e9, 'Gb/s': 1e9, 'Mb/s': 1e6, 'GiB/s': 8 * 2 ** 30, 'MiB/s': 8 * 2 ** 20, 'GB/s': 8e9, 'MB/s': 8e6 }, written: ['Gbit/s', 'Mbit/s', 'kbit/s', 'bit/s'] },
  time: { from: 1e-4, to: 3600, units: { h: 3600, min: 60, ms: 1e-3, us: 1e-6, ns: 1e-9, s: 1 }, written: ['s', 'ms', 'us'] },
  'page-rate': { from: 10, to: 2e6, units: { 'p/s': 1, 'pages/s': 1, 'MiB/s': 256, 'GiB/s': 262144, 'KiB/s': 0.25 }, written: ['p/s'] },
}

export const isSliding = (kind) => kind in KINDS
export const ends = (kind) => [KINDS[kind].from, KINDS[kind].to]

// A written value in its base unit; NaN: it is not written as it should be.
export function parse(kind, text) {
  const found = /^\s*([0-9.]+(?:e[+-]?\d+)?)\s*(\S+)\s*$/i.exec(text ?? '')
  const unit = found && KINDS[kind].units[found[2]]
  return unit ? Number(found[1]) * unit : NaN
}

// Two digits in the largest unit in which it is a number of one or more.
export function write(kind, value) {
  const { units, written } = KINDS[kind]
  const unit = written.find((one) => value >= units[one]) ?? written.at(-1)
  const number = Number((value / units[unit]).toPrecision(value / units[unit] >= 100 ? 3 : 2))
  return `${number}${unit}`
}

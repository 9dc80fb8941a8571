// Charts over time: uPlot with the page's colours, shaded spans, a shared cursor, and room for all axes to begin at the same place.
import uPlot from './vendor/uPlot.mjs'
import { css, el } from './dom.mjs'
import * as units from './units.mjs'

const LEFT = 82
const LABEL = 18
export const RIGHT = 14

// The cursor of all charts of a view moves together.
export const sync = uPlot.sync('time')

const clock = (u, ticks) => ticks.map((s) => (s === 0 ? '0' : units.time(Number(s.toPrecision(6))).replace(/\.0+(?= )/, '')))

export class Chart {
  // series: [{ label, colour, points, steps, dots, dash }], each with its own times; spans: [{ from, to, colour }]; marks: [{ at, text }].
  constructor(title, { height = 190, unit = '', x = 'time since the start', moved, tick, left = LEFT } = {}) {
    Object.assign(this, { title, height, unit, x, moved, tick, left })
    this.place = el('div')
    this.element = el('div', { class: 'panel', role: 'img', 'aria-label': title }, el('h3', {}, title), this.place)
    this.watch = new ResizeObserver(() => this.fit())
    this.watch.observe(this.element)
  }

  // With what has to be told beside it where the page is not.
  picture() {
    return { canvas: this.plot?.ctx.canvas, title: this.title, legend: (this.series ?? []).map(({ label, colour }) => [label, colour]) }
  }

  show({ series, from = 0, to, spans = [], marks = [], top, bottom = 0, described }) {
    Object.assign(this, { spans, marks, series })
    const data = joined(series)
    if (described) this.element.setAttribute('aria-label', `${this.title}. ${described}`)
    const shape = JSON.stringify([series.map(({ label, colour, steps, dots }) => [label, colour, steps, dots]), document.documentElement.dataset.theme])
    this.range = { x: [from, to], y: [bottom, top ?? 1.06 * (most(series) || 1)] }
    if (this.plot && this.shape === shape) {
      this.plot.setData(data)
      return
    }
    this.plot?.destroy()
    this.shape = shape
    const line = css('line')
    const dim = css('text')
    const axis = { stroke: dim, grid: { stroke: line, width: 0.5 }, ticks: { stroke: line, width: 0.5 }, font: '12px system-ui, sans-serif', labelFont: '12px system-ui, sans-serif' }
    this.plot = new uPlot({
      width: Math.max(240, this.element.clientWidth),
      height: this.height,
      padding: [8, RIGHT, 0, 0],
      scales: { x: { time: false, range: () => this.range.x }, y: { range: () => this.range.y } },
      axes: [
        { ...axis, values: this.tick ?? clock, size: 34, label: this.x, labelSize: 18, space: 70 },
        { ...axis, size: this.left - LABEL, label: this.unit, labelSize: LABEL, values: (u, ticks) => ticks.map((value) => (value >= 1e4 ? `${value / 1e3}k` : String(Number(value.toPrecision(6))))) },
      ],
      series: [
        { label: 'at', value: (u, value) => (value === null || value === undefined ? '-' : units.time(pointed(u))) },
        ...series.map(({ label, colour, steps, dots, dash, breaks }) => ({
          label,
          stroke: css(colour),
          width: dots ? 0 : 2,
          dash,
          spanGaps: !dots && !breaks,
          paths: dots ? () => null : steps ? uPlot.paths.stepped({ align: 1 }) : undefined,
          points: { show: Boolean(dots), size: 7, fill: css(colour) },
          value: (u) => { const value = this.valueAt(label, pointed(u)); return value === null ? '-' : `${Number(value.toPrecision(4))} ${this.unit}` },
        })),
      ],
      cursor: { sync: { key: 'time', setSeries: false }, drag: { x: true, y: false, setScale: false } },
      legend: { live: true },
      hooks: {
        drawClear: [(u) => this.shade(u)],
        draw: [(u) => this.write(u)],
        setCursor: [(u) => { if (u.cursor.left >= 0 && u.cursor.event) this.moved?.(u.posToVal(u.cursor.left, 'x')) }],
      },
    }, data, this.place)
  }

  shade(u) {
    const { ctx, bbox } = u
    for (const { from, to, colour } of this.spans) {
      const [a, b] = [from, to].map((at) => Math.min(Math.max(u.valToPos(at, 'x', true), bbox.left), bbox.left + bbox.width))
      ctx.fillStyle = css(colour)
      ctx.fillRect(a, bbox.top, Math.max(b - a, 1), bbox.height)
    }
  }

  write(u) {
    const { ctx, bbox } = u
    ctx.save()
    ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`
    ctx.strokeStyle = ctx.fillStyle = css('dim')
    ctx.setLineDash([])
    for (const { at, text } of this.marks) {
      const x = u.valToPos(at, 'x', true)
      if (x < bbox.left || x > bbox.left + bbox.width) continue
      ctx.beginPath()
      ctx.moveTo(x, bbox.top)
      ctx.lineTo(x, bbox.top + bbox.height)
      ctx.stroke()
      const right = x + ctx.measureText(text).width + 6 > bbox.left + bbox.width
      ctx.textAlign = right ? 'right' : 'left'
      ctx.fillText(text, x + (right ? -5 : 5), bbox.top + 14 * devicePixelRatio)
    }
    ctx.restore()
  }

  // What a series is at a moment, between its points too: on a line what lies there, of steps the last, of dots the next one.
  valueAt(label, at) {
    const { points = [], steps, dots } = this.series.find((one) => one.label === label) ?? {}
    if (at === null || !points.length) return null
    const next = points.findIndex(([x]) => x >= at)
    const [before, after] = [points[next - 1], points[next]]
    if (dots) return after?.[1] ?? null
    if (!after) return steps && at <= this.range.x[1] ? null : points.at(-1)[1]
    if (!before) return after[0] === at ? after[1] : null
    if (steps || after[0] === before[0]) return before[1]
    if (before[1] === null || after[1] === null) return null
    return before[1] + (after[1] - before[1]) * (at - before[0]) / (after[0] - before[0])
  }

  // The cursor, at a moment.
  point(at) {
    this.plot?.setCursor({ left: this.plot.valToPos(at, 'x'), top: 10 })
  }

  fit() {
    const width = this.element.clientWidth
    if (this.plot && width > 0 && Math.abs(width - this.plot.width) > 1) this.plot.setSize({ width, height: this.height })
  }

  end() {
    this.watch.disconnect()
    this.plot?.destroy()
  }
}

const pointed = (u) => (u.cursor.left >= 0 ? u.posToVal(u.cursor.left, 'x') : null)
const most = (series) => Math.max(0, ...series.flatMap(({ points }) => points.map(([, y]) => y ?? 0)))

// One list of times for all series; where a series has none, it has a gap that lines bridge.
function joined(series) {
  return uPlot.join(series.map(({ points }) => {
    const sorted = [...points].sort((a, b) => a[0] - b[0])
    const seen = new Map(sorted.map(([x, y], index) => {
      const twice = index > 0 && sorted[index - 1][0] === x
      return [twice ? x + 1e-9 * (1 + Math.abs(x)) : x, y]
    }))
    return [[...seen.keys()], [...seen.values()]]
  }))
}

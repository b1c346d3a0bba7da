/* The page of tools/bench: tables of rows beside their targets, plots by uPlot. What it shows is in #run. */
'use strict'
const run = JSON.parse(document.querySelector('#run').textContent)
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()
const series_colour = (i) => colour(`c${i % 8}`)
const FONT = '12px system-ui, "Segoe UI", "DejaVu Sans", sans-serif'

function make(tag, to, text, kind) {
  const made = document.createElement(tag)
  if (kind) made.className = kind
  // `code` in the words of a figure is code.
  for (const [i, part] of String(text ?? '').split('`').entries()) {
    if (!part) continue
    if (i % 2) made.appendChild(document.createElement('code')).textContent = part
    else made.append(part)
  }
  to?.append(made)
  return made
}

function digits(value) {
  if (value === undefined || value === null) return ''
  if (Math.abs(value) >= 10000) return Math.round(value).toLocaleString('en').replaceAll(',', '\u202f')
  return String(Number(value.toPrecision(Math.abs(value) >= 1000 ? 4 : 3)))
}

const figure = (row) => row.median ?? row.value
const bounds = (row) => Object.entries(row.target).map(([name, [how, bound]]) =>
  `${name === 'median' || name === 'value' ? '' : `${name} `}${how === '<=' ? '\u2264' : '\u2265'} ${digits(bound)}`).join(', ')
const wants_more = (row) => Object.values(row.target)[0]?.[0] === '>=' || ['/s', 'MB/s', 'Gbit/s'].includes(row.unit)

function mark(row) {
  if (row.error) return ['no', 'failed']
  if (row.skipped) return ['none', 'skipped']
  return row.met === null ? null : row.met ? ['yes', '\u2713 met'] : ['no', '\u2717 not met']
}

function add_mark(row, to) {
  const found = mark(row)
  if (found) make('span', to, found[1], `mark ${found[0]}`)
}

function add_before(row, line) {
  const cell = make('td', line, '', 'rest')
  if (!row.before || !row.before.figure) return
  const part = (figure(row) / row.before.figure - 1) * 100
  const is_better = wants_more(row) ? part > 0 : part < 0
  make('span', cell, `${part > 0 ? '+' : ''}${part.toFixed(Math.abs(part) < 10 ? 1 : 0)} %`, Math.abs(part) < 5 ? '' : is_better ? 'better' : 'worse')
  cell.title = `${digits(row.before.figure)} ${row.unit} with ${row.before.commit}, ${row.before.date}`
}

function add_row(row, body) {
  const line = make('tr', body)
  make('td', line, row.what)
  if (row.error || row.skipped) {
    const why = make('td', line, '', 'why')
    why.colSpan = 7
    add_mark(row, why)
    why.append(` ${row.error || row.skipped}`)
    return
  }
  const cell = make('td', line, digits(figure(row)), 'figure')
  make('small', cell, ` ${row.unit}`)
  for (const name of ['p95', 'p99', 'max', 'n']) make('td', line, digits(row[name]), 'rest')
  const wanted = make('td', line, '', 'rest')
  wanted.append(`${bounds(row)} `)
  add_mark(row, wanted)
  add_before(row, line)
}

function add_table(rows, to) {
  const table = make('table', make('div', to, '', 'card table'))
  const head = make('tr', make('thead', table))
  for (const name of ['', 'median or value', 'p95', 'p99', 'max', 'n', 'target', 'before']) make('th', head, name)
  const body = make('tbody', table)
  for (const row of rows) add_row(row, body)
}

/* Plots */
const axis = (label, more) => ({
  label, labelSize: label ? 18 : 0, labelGap: 0, labelFont: FONT, font: FONT, stroke: colour('soft'), grid: { stroke: colour('grid'), width: 1 },
  ticks: { stroke: colour('grid') }, ...more,
})
const shown = (unit) => (u, value) => (value === null || value === undefined ? '\u2013' : `${digits(value)} ${unit}`)
const plain = (text) => text.replaceAll('`', '')

function draw(plot, to, options, data) {
  const card = make('div', to, '', 'card')
  make('h3', card, plot.title)
  const chart = new uPlot({ width: card.clientWidth - 28, height: 260, ...options }, data, card)
  charts.push([chart, card])
}

function spread(plot, rows, to) {
  const kept = rows.filter((row) => plot.keys.includes(row.key) && row.samples?.length > 2)
  if (!kept.length) return
  const at = Array.from({ length: 101 }, (_, i) => i)
  const data = kept.map((row) => {
    const sorted = row.samples.toSorted((a, b) => a - b)
    return at.map((p) => sorted[Math.min(sorted.length - 1, Math.floor((p / 100) * sorted.length))])
  })
  draw(plot, to, {
    scales: { x: { time: false, range: [0, 100] }, y: { distr: 3 } },
    axes: [axis('per cent of the samples are as fast', { size: 30 }), axis('ms', { size: 56, values: (u, all) => all.map(digits) })],
    series: [{ label: 'at', value: (u, v) => (v === null ? '\u2013' : `${v} %`) },
      ...kept.map((row, i) => ({ label: plain(row.what), stroke: series_colour(i), width: 2, value: shown('ms'), points: { show: false } }))],
  }, [at, ...data])
}

function lines(plot, rows, to) {
  const fits = (row) => Object.entries(plot.where ?? {}).every(([name, value]) => row.parameters[name] === value)
  const kept = Object.keys(plot.keys).map((key) => rows.filter((row) => row.key === key && figure(row) !== undefined && fits(row)))
  const at = [...new Set(kept.flat().map((row) => row.parameters[plot.x]))].sort((a, b) => a - b)
  if (at.length < 2) return
  const value = (all, x) => { const row = all.find((one) => one.parameters[plot.x] === x); return row ? figure(row) : null }
  const unit = kept.flat()[0].unit
  const margin = (at.at(-1) - at[0]) * 0.05
  draw(plot, to, {
    scales: { x: { time: false, range: [at[0] - margin, at.at(-1) + margin] }, y: plot.zero ? { range: (u, low, high) => [0, high * 1.2] } : { distr: 3 } },
    axes: [axis(plot.axis, { size: 30, splits: () => at }), axis(unit, { size: 56, values: (u, all) => all.map(digits) })],
    series: [{ label: plot.axis, value: (u, v) => (v === null ? '\u2013' : digits(v)) },
      ...Object.values(plot.keys).map((label, i) => ({ label, stroke: series_colour(i), width: 2, spanGaps: true, value: shown(unit),
        points: { show: true, size: 8, fill: series_colour(i) } }))],
  }, [at, ...kept.map((all) => at.map((x) => value(all, x)))])
}

function bars(plot, rows, to) {
  const kept = rows.filter((row) => plot.keys.includes(row.key) && figure(row) !== undefined).sort((a, b) => figure(a) - figure(b))
  if (kept.length < 2) return
  const names = kept.map((row) => row.parameters.name ?? plain(row.what))
  const values = kept.map(figure)
  const write = (u) => {
    u.ctx.save()
    u.ctx.font = `600 ${12 * devicePixelRatio}px system-ui, "DejaVu Sans", sans-serif`
    u.ctx.fillStyle = colour('ink')
    u.ctx.textAlign = 'center'
    for (const [i, v] of values.entries()) u.ctx.fillText(`${digits(v)} ms`, u.valToPos(i, 'x', true), u.valToPos(v, 'y', true) - 6 * devicePixelRatio)
    u.ctx.restore()
  }
  draw(plot, to, {
    scales: { x: { time: false, range: [-0.6, kept.length - 0.4] }, y: { range: (u, low, high) => [0, high * 1.15] } },
    axes: [axis(undefined, { splits: () => names.map((_, i) => i), values: () => names.map((name) => name.replace(', ', ',\n').replace(' by ', '\nby ')),
      size: 52, grid: { show: false } }), axis('ms', { size: 56 })],
    series: [{ label: '', value: (u, v) => (v === null ? '\u2013' : names[v]) },
      { label: plot.title.replaceAll('`', ''), fill: series_colour(0), stroke: series_colour(0), value: shown('ms'), points: { show: false },
        paths: uPlot.paths.bars({ size: [0.55, 80], radius: 0.1 }) }],
    hooks: { draw: [write] },
  }, [values.map((_, i) => i), values])
}

const kinds = { spread, lines, bars }
let charts = []

function add_plots() {
  charts = []
  for (const place of document.querySelectorAll('.plots')) {
    place.replaceChildren()
    const rows = run.rows.filter((row) => row.group === place.dataset.group)
    for (const plot of run.plots) if (run.groups[plot.group] === place.dataset.group) kinds[plot.kind](plot, rows, place)
  }
}

function add_head() {
  const c = run.conditions, counted = run.rows.filter((row) => row.met !== null)
  const failed = run.rows.filter((row) => row.error).length
  document.title = `Sandlot bench ${c.commit}`
  document.querySelector('#lead').textContent = `${c.date}, commit ${c.commit}${c.changed ? ' with changes' : ''}${c.mode === 'normal' ? '' : `, ${c.mode} run`}: ` +
    `${counted.filter((row) => row.met).length} of ${counted.length} rows with a target meet it${failed ? `, ${failed} failed` : ''}.`
  const facts = { processor: c.cpu, cores: c.cores, memory: `${Math.round(c.memory_mib / 1024)} GiB`, kernel: c.kernel, driver: c.driver,
    'file system': c.file_system, 'load before': c.load.toFixed(2), 'to spawn a program': `${c.spawn_static_us} \u00b5s`, 'to spawn bash': `${c.spawn_bash_us} \u00b5s` }
  for (const [name, value] of Object.entries(facts)) {
    const one = make('div', document.querySelector('#conditions'))
    make('dt', one, name)
    make('dd', one, value)
  }
}

function add_tiles() {
  for (const name of ['tti true', 'tti node -v', 'burst_sdk 100', 'exec', 'rate 8 60', 'density 1000', 'pause 50 0', 'hot 50 0', 'cold 50 0', 'rss']) {
    const row = run.rows.find((one) => one.row === name && figure(one) !== undefined)
    if (!row) continue
    const tile = make('div', document.querySelector('#tiles'), '', 'tile')
    make('div', tile, row.what, 'what')
    make('small', make('div', tile, digits(figure(row)), 'figure'), ` ${row.unit}`)
    const wanted = make('div', tile, '', 'bound')
    wanted.append(`${bounds(row)} `)
    add_mark(row, wanted)
  }
}

function add_groups() {
  for (const [i, group] of run.groups.entries()) {
    const rows = run.rows.filter((row) => row.group === group)
    if (!rows.length) continue
    const section = make('section', document.querySelector('#groups'))
    section.id = `g${i}`
    make('h2', section, group)
    make('div', section, '', 'plots').dataset.group = group
    add_table(rows, section)
    make('a', document.querySelector('#contents'), group).href = `#g${i}`
  }
}

add_head()
add_tiles()
add_groups()
add_plots()
document.body.dataset.plots = charts.length
addEventListener('resize', () => { for (const [chart, card] of charts) chart.setSize({ width: card.clientWidth - 28, height: 260 }) })
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', add_plots)

'use strict';
// The walk: `position` runs over the ops of the forward part, then "the pass begins", then the steps of the backward
// part, as in apps/step/trace.h. draw() makes everything that is seen from the trace and the position alone.
const trace = JSON.parse(document.getElementById('trace').textContent);
const values = trace.values, ops = trace.ops, steps = trace.steps;
const begin = ops.length, last = begin + steps.length;
let position = begin;

const size = v => v.shape.reduce((a, b) => a * b, 1);
const columns = shape => shape.length ? shape[shape.length - 1] : 1;
const called = v => v.label || v.name;
const num = x => typeof x === 'string' ? x : x === 0 ? '0' : Math.abs(x) >= 1e-3 && Math.abs(x) < 1e5
  ? String(Number(x.toPrecision(4))) : Number(x.toPrecision(4)).toExponential().replace('e+', 'e');
const magnitude = x => typeof x === 'string' ? Infinity : Math.abs(x);
const most = xs => xs.reduce((m, x) => Number.isFinite(magnitude(x)) ? Math.max(m, magnitude(x)) : m, 0);

// Gradients after the first n steps, by value; undefined where none has arrived.
function gradientsAfter(n) {
  const grads = values.map(() => undefined);
  const at = v => grads[v] || (grads[v] = new Array(size(values[v])).fill(0));
  for (const s of trace.seeds) s.grad.forEach((g, e) => { at(s.value)[e] = g; });
  for (const s of steps.slice(0, n))
    for (const a of s.adds) {
      const input = ops[s.op].in[a.input];
      a.now.forEach((g, e) => { at(input.value)[input.offset + e] = g; });
    }
  return grads;
}
// How many contributions a value gets in the first n steps.
const contributions = (value, n) => steps.slice(0, n).reduce((sum, s) =>
  sum + s.adds.filter(a => ops[s.op].in[a.input].value === value).length, 0);
const inputName = i => { const v = values[i.value]; return v.label ? v.label + (i.name.match(/\[.*/) || [''])[0] : i.name; };

// ------------------------------------------------------------------------------------------------ elements

function el(tag, attributes, ...children) {
  const svg = ['svg', 'g', 'rect', 'path', 'text', 'title'].includes(tag);
  const e = svg ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag);
  for (const [k, v] of Object.entries(attributes || {})) e.setAttribute(k, v);
  e.append(...children);
  return e;
}

// A table of numbers, coloured by sign and size; only colours where there are too many to read.
function heat(caption, xs, shape, kind) {
  const M = columns(shape), rows = M ? xs.length / M : 0, top = most(xs) || 1;
  const table = el('table', { class: 'heat' + (M > 8 || rows > 10 ? ' dense' : M > 5 ? ' small' : ''), 'data-kind': kind });
  const body = el('tbody');
  for (let n = 0; n < rows; ++n) {
    const row = el('tr');
    for (let m = 0; m < M; ++m) {
      const x = xs[n * M + m], part = Number.isFinite(magnitude(x)) ? 55 * magnitude(x) / top : 100;
      const cell = el('td', { style: `--hue: var(--${x < 0 ? 's2' : 's1'}); --part: ${part.toFixed(0)}%`, title: num(x) },
        num(magnitude(x) < 1e-10 * top ? 0 : x));  // what finite differences leave of 0
      row.append(cell);
    }
    body.append(row);
  }
  table.append(body);
  return el('figure', {}, el('figcaption', {}, caption), table);
}

// ------------------------------------------------------------------------------------------------ the graph

// Layers from the leaves down to the loss; each value is a node. Edges over several layers go through points of their
// own. Order within a layer: by the mean place of the neighbours, a few times up and down; then places, the same way.
function layout() {
  const layer = values.map(() => -1), uses = values.map(() => []);
  ops.forEach((op, i) => {
    const ins = op.in.map(x => x.value);
    const level = 1 + Math.max(0, ...ins.filter(v => values[v].op >= 0).map(v => layer[v]));
    op.out.forEach(v => { layer[v] = level; });
    ins.forEach(v => uses[v].push(i));
  });
  values.forEach((v, i) => { if (v.op < 0) layer[i] = Math.min(...uses[i].map(o => layer[ops[o].out[0]])) - 1; });
  const nodes = values.map((v, i) => {
    const M = columns(v.shape), rows = size(v) / (M || 1);
    const cell = Math.max(2, Math.min(13, 72 / M, 62 / rows));
    const label = called(v), kind = v.op < 0 ? '' : ops[v.op].kind;
    const map = { w: cell * M, h: cell * rows, cell, M, rows };
    const width = Math.max(2 * map.w + 8, 7.6 * label.length, 6.1 * kind.length) + 18;
    return { value: i, layer: layer[i], w: width, h: map.h + (kind ? 45 : 30), map, up: [], down: [] };
  });
  const edges = [];
  ops.forEach((op, o) => [...new Set(op.in.map(x => x.value))].forEach(from => op.out.forEach(to => {
    const path = [nodes[from]];
    for (let l = layer[from] + 1; l < layer[to]; ++l) {
      const point = { layer: l, w: 10, h: 0, up: [], down: [], point: true };
      nodes.push(point);
      path.push(point);
    }
    path.push(nodes[to]);
    for (let k = 0; k + 1 < path.length; ++k) { path[k].down.push(path[k + 1]); path[k + 1].up.push(path[k]); }
    edges.push({ op: o, from, to, path });
  })));
  const layers = [];
  for (const n of nodes) (layers[n.layer] ||= []).push(n);
  layers.forEach(l => l.forEach((n, i) => { n.x = i * 100; }));
  const mean = ns => ns.reduce((s, n) => s + n.x, 0) / ns.length;
  const spread = l => {  // least distances, kept order, and the centre where the wishes have it
    let right = -Infinity;
    const wishes = l.reduce((s, n) => s + n.x, 0);
    for (const n of l) { n.x = Math.max(n.x, right + n.w / 2); right = n.x + n.w / 2 + (n.point ? 8 : 16); }
    const shift = (wishes - l.reduce((s, n) => s + n.x, 0)) / l.length;
    for (const n of l) n.x += shift;
  };
  layers.forEach(spread);
  for (let round = 0; round < 24; ++round) {
    const down = round % 2 === 0;
    for (const l of down ? layers : [...layers].reverse()) {
      for (const n of l) { const near = down ? n.up : n.down; if (near.length) n.x = mean(near); }
      if (round < 16) l.sort((a, b) => a.x - b.x);
      spread(l);
    }
  }
  let y = 12;
  for (const l of layers) {
    const h = Math.max(...l.map(n => n.h));
    for (const n of l) { n.y = y + h / 2; if (n.point) n.h = h; }  // an edge goes straight through a layer, bends between
    y += h + 26;
  }
  const left = Math.min(...nodes.map(n => n.x - n.w / 2)) - 12, right = Math.max(...nodes.map(n => n.x + n.w / 2)) + 12;
  for (const n of nodes) n.x -= left;
  return { nodes: nodes.slice(0, values.length), edges, w: right - left, h: y - 14 };
}

const plan = layout();
const svg = el('svg', { viewBox: `0 0 ${plan.w.toFixed(0)} ${plan.h.toFixed(0)}`, role: 'img', 'aria-label': 'graph of the step' });
document.getElementById('graph').append(svg);
for (const e of plan.edges) {
  let d = '';
  e.path.forEach((n, k) => {
    const bottom = n.y + n.h / 2, top = n.y - n.h / 2;
    if (k === 0) d = `M${n.x.toFixed(1)} ${bottom.toFixed(1)}`;
    else {
      const p = e.path[k - 1], from = p.y + p.h / 2, bend = (top - from) / 2;
      d += `C${p.x.toFixed(1)} ${(from + bend).toFixed(1)} ${n.x.toFixed(1)} ${(top - bend).toFixed(1)} ${n.x.toFixed(1)} ${top.toFixed(1)}`;
      if (n.point) d += `V${bottom.toFixed(1)}`;
    }
  });
  e.element = svg.appendChild(el('path', { d }));
}
for (const n of plan.nodes) {
  const v = values[n.value], kind = v.op < 0 ? '' : ops[v.op].kind;
  n.element = el('g', { class: 'node' + (kind ? '' : ' leaf'), transform: `translate(${(n.x - n.w / 2).toFixed(1)} ${(n.y - n.h / 2).toFixed(1)})` },
    el('title', {}, `${v.name} [${v.shape}]`),
    el('rect', { class: 'frame', width: n.w.toFixed(1), height: n.h.toFixed(1), rx: 7 }),
    el('text', { x: (n.w / 2).toFixed(1), y: 17, 'text-anchor': 'middle' }, called(v)));
  if (kind) n.element.append(el('text', { class: 'op', x: (n.w / 2).toFixed(1), y: 31, 'text-anchor': 'middle' }, kind));
  n.element.addEventListener('click', () => {
    const s = steps.findIndex(x => x.op === v.op);
    go(v.op < 0 ? begin : s >= 0 ? begin + 1 + s : v.op);
  });
  const maps = [n.w / 2 - n.map.w - 3, n.w / 2 + 3].map((x, which) => {
    const top = n.h - n.map.h - 7, g = el('g', { class: which ? 'gradient' : 'value' });
    g.append(el('rect', { class: 'cell', x: x.toFixed(1), y: top.toFixed(1), width: n.map.w.toFixed(1), height: n.map.h.toFixed(1) }));
    g.place = { x, top };
    return g;
  });
  n.element.append(...maps);
  n.maps = maps;
  svg.append(n.element);
}

function paint(n, which, xs, arrived) {
  const g = n.maps[which], { x, top } = g.place, scale = most(which ? values[n.value].grad : values[n.value].data) || most(xs || []) || 1;
  g.querySelectorAll('.fill').forEach(e => e.remove());
  if (!xs) return;
  xs.forEach((v, i) => {
    const r = el('rect', { class: 'fill' + (arrived ? ' arrived' : ''), x: (x + i % n.map.M * n.map.cell).toFixed(1),
      y: (top + Math.floor(i / n.map.M) * n.map.cell).toFixed(1), width: n.map.cell.toFixed(1), height: n.map.cell.toFixed(1) });
    r.style.fill = `var(--${v < 0 ? 's2' : 's1'})`;
    r.style.fillOpacity = Number.isFinite(magnitude(v)) ? Math.min(1, .06 + .94 * magnitude(v) / scale) : 1;
    g.append(r);
  });
}

function drawGraph() {
  const step = position - begin - 1, grads = gradientsAfter(Math.max(0, step + 1));
  const done = position < begin ? position : begin, active = step >= 0 ? ops[steps[step].op] : ops[position];
  const touched = new Set(step >= 0 ? steps[step].adds.map(a => active.in[a.input].value) : []);
  for (const n of plan.nodes) {
    const v = values[n.value], there = v.op < 0 || v.op <= done;
    n.element.classList.toggle('later', !there);
    n.element.classList.toggle('active', !!active && active.out.includes(n.value));
    n.element.classList.toggle('touched', touched.has(n.value));
    paint(n, 0, there ? v.data : undefined);
    paint(n, 1, position >= begin ? grads[n.value] : undefined, touched.has(n.value));
  }
  for (const e of plan.edges) {
    const lit = active === ops[e.op] && (step < 0 || touched.has(e.from));
    e.element.classList.toggle('lit', lit);
    e.element.classList.toggle('ahead', step < 0);
  }
  const shown = active ? plan.nodes[active.out[0]] : plan.nodes[trace.seeds[0].value];
  // As much of the graph as can be read from the back of a room.
  const box = document.getElementById('graph'), high = Math.min(1.15, Math.max(.95, (box.clientHeight - 4) / plan.h));
  const zoom = Math.min(high, Math.max(.6, (box.clientWidth - 4) / plan.w));
  svg.setAttribute('width', (plan.w * zoom).toFixed(0));
  svg.setAttribute('height', (plan.h * zoom).toFixed(0));
  const middle = active ? (shown.y + Math.min(shown.y, ...active.in.map(i => plan.nodes[i.value].y))) / 2 : shown.y;
  // Its inputs too, as far as the op itself stays in sight.
  const lowest = (shown.y + shown.h / 2) * zoom + 12 - box.clientHeight;
  box.scrollTo({ top: Math.max(middle * zoom - box.clientHeight / 2, lowest), left: shown.x * zoom - box.clientWidth / 2 });
}

// ------------------------------------------------------------------------------------------------ the step

function heading(op, part) {
  const out = op.out.map(v => called(values[v])).join(', ');
  const call = `${op.out.map(v => values[v].name).join(', ')} = ${op.kind}(${op.in.map(i => i.name).join(', ')})`;
  return el('h2', {}, el('small', {}, part), `${part.startsWith('back') ? 'backward of ' : ''}${out}`, el('small', {}, call));
}
const formula = (text, op) => el('p', { class: 'formula' + (text.length > 60 ? ' long' : '') }, text, el('small', {}, op.letters));
function source(op) {
  const code = el('code', {}, op.source);
  return el('p', { class: 'source' }, op.where + '  ', code);
}
// Whether a gradient that has all its contributions agrees with finite differences.
function agreement(v) {
  const bound = trace.precision === 'f64' ? 1e-8 : 1e-3;
  const worst = v.grad.reduce((w, g, e) => Math.max(w, Math.abs(g - v.numeric[e]) / Math.max(1, Math.abs(g))), 0);
  // The page holds six digits of each number.
  return { worst, good: worst <= Math.max(bound, 2e-6) };
}

function drawStep() {
  const box = document.getElementById('detail'), step = position - begin - 1, parts = [];
  if (step >= 0) {
    const s = steps[step], op = ops[s.op];
    parts.push(heading(op, `backward, step ${step + 1} of ${steps.length}`), formula(op.backward, op), source(op));
    const arrived = el('div', { class: 'tables' });
    for (const o of op.out) if (values[o].grad.length) arrived.append(heat(`received: gradient of ${called(values[o])}`, values[o].grad, values[o].shape, 'arrived'));
    parts.push(arrived);
    for (const [k, a] of s.adds.entries()) {
      const i = op.in[a.input], v = values[i.value];
      const to = s.adds.slice(k + 1).filter(b => op.in[b.input].value === i.value).length;  // it still adds to the same value
      const all = contributions(i.value, steps.length), got = contributions(i.value, step + 1) - to;
      const tables = el('div', { class: 'tables' });
      parts.push(el('h3', {}, `gradient of ${inputName(i)} `, el('span', {}, all > 1 ? `contribution ${got} of ${all}` : 'its only contribution')));
      tables.append(heat('added', a.added, i.shape, 'added'));
      if (!to && a.now.some((x, e) => x !== a.added[e])) tables.append(heat('sum so far', a.now, i.shape, 'now'));
      if (!to) tables.append(heat('by finite differences', v.numeric.slice(i.offset, i.offset + a.now.length), i.shape, 'numeric'));
      parts.push(tables);
      if (a.worked) parts.push(el('p', { class: 'worked' }, a.worked));
      if (to) continue;
      const { worst, good } = agreement(v);
      parts.push(got < all ? el('p', { class: 'check' }, 'more contributions to come')
        : good ? el('p', { class: 'check good' }, '✓ complete, agrees with finite differences of the loss')
          : el('p', { class: 'check bad' }, `✗ differs from finite differences by ${num(worst)}`));
    }
    if (op.checked && !op.passes) parts.push(el('p', { class: 'check bad' }, `✗ this op alone: ${op.check}`));
  } else if (step === -1) {
    parts.push(el('h2', {}, el('small', {}, 'the backward pass begins'), `loss = ${num(trace.loss)}`));
    for (const s of trace.seeds) parts.push(el('div', { class: 'tables' }, heat(`gradient of ${called(values[s.value])} starts as`, s.grad, values[s.value].shape, 'seed')));
    parts.push(el('p', { class: 'keys' }, 'Press → to run the backward pass of one op, ← to go back, f for the forward part.'),
      el('h3', {}, 'the forward pass'), el('ol', { class: 'program', start: 0 }, ...ops.map((op, i) => {
        const line = el('li', {}, op.out.map(v => called(values[v])).join(', '), ` = ${op.kind}(${op.in.map(inputName).join(', ')})  `, el('span', {}, `[${values[op.out[0]].shape}]`));
        line.addEventListener('click', () => go(i));
        return line;
      })),
      el('p', { class: 'hint' }, 'Each box of the graph shows a value on the left and its gradient on the right; blue is positive, orange negative. Click a box to go to its op.'));
  } else {
    const op = ops[position];
    parts.push(heading(op, `forward, op ${position + 1} of ${ops.length}`), formula(op.forward, op), source(op));
    const tables = el('div', { class: 'tables' });
    for (const i of op.in) tables.append(heat(inputName(i), values[i.value].data.slice(i.offset, i.offset + i.shape.reduce((a, b) => a * b, 1)), i.shape, 'input'));
    parts.push(el('h3', {}, 'inputs'), tables);
    const out = el('div', { class: 'tables' });
    for (const o of op.out) out.append(heat(called(values[o]), values[o].data, values[o].shape, 'output'));
    parts.push(el('h3', {}, 'result'), out);
  }
  box.replaceChildren(...parts);
  box.scrollTop = 0;
}

// ------------------------------------------------------------------------------------------------ moving

const control = id => document.getElementById(id);
function draw() {
  drawGraph();
  drawStep();
  const step = position - begin - 1;
  control('slider').value = position;
  control('count').textContent = step >= 0 ? `backward ${step + 1} of ${steps.length}` : step === -1 ? 'backward begins' : `forward ${position + 1} of ${ops.length}`;
  control('back').disabled = position === 0;
  control('next').disabled = position === last;
  control('forward-part').classList.toggle('chosen', position < begin);
  control('backward-part').classList.toggle('chosen', position >= begin);
  document.body.dataset.position = position;
}
// The address follows when one stands still: browsers take only so many changes of it (Chromium 200 in 30 seconds).
let address;
function go(to) {
  position = Math.max(0, Math.min(last, to));
  clearTimeout(address);
  address = setTimeout(() => history.replaceState(null, '', '#' + position), 200);
  draw();
}
const keys = { ArrowRight: () => go(position + 1), ArrowDown: () => go(position + 1), n: () => go(position + 1), ' ': () => go(position + 1),
  ArrowLeft: () => go(position - 1), ArrowUp: () => go(position - 1), p: () => go(position - 1),
  Home: () => go(0), End: () => go(last), f: () => go(0), b: () => go(begin) };
document.addEventListener('keydown', e => {
  if (e.ctrlKey || e.altKey || e.metaKey || !keys[e.key]) return;
  e.preventDefault();
  keys[e.key]();
});
control('next').addEventListener('click', () => go(position + 1));
control('back').addEventListener('click', () => go(position - 1));
control('forward-part').addEventListener('click', () => go(0));
control('backward-part').addEventListener('click', () => go(begin));
control('slider').max = last;
control('slider').addEventListener('input', e => go(Number(e.target.value)));
addEventListener('resize', draw);
// The address that was asked for: the one that follows may have been written over it by now.
addEventListener('hashchange', e => go(Number(e.newURL.split('#')[1])));
if (/^#\d+$/.test(location.hash)) position = Math.min(last, Number(location.hash.slice(1)));
draw();

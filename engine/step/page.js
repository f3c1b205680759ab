// Over 350 lines: the whole page, what it shows and how one moves in it.
'use strict';
// The walk: `position` runs over the opening scenes, the ops of the forward part, then "the pass begins", then the steps
// of the backward part, the updates of the parameters and the closing scenes, as in engine/step/trace.h. draw() makes
// everything that is seen from the trace and the position alone.
const trace = JSON.parse(document.getElementById('trace').textContent);
const { values, ops, steps, updates, labels, opening, closing } = trace;
const firstOp = opening.length, begin = firstOp + ops.length, firstUpdate = begin + 1 + steps.length,
  firstClosing = firstUpdate + updates.length, last = firstClosing + closing.length - 1;
const sceneAt = p => opening[p] || closing[p - firstClosing];
let position = firstOp ? 0 : begin;

// What the trace leaves out because it stands elsewhere: see engine/step/trace_json.cpp.
for (const s of steps)
  for (const a of s.adds) {
    a.added ||= values[ops[s.op].in[a.input].value].grad;
    a.now ||= a.added;
  }
for (const u of updates) u.clipped ||= values[u.value].grad;

const size = v => v.shape.reduce((a, b) => a * b, 1);
const columns = shape => shape.length ? shape[shape.length - 1] : 1;
const digits = (x, n) => typeof x === 'string' ? x : x === 0 ? '0' : Math.abs(x) >= 1e-3 && Math.abs(x) < 1e5
  ? String(Number(x.toPrecision(n))) : Number(x.toPrecision(n)).toExponential().replace('e+', 'e');
const num = x => digits(x, 4);
const magnitude = x => typeof x === 'string' ? Infinity : Math.abs(x);
const most = xs => xs.reduce((m, x) => Number.isFinite(magnitude(x)) ? Math.max(m, magnitude(x)) : m, 0);
// A token as it is seen: blanks and ends of lines have signs of their own.
const seen = token => token.replace('<|endoftext|>', '⟨end⟩').replace(/ /g, '␣').replace(/\n/g, '↵').replace(/\t/g, '⇥').replace(/^$/, '∅');
const quoted = words => /^“.*”/s.test(words) ? words.replace(/\n/g, '↵').replace(/\t/g, '⇥') : seen(words);  // a text: its blanks can be seen
const index = (e, shape) => '[' + shape.map((n, i) => Math.floor(e / shape.slice(i + 1).reduce((a, b) => a * b, 1)) % n).join(',') + ']';

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
// "∂x", "∂(x w)".
function gradientOf(name) {
  let depth = 0;
  const bare = [...name].every(c => { depth += '(['.includes(c) - ')]'.includes(c); return c !== ' ' || depth > 0; });
  return '∂' + (bare ? name : `(${name})`);
}
const call = op => `${op.kind}(${op.in.map(i => i.name).join(', ')})`;

// ------------------------------------------------------------------------------------------------ elements

function el(tag, attributes, ...children) {
  const svg = ['svg', 'path'].includes(tag);
  const e = svg ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag);
  for (const [k, v] of Object.entries(attributes || {})) e.setAttribute(k, v);
  e.append(...children.filter(c => c !== undefined && c !== null));
  return e;
}
const control = id => document.getElementById(id);

// What the rows and columns of a window on a value stand for: lists of words, or undefined. Where parts of its rows have
// labels, these are the rows that are shown: `width` numbers each.
function axes(v, offset, shape) {
  const C = columns(shape), count = shape.reduce((a, b) => a * b, 1), run = v.rows >= 0 ? size(v) / labels[v.rows].length : 0;
  const fits = run && C % run === 0 && offset % run === 0;
  return { rows: fits ? labels[v.rows].slice(offset / run, (offset + count) / run) : undefined, width: fits ? run : C,
    columns: v.columns >= 0 && C === columns(v.shape) && (!fits || run === C) ? labels[v.columns] : undefined };
}

// A table of numbers, coloured by sign and size. Where the numbers do not fit, colours alone and the number of the cell
// that is pointed at; a button shows the numbers then, in a table that scrolls. `more`: rows and columns, lists of
// words; mark, an element that stands out; ids, for each row a column with a frame.
function heat(caption, xs, shape, kind, more = {}) {
  const M = more.width || columns(shape), rows = M ? xs.length / M : 0, top = most(xs) || 1;
  const room = control('detail').clientWidth - 40, head = more.rows ? 30 : 0;
  const shown = n => xs.map(x => digits(magnitude(x) < 1e-10 * top ? 0 : x, n));  // what finite differences leave of 0
  const wide = (list, letter, margin) => M * (list.reduce((m, s) => Math.max(m, s.length), 0) * letter + margin) + head;
  const four = shown(4), three = shown(3), large = M < 9 && wide(four, 8.7, 18) <= room;
  const dense = !large && M > 4 && wide(three, 7, 11) > room, small = !large && !dense, texts = large ? four : three;
  const table = el('table', { class: 'heat' + (dense ? ' dense' : small ? ' small' : ''), 'data-kind': kind });
  if (dense) table.style.setProperty('--cell', Math.max(4, Math.min(18, Math.floor((room - head) / M) - 1)) + 'px');
  if (more.columns) table.append(el('thead', {}, el('tr', {}, more.rows ? el('td') : undefined, ...more.columns.map(c => el('th', { scope: 'col' }, seen(c))))));
  const body = el('tbody');
  for (let n = 0; n < rows; ++n) {
    const row = el('tr', {}, more.rows ? el('th', { scope: 'row' }, seen(more.rows[n] || '')) : undefined);
    for (let m = 0; m < M; ++m) {
      const e = n * M + m, x = xs[e], part = Number.isFinite(magnitude(x)) ? 55 * magnitude(x) / top : 100;
      const cell = el('td', { style: `--hue: var(--${x < 0 ? 's2' : 's1'}); --part: ${part.toFixed(0)}%` },
        texts[e]);
      cell.number = e;
      if (e === more.mark) cell.classList.add('mark');
      if (more.ids && more.ids[n] === m) cell.classList.add('target');
      row.append(cell);
    }
    body.append(row);
  }
  table.append(body);
  const figure = el('figure', {}, el('figcaption', {}, caption), el('div', { class: 'scroll' }, table));
  if (!dense) return figure;
  const read = el('output', {}), words = (list, i) => list ? seen(list[i] || '') + ' ' : '';
  const tell = e => {
    read.textContent = e === undefined || e < 0 ? '' : `${index(e, shape)} ${words(more.rows, Math.floor(e / M))}${words(more.columns, e % M)} ${num(xs[e])}`;
  };
  const toggle = el('button', { type: 'button', class: 'toggle' }, 'numbers');
  toggle.addEventListener('click', () => { toggle.textContent = table.classList.toggle('dense') ? 'numbers' : 'colours'; });
  for (const event of ['pointerover', 'pointerdown'])
    body.addEventListener(event, p => { if (p.target.number !== undefined) tell(p.target.number); });
  tell(more.mark);
  figure.firstChild.append(' ', toggle, ' ', read);
  return figure;
}
const tables = (...figures) => el('div', { class: 'tables' }, ...figures);

// ------------------------------------------------------------------------------------------------ the graph

const words = 'system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif';
const ruler = document.createElement('canvas').getContext('2d');
const width = (text, font) => { ruler.font = font; return ruler.measureText(text).width; };
const isScalar = v => size(v) === 1;
// What is in scopes that differ by a number, three or more of them, such as the steps t.0, t.1, … of an LSTM or the heads
// of attention, is shown of one of them, `opened`; those before it are one box, and so are those behind it.
const families = new Map();  // "lstm.0.t" → its numbers
for (const v of values)
  (v.scope || '').split('.').forEach((word, n, all) => {
    if (/^\d+$/.test(word)) { const family = all.slice(0, n).join('.'); families.set(family, (families.get(family) || new Set()).add(Number(word))); }
  });
for (const [family, numbers] of families) if (numbers.size < 3) families.delete(family);
const opened = new Map([...families].map(([family, numbers]) => [family, Math.max(...numbers)]));
// The families around a value, from the outside in, with its number in each.
const around = v => (v.scope || '').split('.').flatMap((word, n, all) => {
  const family = all.slice(0, n).join('.');
  return /^\d+$/.test(word) && families.has(family) ? [[family, Number(word)]] : [];
});
// The box that a value is in: its own, or a name of one that it shares.
const boxOf = (v, i) => {
  const closed = around(v).find(([family, n]) => n !== opened.get(family));
  return closed ? `${closed[0]} ${closed[1] < opened.get(closed[0]) ? 'before' : 'behind'}` : i;
};
// What canvases and tables have as a row: that for which there is a label, if these are parts of longer rows.
const rowOf = v => { const run = v.rows >= 0 ? size(v) / labels[v.rows].length : 0; return run && columns(v.shape) % run === 0 ? run : columns(v.shape); };

// An innermost scope of three values or more gets a frame with its name, if nothing else lies within; its boxes then have
// short names.
const scopes = [...new Set(values.map(v => v.scope))].filter(s => s).map(name => ({ name, of: values.map((v, i) => i).filter(i => values[i].scope === name) }))
  .filter((s, _, all) => s.of.length > 2 && !all.some(t => t.name.startsWith(s.name + '.')));
const shortName = (v, framed) => framed.some(s => s.name === v.scope) ? v.name.slice(v.scope.length + 1) : v.name;

// The boxes without their places: one for each value that is seen, one for each run of closed scopes.
function makeBoxes(boxOfValue, framed) {
  const boxes = new Map();
  values.forEach((v, i) => {
    const key = boxOfValue[i], box = boxes.get(key) || { key, of: [], layer: -1, up: [], down: [] };
    boxes.set(key, box);
    box.of.push(i);
  });
  for (const box of boxes.values()) {
    box.value = box.key === box.of[0] ? box.key : undefined;
    let v = values[box.of[0]], rows = 1;
    if (box.value !== undefined) {
      box.outputs = [box.value];
      box.name = shortName(v, framed);
      box.kind = v.op < 0 ? '' : ops[v.op].kind;
    } else {  // what the scopes hand on: the last of the values of each that others use
      const family = box.key.split(' ')[0], number = i => around(values[i]).find(([f]) => f === family)[1];
      const inside = new Set(box.of), member = new Map();
      const used = i => ops.some(op => op.in.some(x => x.value === i) && op.out.some(o => !inside.has(o) || number(o) !== number(i)));
      for (const i of box.of) if (used(i)) member.set(number(i), i);
      const numbers = [...member.keys()].sort((a, b) => a - b), label = family.split('.').at(-1);
      box.outputs = numbers.map(n => member.get(n));
      box.family = family;
      box.numbers = numbers;
      v = values[box.outputs.at(-1)];
      if (box.outputs.some(o => values[o].shape.join() !== v.shape.join())) box.outputs = [box.outputs.at(-1)];
      rows = box.outputs.length;
      box.name = numbers.length > 1 ? `${label}.${numbers[0]} … ${label}.${numbers.at(-1)}` : `${label}.${numbers[0]}`;
      box.kind = `${new Set(box.of.map(i => values[i].op)).size} ops, closed`;
    }
    const M = rowOf(v), N = M ? rows * size(v) / M : 0, cell = Math.max(1.5, Math.min(13, 72 / M, 60 / N));
    box.scalar = isScalar(v) && box.value !== undefined;
    box.map = box.scalar ? { w: 0, h: 32 } : { w: cell * M, h: Math.max(cell * N, 9) };
    box.w = Math.max(width(box.name, `600 13px ${words}`), width(box.kind, `11px ${words}`), 10) + 26 + (box.scalar ? 92 : 2 * box.map.w + 12);
    box.h = Math.max(box.map.h, box.kind ? 33 : 18) + 12;
  }
  return boxes;
}

// Layers from the leaves down to the loss; false where boxes that stand for several values go round in a circle.
function layered(boxes, boxOfValue) {
  const above = new Map([...boxes.values()].map(b => [b, new Set()])), uses = new Map([...boxes.values()].map(b => [b, []]));
  for (const op of ops)
    for (const to of op.out)
      for (const { value } of op.in) {
        const a = boxes.get(boxOfValue[value]), b = boxes.get(boxOfValue[to]);
        if (a === b) continue;
        uses.get(a).push(b);
        if (values[value].op >= 0) above.get(b).add(a);
      }
  // Steps that follow from each other stand below each other, whole.
  for (const closed of [...boxes.values()].filter(b => b.value === undefined)) {
    const open = [...boxes.values()].filter(b => around(values[b.of[0]]).some(([family, n]) => family === closed.family && n === opened.get(family)));
    if (open.some(b => above.get(b).has(closed))) for (const b of open) above.get(b).add(closed);
    else if (open.some(b => above.get(closed).has(b))) for (const b of open) above.get(closed).add(b);
  }
  const made = [...boxes.values()].filter(b => values[b.of[0]].op >= 0), waiting = new Set(made);
  while (waiting.size) {
    const before = waiting.size;
    for (const b of waiting) {
      if ([...above.get(b)].some(a => waiting.has(a))) continue;
      b.layer = 1 + Math.max(0, ...[...above.get(b)].map(a => a.layer));
      waiting.delete(b);
    }
    if (waiting.size === before) return false;
  }
  for (const b of boxes.values()) if (values[b.of[0]].op < 0) b.layer = Math.min(...uses.get(b).map(u => u.layer)) - 1;
  return true;
}

// Each box has a layer. Edges over a few layers go through points of their own, edges over many down a lane beside all
// boxes. Order within a layer: by the mean place of the neighbours, a few times up and down; then places, the same way.
function layout(framed) {
  const boxOfValue = values.map(boxOf), boxes = makeBoxes(boxOfValue, framed);
  if (!layered(boxes, boxOfValue)) {
    families.clear();
    return layout(framed);
  }
  const nodes = [...boxes.values()], edges = [], paths = new Map();
  ops.forEach((op, o) => [...new Set(op.in.map(x => x.value))].forEach(from => op.out.forEach(to => {
    const a = boxes.get(boxOfValue[from]), b = boxes.get(boxOfValue[to]), key = `${a.key} > ${b.key}`, known = paths.get(key);
    if (a === b || (known && b.value === undefined)) return;
    const path = known || [a];
    if (!known) {
      paths.set(key, path);
      for (let l = a.layer + 1; l < b.layer; ++l) {
        const point = { layer: l, w: 10, h: 0, up: [], down: [], point: true, lane: b.layer - a.layer > 4 };
        nodes.push(point);
        path.push(point);
      }
      path.push(b);
      for (let k = 0; k + 1 < path.length && !path[1].lane; ++k) { path[k].down.push(path[k + 1]); path[k + 1].up.push(path[k]); }
    }
    edges.push({ op: o, from, to, path });
  })));
  const layers = [];
  for (const n of nodes) if (!n.lane) (layers[n.layer] ||= []).push(n);
  layers.forEach(l => l.forEach((n, i) => { n.x = i * 100; }));
  const mean = ns => ns.reduce((s, n) => s + n.x, 0) / ns.length;
  const spread = l => {  // least distances, kept order, and the centre where the wishes have it
    let right = -Infinity;
    const wishes = l.reduce((s, n) => s + n.x, 0);
    for (const n of l) { n.x = Math.max(n.x, right + n.w / 2); right = n.x + n.w / 2 + (n.point ? 8 : 14); }
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
  // What is in a frame stands below each other, around the widest layer of it.
  for (let round = 0; round < 4; ++round) {
    for (const s of framed) {
      const rows = layers.map(l => l.filter(n => s.of.includes(n.value))).filter(r => r.length);
      const sides = rows.map(r => [Math.min(...r.map(n => n.x - n.w / 2)), Math.max(...r.map(n => n.x + n.w / 2))]);
      const widest = sides.reduce((a, b) => b[1] - b[0] > a[1] - a[0] ? b : a), middle = (widest[0] + widest[1]) / 2;
      rows.forEach((r, i) => r.forEach(n => { n.x += middle - (sides[i][0] + sides[i][1]) / 2; }));
    }
    for (const l of layers) { l.sort((a, b) => a.x - b.x); spread(l); }
  }
  let y = 10;
  for (const l of layers) {
    const h = Math.max(...l.map(n => n.h));
    for (const n of l) n.y = y + h / 2;
    l.band = [y, y + h];
    y += h + 22;
  }
  for (const n of nodes) n.band = layers[n.layer].band;  // an edge goes straight through a layer, bends between
  const sides = layers.map(l => [Math.min(...l.map(n => n.x - n.w / 2)), Math.max(...l.map(n => n.x + n.w / 2))]);
  for (const path of [...paths.values()].filter(p => p[1].lane)) {
    const points = path.slice(1, -1), ends = (path[0].x + path.at(-1).x) / 2;
    const lanes = [Math.min(...points.map(p => sides[p.layer][0])) - 14, Math.max(...points.map(p => sides[p.layer][1])) + 14];
    const side = ends - lanes[0] < lanes[1] - ends ? 0 : 1;
    for (const p of points) { p.x = lanes[side]; sides[p.layer][side] = lanes[side]; }
  }
  const left = Math.min(...nodes.map(n => n.x - n.w / 2)) - 10, right = Math.max(...nodes.map(n => n.x + n.w / 2)) + 10;
  for (const n of nodes) n.x -= left;
  return { boxes: [...boxes.values()], nodes: boxOfValue.map(key => boxes.get(key)), edges, w: right - left, h: y - 12 };
}

// A plan with its frames: those that hold nothing else. Boxes of the others have their whole names.
function arrange() {
  for (let framed = scopes.filter(s => s.of.every(i => boxOf(values[i], i) === i));;) {
    const plan = layout(framed);
    plan.framed = framed;
    plan.frames = framed.map(s => {
      const own = s.of.map(i => plan.nodes[i]), edge = f => own.map(f);
      return { name: s.name, own, left: Math.min(...edge(n => n.x - n.w / 2)) - 7, right: Math.max(...edge(n => n.x + n.w / 2)) + 7,
        top: Math.min(...edge(n => n.y - n.h / 2)) - 7, bottom: Math.max(...edge(n => n.y + n.h / 2)) + 7 };
    });
    const fits = f => plan.boxes.every(n => f.own.includes(n) || n.x + n.w / 2 <= f.left || n.x - n.w / 2 >= f.right || n.y + n.h / 2 <= f.top || n.y - n.h / 2 >= f.bottom);
    const good = framed.filter((_, k) => fits(plan.frames[k]));
    if (good.length === framed.length) return plan;
    framed = good;
  }
}
const plans = new Map();  // by what is opened
let plan;

const box = control('graph'), plane = el('div', { id: 'plane' }), beneath = el('div'), svg = el('svg', { 'aria-hidden': 'true' }), above = el('div');
plane.append(beneath, svg, above);
const canvasOf = (which, columns, rows) => el('canvas', { class: which, width: columns, height: rows });
values.forEach((v, i) => {
  const kind = v.op < 0 ? '' : ops[v.op].kind;
  v.element = el('div', { class: 'node' + (kind ? '' : ' leaf'), title: `${v.name} [${v.shape}]` },
    el('div', { class: 'name' }, el('b', {}, v.name), kind ? el('small', {}, kind) : undefined));
  if (isScalar(v)) {
    v.numbers = [el('span', { class: 'value' }), el('span', { class: 'gradient' })];
    v.element.append(el('div', { class: 'numbers' }, el('i', {}, 'data'), v.numbers[0], el('i', {}, 'grad'), v.numbers[1]));
  } else {
    v.maps = ['value', 'gradient'].map(which => canvasOf(which, rowOf(v), rowOf(v) ? size(v) / rowOf(v) : 0));
    v.element.append(...v.maps);
  }
  v.element.addEventListener('click', () => {
    if (dragged) return;
    const s = steps.findIndex(x => x.op === v.op), u = updates.findIndex(x => x.value === i);
    go(v.op < 0 ? u >= 0 && position >= firstUpdate ? firstUpdate + u : begin : s >= 0 ? begin + 1 + s : firstOp + v.op);
  });
  above.append(v.element);
});
box.append(plane);

// Opens one of the scopes of a closed box: the one that is pointed at in its map, else the nearest to the open one. Where
// an op is being looked at, that is the first of the scope that one comes to.
function openOne(n, e) {
  if (dragged) return;
  const map = e.target.tagName === 'CANVAS' ? e.target.getBoundingClientRect() : undefined, all = n.numbers, ahead = n.key.endsWith('before');
  const k = map && n.outputs.length === all.length ? Math.floor((e.clientY - map.top) / map.height * all.length) : ahead ? all.length - 1 : 0;
  const number = all[Math.max(0, Math.min(all.length - 1, k))], inside = new Set(n.of.filter(i => around(values[i]).some(([f, m]) => f === n.family && m === number)).map(i => values[i].op));
  if (position < begin) return go(firstOp + Math.min(...inside));
  if (position > begin && position < firstUpdate) return go(begin + 1 + steps.findIndex(s => inside.has(s.op)));
  opened.set(n.family, number);
  drawGraph();
}

// Puts everything where the plan has it.
function show() {
  const key = [...opened.values()].join();
  if (!plans.has(key)) plans.set(key, arrange());
  if (plan === plans.get(key)) return;
  plan = plans.get(key);
  for (const n of [plane, svg]) Object.assign(n.style, { width: plan.w + 'px', height: plan.h + 'px' });
  beneath.replaceChildren(...plan.frames.map(s => {
    const frame = el('div', { class: 'scope' }, el('span', {}, s.name));
    Object.assign(frame.style, { left: s.left + 'px', top: s.top + 'px', width: s.right - s.left + 'px', height: s.bottom - s.top + 'px' });
    return frame;
  }));
  svg.replaceChildren(...plan.edges.map(e => {
    let d = `M${e.path[0].x.toFixed(1)} ${(e.path[0].y + e.path[0].h / 2).toFixed(1)}`;
    for (let k = 1; k < e.path.length; ++k) {
      const p = e.path[k - 1], n = e.path[k], from = p.band[1], to = n.band[0], bend = (to - from) / 2;
      d += `V${from.toFixed(1)}C${p.x.toFixed(1)} ${(from + bend).toFixed(1)} ${n.x.toFixed(1)} ${(to - bend).toFixed(1)} ${n.x.toFixed(1)} ${to.toFixed(1)}`;
    }
    d += `V${(e.path.at(-1).y - e.path.at(-1).h / 2).toFixed(1)}`;
    return e.element = el('path', { d });
  }));
  above.querySelectorAll('.closed').forEach(e => e.remove());
  for (const v of values) v.element.hidden = true;
  for (const n of plan.boxes) {
    if (n.value !== undefined) {
      n.element = values[n.value].element;
      n.maps = values[n.value].maps;
      n.element.hidden = false;
      n.element.querySelector('b').textContent = n.name;
    } else {
      const v = values[n.outputs[0]], M = rowOf(v), N = n.outputs.length * size(v) / M;
      n.maps = ['value', 'gradient'].map(which => canvasOf(which, M, N));
      n.element = el('div', { class: 'closed', title: `${n.of.length} values of ${n.family}; click to open` }, el('div', { class: 'name' }, el('b', {}, n.name), el('small', {}, n.kind)), ...n.maps);
      n.element.addEventListener('click', e => openOne(n, e));
      above.append(n.element);
    }
    Object.assign(n.element.style, { left: n.x - n.w / 2 + 'px', top: n.y - n.h / 2 + 'px', width: n.w + 'px', height: n.h + 'px' });
    if (!n.scalar) for (const map of n.maps) Object.assign(map.style, { width: n.map.w + 'px', height: n.map.h + 'px' });
  }
}

// The numbers of a value in its box: a pixel each, blue above 0 and orange below, as dark as it is large beside the
// largest of its own; undefined where there are none yet.
let colours;
function readColours() {
  const style = getComputedStyle(document.documentElement);
  colours = ['--s1', '--s2', '--s4'].map(c => [1, 3, 5].map(i => parseInt(style.getPropertyValue(c).trim().slice(i, i + 2), 16)));
}
function paint(map, xs, scale) {
  if (!map.width || !map.height) return;
  const image = new ImageData(map.width, map.height);
  xs.forEach((x, i) => {
    if (x === undefined) return;
    const [r, g, b] = colours[x === 'nan' ? 2 : x < 0 || x === '-inf' ? 1 : 0];
    image.data.set([r, g, b, 255 * (Number.isFinite(magnitude(x)) ? Math.min(1, .06 + .94 * magnitude(x) / scale) : 1)], 4 * i);
  });
  map.getContext('2d').putImageData(image, 0, 0);
}

function drawGraph() {
  const step = position - begin - 1, back = step >= 0 && position < firstUpdate;
  const grads = position >= firstUpdate ? values.map(v => v.grad.length ? v.grad : undefined) : gradientsAfter(Math.max(0, step + 1));
  const done = position - firstOp, active = back ? ops[steps[step].op] : ops[done];
  const updated = position >= firstUpdate && position < firstClosing ? updates[position - firstUpdate].value : -1;
  const touched = new Set(back ? steps[step].adds.map(a => active.in[a.input].value) : []);
  if (active) for (const [family, number] of around(values[active.out[0]])) opened.set(family, number);
  show();
  const there = values.map(v => v.op < 0 || v.op <= done);
  const shown = values.map((v, i) => {
    const u = updates.findIndex(x => x.value === i);
    return [!there[i] ? undefined : u >= 0 && position >= firstUpdate + u ? updates[u].after : v.data, position >= begin ? grads[i] : undefined];
  });
  const scale = (v, which, xs) => most(which ? v.grad : v.data) || most(xs || []) || 1;
  values.forEach((v, i) => {
    v.element.classList.toggle('later', !there[i]);
    v.element.classList.toggle('active', updated === i || !!active && active.out.includes(i));
    v.element.classList.toggle('touched', touched.has(i));
    shown[i].forEach((xs, which) => {
      if (v.numbers) v.numbers[which].textContent = xs ? num(xs[0]) : '';
      else paint(v.maps[which], xs || [], scale(v, which, xs));
    });
  });
  for (const n of plan.boxes.filter(b => b.value === undefined)) {
    n.element.classList.toggle('later', !n.of.some(i => there[i]));
    n.element.classList.toggle('touched', n.of.some(i => touched.has(i)));
    n.maps.forEach((map, which) => paint(map, n.outputs.flatMap(o => shown[o][which] || new Array(size(values[o])).fill(undefined)),
      Math.max(...n.outputs.map(o => scale(values[o], which, shown[o][which])))));
  }
  for (const e of plan.edges) {
    const lit = active === ops[e.op] && (!back || touched.has(e.from));
    e.element.classList.toggle('lit', lit);
    e.element.classList.toggle('ahead', !back);
  }
  if (sceneAt(position)) return;  // the graph is hidden
  const middle = updated >= 0 ? [updated] : active ? [active.out[0], ...active.in.map(i => i.value)] : [];
  look(middle.map(v => plan.nodes[v]));
}

// ---------------------------------------------------------------- what of the graph is seen: zoom, pan, follow

// mode: 'whole', or 'follow', in which the op is kept in sight at a scale that can be read. Until a person chooses, the
// whole graph is shown where it can be read; else, where the pass begins, its end.
const view = { x: 0, y: 0, scale: 1, mode: undefined, chosen: undefined };
const kReadable = .75, kWorking = .9;
const room = () => box.clientHeight - 42;  // above the buttons
const fitting = () => Math.min(1.3, (box.clientWidth - 4) / plan.w, room() / plan.h);
function place() {
  plane.style.setProperty('--enlarged', Math.max(1, Math.min(2.6, .85 / view.scale)));
  plane.style.transform = `translate(${view.x.toFixed(1)}px, ${view.y.toFixed(1)}px) scale(${view.scale.toFixed(4)})`;
}
function look(nodes) {
  const whole = fitting(), W = box.clientWidth, H = room();
  if (!nodes.length) nodes = trace.seeds.map(s => plan.nodes[s.value]).reverse();  // the last one is the loss, or nearest to it
  if (view.mode === 'whole' || (!view.mode && whole >= kReadable)) {
    view.scale = whole;
    view.x = (W - plan.w * whole) / 2;
    view.y = (H - plan.h * whole) / 2;
    return place();
  }
  view.scale = view.chosen || Math.max(kWorking, whole);
  if (nodes.length) {  // the op in the middle, with its inputs as far as they fit
    const top = Math.min(...nodes.map(n => n.y - n.h / 2)), bottom = nodes[0].y + nodes[0].h / 2;
    const left = Math.min(...nodes.map(n => n.x - n.w / 2)), right = Math.max(...nodes.map(n => n.x + n.w / 2));
    const fits = (right - left) * view.scale < W - 16, middle = fits ? (left + right) / 2 : nodes[0].x;
    view.x = W / 2 - middle * view.scale;
    view.y = (bottom - top) * view.scale < H - 12 ? H / 2 - (top + bottom) / 2 * view.scale : H - 6 - bottom * view.scale;
  }
  // No room beside the graph where it is larger than the window; else it is in the middle.
  const within = (at, length, space) => length <= space ? (space - length) / 2 : Math.max(space - length, Math.min(0, at));
  view.x = within(view.x, plan.w * view.scale, W);
  view.y = within(view.y, plan.h * view.scale, H);
  place();
}
// By a factor, around a point of the box.
function zoom(factor, x = box.clientWidth / 2, y = box.clientHeight / 2) {
  const scale = Math.max(Math.min(fitting(), .2), Math.min(4, view.scale * factor)), by = scale / view.scale;
  Object.assign(view, { x: x - (x - view.x) * by, y: y - (y - view.y) * by, scale, mode: 'follow', chosen: scale });
  place();
}
function showWhole() { view.mode = 'whole'; look([]); }

const pointers = new Map();
let dragged = false;
box.addEventListener('wheel', e => {
  e.preventDefault();
  const at = box.getBoundingClientRect();
  zoom(Math.exp(-e.deltaY / (e.ctrlKey ? 100 : 400)), e.clientX - at.left, e.clientY - at.top);
}, { passive: false });
box.addEventListener('pointerdown', e => { pointers.set(e.pointerId, e); if (pointers.size === 1) dragged = false; });
addEventListener('pointermove', e => {
  const before = pointers.get(e.pointerId);
  if (!before) return;
  const at = box.getBoundingClientRect(), other = [...pointers.values()].find(p => p.pointerId !== e.pointerId);
  if (!dragged && Math.hypot(e.clientX - before.clientX, e.clientY - before.clientY) < 5) return;
  dragged = true;
  if (other) {  // two fingers
    const distance = p => Math.hypot(p.clientX - other.clientX, p.clientY - other.clientY);
    zoom(distance(e) / Math.max(1, distance(before)), (e.clientX + other.clientX) / 2 - at.left, (e.clientY + other.clientY) / 2 - at.top);
  } else {
    view.x += e.clientX - before.clientX;
    view.y += e.clientY - before.clientY;
    place();
  }
  pointers.set(e.pointerId, e);
});
box.addEventListener('click', () => { dragged = false; });
for (const end of ['pointerup', 'pointercancel']) addEventListener(end, e => pointers.delete(e.pointerId));

// ------------------------------------------------------------------------------------------------ the step

const heading = (part, what, below) => el('h2', {}, el('small', {}, part), what, below ? el('small', {}, below) : undefined);
// What the engine writes in a line, "e^u_j / Σ_{k≤t} e^u_k", with what is raised and lowered in its place.
function mathematics(text) {
  const parts = [];
  let at = 0;
  for (const m of text.matchAll(/([_^])(?:\{([^}]*)\}|([−-]?(?:\d[\d.]*(?:e[-+]?\d+)?|\p{L}+′*(?:_\p{L}+|\[[^\]]*\])?)))/gu)) {
    parts.push(text.slice(at, m.index), el(m[1] === '^' ? 'sup' : 'sub', {}, ...mathematics(m[2] ?? m[3])));
    at = m.index + m[0].length;
  }
  return [...parts, text.slice(at)];
}
const formula = (text, op) => el('p', { class: 'formula' + (text.length > 60 ? ' long' : '') }, el('span', {}, ...mathematics(text)), el('small', {}, op.letters));
const source = op => el('p', { class: 'source' }, op.where + '  ', el('code', {}, op.source));
const worked = text => text ? [el('p', { class: 'worked' }, ...mathematics(text))] : [];
const names = op => op.out.map(v => values[v].name).join(', ');
// Columns with a frame: the targets of the loss, the numbers that were picked.
const targets = (op, i) => i === 0 && ['softmax_cross_entropy', 'pick'].includes(op.kind) ? op.ids : undefined;
const ofInput = (op, k, more) => ({ ...axes(values[op.in[k].value], op.in[k].offset, op.in[k].shape), ids: targets(op, k), ...more });
const ofValue = (v, more) => ({ ...axes(v, 0, v.shape), ...more });

// The words of what finite differences say of a complete gradient.
function agreement(v) {
  if (!v.agrees) return el('p', { class: 'check bad' }, `✗ differs from finite differences of the loss by ${num(v.worst)}`);
  const all = v.checked === size(v) ? '' : ` at ${v.checked} of its ${size(v)} elements`, most = v.grad.reduce((m, g) => Math.max(m, Math.abs(g)), 0);
  if (most > 0 && most <= trace.bound) return el('p', { class: 'check' }, `complete; no element exceeds ${num(most)}, and finite differences of the loss err by up to ${num(trace.bound)} in ${trace.precision}`);
  return el('p', { class: 'check good' }, `✓ complete, matches finite differences of the loss${all} to within ${num(v.worst)}`);
}

function backwardParts(step) {
  const s = steps[step], op = ops[s.op];
  const parts = [heading(`backward, step ${step + 1} of ${steps.length}`, `backward of ${names(op)}`, `${names(op)} = ${call(op)}`), formula(op.backward, op), source(op)];
  const arrived = op.out.filter(o => values[o].grad.length).map(o => heat(`received: ${gradientOf(values[o].name)}`, values[o].grad, values[o].shape, 'arrived', ofValue(values[o])));
  parts.push(tables(...arrived));
  for (const [k, a] of s.adds.entries()) {
    const i = op.in[a.input], v = values[i.value], more = ofInput(op, a.input, {});
    const to = s.adds.slice(k + 1).filter(b => op.in[b.input].value === i.value).length;  // it still adds to the same value
    const all = contributions(i.value, steps.length), got = contributions(i.value, step + 1) - to;
    parts.push(el('h3', {}, `${gradientOf(i.name)} `, el('span', {}, all > 1 ? `contribution ${got} of ${all}` : 'its only contribution')));
    const shown = [heat('added', a.added, i.shape, 'added', { ...more, mark: a.element })];
    if (!to && a.now.some((x, e) => x !== a.added[e])) shown.push(heat('sum so far', a.now, i.shape, 'now', more));
    if (got === all && v.numeric.length) shown.push(heat('by finite differences', v.numeric.slice(i.offset, i.offset + a.now.length), i.shape, 'numeric', more));
    parts.push(tables(...shown), ...worked(a.worked));
    if (to) continue;
    parts.push(got < all ? el('p', { class: 'check' }, 'more contributions to come') : agreement(v));
  }
  if (op.checked && !op.passes) parts.push(el('p', { class: 'check bad' }, `✗ this op's backward differs from finite differences by ${num(op.error)}`));
  return parts;
}

function forwardParts(op) {
  const inputs = op.in.map((i, k) => heat(i.name, values[i.value].data.slice(i.offset, i.offset + i.shape.reduce((a, b) => a * b, 1)), i.shape, 'input', ofInput(op, k, {})));
  const results = op.out.map((o, k) => heat(values[o].name, values[o].data, values[o].shape, 'output', ofValue(values[o], { mark: k === 0 ? op.element : undefined })));
  return [heading(`forward, op ${position - firstOp + 1} of ${ops.length}`, names(op), `${names(op)} = ${call(op)}`), formula(op.forward, op), source(op),
    el('h3', {}, 'inputs'), tables(...inputs), el('h3', {}, 'result'), tables(...results), ...worked(op.worked)];
}

function updateParts(u) {
  const v = values[u.value], more = ofValue(v, { mark: u.element });
  const shown = [['w', v.data, 'before'], ['its gradient', v.grad, 'gradient'], ['g, clipped', u.clipped, 'clipped'], ['m', u.m, 'm'], ['v', u.v, 'v'],
    ['change of w', u.change, 'change'], ['new w', u.after, 'after']].filter(([, xs, kind]) => kind !== 'clipped' || xs !== v.grad);
  return [heading(`parameter ${position - firstUpdate + 1} of ${updates.length}`, v.name, 'what the optimiser makes of its gradient'),
    ...(u.rule || trace.update_rule).map(line => el('p', { class: 'formula long' }, line)),
    ...u.worked.map(line => el('p', { class: 'worked' }, line)), tables(...shown.map(([caption, xs, kind]) => heat(caption, xs, v.shape, kind, more)))];
}

// A table of the step that is no tensor. Numbers have their last digit where the pointer rests. Of rows that belong
// together the first says to what; tinted columns are coloured as in heat().
function listed(t) {
  const numeric = t.columns.map((_, i) => t.rows.every(r => typeof r[i] === 'number'));
  const top = t.columns.map((_, i) => t.tinted?.includes(i) && most(t.rows.map(r => r[i])) || 0);
  const again = n => t.grouped && n > 0 && t.rows[n][0] === t.rows[n - 1][0];
  const cell = (c, i, n) => typeof c !== 'number' ? el('td', numeric[i] ? { class: 'number' } : {}, i === 0 && again(n) ? '' : quoted(String(c)))
    : el('td', { class: 'number' + (top[i] ? ' tint' : ''), title: String(c), style: top[i] ? `--hue: var(--${c < 0 ? 's2' : 's1'}); --part: ${(55 * Math.abs(c) / top[i]).toFixed(0)}%` : '' }, i === 0 && again(n) ? '' : num(c));
  return [el('h3', {}, t.title + ' ', el('span', {}, t.note)), el('div', { class: 'scroll list' }, el('table', { class: 'list' },
    el('thead', {}, el('tr', {}, ...t.columns.map((c, i) => el('th', { scope: 'col', class: numeric[i] ? 'number' : '' }, c)))),
    el('tbody', {}, ...t.rows.map((r, n) => el('tr', { class: t.grouped && n > 0 && !again(n) ? 'next' : '' }, ...r.map((c, i) => cell(c, i, n)))))))];
}

function sceneParts(s) {
  const where = opening.includes(s) ? `start, ${position + 1} of ${firstOp}` : `end, ${position - firstClosing + 1} of ${closing.length}`;
  return [heading(where, s.title), ...s.lines.map(line => el('p', {}, line)), ...s.formulas.map(line => el('p', { class: 'formula long' }, line)),
    ...s.worked.map(line => el('p', { class: 'worked' }, line)), ...s.tables.flatMap(listed)];
}

function beginParts() {
  const parts = [heading('the backward pass begins', `loss = ${digits(trace.loss, 6)}`)];
  for (const s of trace.seeds) {
    const itself = trace.seeds.length === 1 && s.grad.length === 1;
    parts.push(tables(heat(itself ? 'Its gradient with respect to itself is' : `Its gradient with respect to ${values[s.value].name} is`, s.grad, values[s.value].shape, 'seed', ofValue(values[s.value]))));
  }
  parts.push(el('p', { class: 'keys' }, 'Press → for the backward pass of one op, ← to go back, f for the forward part' + (updates.length ? ', u for the updates.' : '.')));
  for (const t of trace.tables) parts.push(...listed(t));
  parts.push(el('h3', {}, 'The forward pass'), el('ol', { class: 'program', start: 0 }, ...ops.map((op, i) => {
    const line = el('li', {}, `${names(op)} = ${call(op)}  `, el('span', {}, `[${values[op.out[0]].shape}]`));
    line.addEventListener('click', () => go(firstOp + i));
    return line;
  })));
  if (trace.note) parts.push(el('p', { class: 'hint' }, trace.note));
  parts.push(el('p', { class: 'hint' }, 'A box of the graph shows a value and, right of it, its gradient: blue is positive, orange negative. Click a box to go to its op. The graph zooms with the wheel or two fingers and moves with the pointer.'));
  return parts;
}

function drawStep() {
  const detail = control('detail'), step = position - begin - 1;
  const scene = sceneAt(position);
  control('walk').classList.toggle('scene', !!scene);
  const parts = scene ? sceneParts(scene) : position >= firstUpdate ? updateParts(updates[position - firstUpdate])
    : step >= 0 ? backwardParts(step) : step === -1 ? beginParts() : forwardParts(ops[position - firstOp]);
  detail.replaceChildren(...parts);
  detail.scrollTop = 0;
}

// ------------------------------------------------------------------------------------------------ moving

function draw() {
  drawStep();
  drawGraph();
  const step = position - begin - 1;
  control('slider').value = position;
  control('count').textContent = position < firstOp ? `start ${position + 1} of ${firstOp}`
    : position >= firstClosing ? `end ${position - firstClosing + 1} of ${closing.length}` : position >= firstUpdate ? `parameter ${position - firstUpdate + 1} of ${updates.length}`
    : step >= 0 ? `backward ${step + 1} of ${steps.length}` : step === -1 ? 'backward begins' : `forward ${position - firstOp + 1} of ${ops.length}`;
  control('back').disabled = position === 0;
  control('next').disabled = position === last;
  parts.forEach(([part, first], i) => control(part + '-part').classList.toggle('chosen', position >= first && position < (parts[i + 1] || [0, last + 1])[1]));
  document.body.dataset.position = position;
}
// The parts of the walk, each with its button and key; those without a position have none.
const parts = [['start', 0], ['forward', firstOp], ['backward', begin], ['update', firstUpdate], ['end', firstClosing]];
const has = { start: firstOp, forward: 1, backward: 1, update: updates.length, end: closing.length };
const goTo = part => { if (has[part]) go(parts.find(p => p[0] === part)[1]); };
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
  Home: () => go(0), End: () => go(last), s: () => goTo('start'), f: () => goTo('forward'), b: () => goTo('backward'), u: () => goTo('update'), e: () => goTo('end'),
  '+': () => zoom(1.25), '=': () => zoom(1.25), '-': () => zoom(.8), 0: showWhole };
document.addEventListener('keydown', e => {
  if (e.ctrlKey || e.altKey || e.metaKey || !keys[e.key] || (e.key === ' ' && e.target.tagName === 'BUTTON')) return;
  e.preventDefault();
  keys[e.key]();
});
for (const [id, act] of [['next', () => go(position + 1)], ['back', () => go(position - 1)], ...parts.map(([part]) => [part + '-part', () => goTo(part)]),
  ['larger', () => zoom(1.25)], ['smaller', () => zoom(.8)], ['whole', showWhole]])
  control(id).addEventListener('click', act);
for (const [part] of parts) control(part + '-part').hidden = !has[part];
control('slider').max = last;
control('slider').addEventListener('input', e => go(Number(e.target.value)));
addEventListener('resize', draw);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { readColours(); draw(); });
// The address that was asked for: the one that follows may have been written over it by now.
addEventListener('hashchange', e => { const at = e.newURL.split('#')[1]; if (/^\d+$/.test(at)) go(Number(at)); });
if (/^#\d+$/.test(location.hash)) position = Math.min(last, Number(location.hash.slice(1)));
readColours();
draw();

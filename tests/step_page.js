// What a browser shows of a page of `gradus step --html` or `gradus train --trace`, key by key, against the trace that the
// engine recorded, in the Chromium of tests/browser.js.
//   node tests/step_page.js CHROMIUM PAGE.html TRACE.json [FOLDER]     FOLDER: screenshots for a person go there
// Prints "ok"/"FAIL" lines as tests/shell.sh knows them. Over 350 lines: what is seen, and what must be seen.
'use strict';
const fs = require('fs');
const path = require('path');
const { open } = require('./browser.js');
const [chromium, page, traceFile, folder] = process.argv.slice(2);
const trace = JSON.parse(fs.readFileSync(traceFile, 'utf8'));
for (const s of trace.steps) for (const a of s.adds) { a.added ||= trace.values[trace.ops[s.op].in[a.input].value].grad; a.now ||= a.added; }
for (const u of trace.updates) u.clipped ||= trace.values[u.value].grad;
let tab;  // from main() on
const send = (method, params) => tab.send(method, params), evaluate = code => tab.evaluate(code), press = key => tab.press(key);
const mouse = (type, x, y, more = {}) => send('Input.dispatchMouseEvent', { type, x, y, button: 'left', buttons: type === 'mouseReleased' ? 0 : 1, clickCount: 1, ...more });
let failed = 0, compared = 0;
function check(name, good, detail) {
  if (!good) failed = 1;
  console.log(good ? `ok page: ${trace.name}, ${name}` : `FAIL page: ${trace.name}, ${name}: ${detail}`);
}
const view = size => tab.view(size), scheme = value => tab.colours(value);
const pause = ms => new Promise(r => setTimeout(r, ms));
async function shot(name) {
  if (!folder) return;
  await pause(900);  // the contributions have arrived
  fs.writeFileSync(path.join(folder, `${trace.name}-${name}.png`), Buffer.from((await send('Page.captureScreenshot')).data, 'base64'));
}
const firstOp = trace.opening.length, begin = firstOp + trace.ops.length, firstUpdate = begin + 1 + trace.steps.length,
  firstClosing = firstUpdate + trace.updates.length, last = firstClosing + trace.closing.length - 1, start = firstOp ? 0 : begin;
const at = async () => Number(await evaluate('document.body ? document.body.dataset.position : NaN'));
const until = async to => { for (let i = 0; i < 50 && await at() !== to; ++i) await pause(100); };

// ------------------------------------------------------------------------------------ tables of numbers

// Every table that is shown: its kind, whether it has three digits, its numbers.
const tables = () => evaluate(`[...document.querySelectorAll('#detail table.heat')].map(t => [t.dataset.kind, t.matches('.small, .dense'), ...[...t.querySelectorAll('tbody td')].map(c => c.textContent)])`);
// A shown number has three or four digits of the engine's, and may be nan or inf.
const close = (shown, x, bound, zero) => typeof x === 'string' ? shown === x : Math.abs(Number(shown) - x) <= bound * Math.abs(x) + zero;
function same(shown, kind, xs) {
  const zero = 1e-10 * Math.max(...xs.map(x => Math.abs(Number(x)) || 0));
  compared += xs.length;
  return shown && shown[0] === kind && shown.length === xs.length + 2 && xs.every((x, i) => close(shown[i + 2], x, shown[1] ? 6e-3 : 6e-4, zero));
}
const numel = shape => shape.reduce((a, b) => a * b, 1);
const part = (xs, input) => xs.slice(input.offset, input.offset + numel(input.shape));
const adding = value => trace.steps.flatMap((t, k) => t.adds.filter(a => trace.ops[t.op].in[a.input].value === value).map(a => ({ k, a })));

// The tables that the page must show at a position: kind and numbers.
function wanted(position) {
  const all = [];
  if (position >= firstUpdate) {
    const u = trace.updates[position - firstUpdate], v = trace.values[u.value];
    all.push(['before', v.data], ['gradient', v.grad]);
    if (u.clipped !== v.grad) all.push(['clipped', u.clipped]);
    return [...all, ['m', u.m], ['v', u.v], ['change', u.change], ['after', u.after]];
  }
  if (position === begin) return trace.seeds.map(s => ['seed', s.grad]);
  if (position < begin) {
    const op = trace.ops[position - firstOp];
    return [...op.in.map(i => ['input', part(trace.values[i.value].data, i)]), ...op.out.map(o => ['output', trace.values[o].data])];
  }
  const n = position - begin - 1, s = trace.steps[n], op = trace.ops[s.op];
  for (const o of op.out) if (trace.values[o].grad.length) all.push(['arrived', trace.values[o].grad]);
  for (const [k, a] of s.adds.entries()) {
    const input = op.in[a.input], v = trace.values[input.value], of = adding(input.value);
    all.push(['added', a.added]);
    if (s.adds.slice(k + 1).some(b => op.in[b.input].value === input.value)) continue;  // only the last has the sum
    if (a.now.some((x, e) => x !== a.added[e])) all.push(['now', a.now]);
    // Finite differences are those of the whole gradient: they stand beside it when it is complete.
    if (of[of.length - 1].a === a && v.numeric.length) all.push(['numeric', part(v.numeric, input)]);
  }
  return all;
}
async function shows(position) {
  const shown = await tables(), all = wanted(position);
  return shown.length === all.length && all.every(([kind, xs], i) => same(shown[i], kind, xs));
}

// ------------------------------------------------------------------------------------ everything else that is seen

// Words, the colours of tables, and the graph, whose boxes stand in the order of the values. `which`: boxes whose
// numbers are wanted.
const seen = which => evaluate(`(() => {
  const all = (where, what) => [...document.querySelectorAll(where)].map(what), words = where => all(where, e => e.textContent);
  const which = new Set(${JSON.stringify(which)}), g = document.getElementById('graph').getBoundingClientRect();
  return { count: words('#count')[0], part: words('#detail h2 small')[0], formula: all('#detail .formula', e => e.firstChild.textContent), source: words('#detail .source')[0],
    raised: words('#detail .formula > span, #detail .worked'), letters: words('#detail .formula small')[0], worked: words('#detail .worked'), which: words('#detail h3 span'), checks: words('#detail .check'),
    hidden: all('#graph .active', e => e.getBoundingClientRect()).some(a => a.top < g.top - 1 || a.bottom > g.bottom + 1 || a.left < g.left - 1 || a.right > g.right + 1),
    lit: all('#plane path.lit', e => 1).length,
    marks: all('#detail table.heat', t => [...t.querySelectorAll('tbody td')].flatMap((c, i) => c.matches('.mark') ? [i] : [])),
    targets: all('#detail table.heat', t => [...t.querySelectorAll('tbody td')].flatMap((c, i) => c.matches('.target') ? [i] : [])),
    heat: all('#detail table.heat', t => [...t.querySelectorAll('tbody td')].map(c => [c.style.getPropertyValue('--hue'), parseFloat(c.style.getPropertyValue('--part'))])),
    boxes: all('#graph .node', (n, i) => ({ later: n.matches('.later'), active: n.matches('.active'), touched: n.matches('.touched'),
      numbers: which.has(i) ? [...n.querySelectorAll('.numbers span')].map(s => s.textContent) : [],
      maps: which.has(i) ? [...n.querySelectorAll('canvas')].map(c => c.width && c.height ? [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data] : []) : [] })) };
})()`);
const near = (a, b, bound) => Math.abs(a - b) <= bound;
const size = x => typeof x === 'string' ? Infinity : Math.abs(x);
const most = xs => Math.max(...xs.map(x => Number.isFinite(size(x)) ? size(x) : 0)) || 1;
const hue = x => `var(--${x < 0 ? 's2' : 's1'})`;
const kBlue = [0x2a, 0x6f, 0xc9], kOrange = [0xd4, 0x58, 0x1c];
// A map of the graph: a pixel for each number, blue above 0 and orange below, as dark as it is large beside the largest of `scale`.
function painted(pixels, xs, scale, n) {
  const top = most(scale);
  compared += xs.length;
  if (!xs.length) return pixels.every(p => p === 0);
  return pixels.length === 4 * n && xs.every((x, i) => {
    const alpha = Number.isFinite(size(x)) ? 255 * Math.min(1, .06 + .94 * size(x) / top) : 255, [r, g, b] = x < 0 || x === '-inf' ? kOrange : kBlue, p = pixels.slice(4 * i, 4 * i + 4);
    // What is nearly transparent is kept with less of its colour.
    const slack = 3 + 300 / Math.max(1, alpha);
    return near(p[3], alpha, 1.5) && near(p[0], r, slack) && near(p[1], g, slack) && near(p[2], b, slack);
  });
}
// The colours of a table, without those of what finite differences leave of 0.
const coloured = (cells, xs) => cells.every(([h, p], i) => near(p, Number.isFinite(size(xs[i])) ? 55 * size(xs[i]) / most(xs) : 100, .51) && (h === hue(xs[i]) || p === 0));
const big = trace.values.reduce((s, v) => s + v.data.length, 0) > 3000;

// The first thing that is wrong at a position, or nothing. `grads`: what has been added so far.
async function wrong(position, grads) {
  const n = position - begin - 1, back = n >= 0 && position < firstUpdate, begins = n === -1, update = position >= firstUpdate;
  const op = back ? trace.ops[trace.steps[n].op] : trace.ops[position - firstOp], adds = back ? trace.steps[n].adds : [];
  const u = update ? trace.updates[position - firstUpdate] : undefined;
  const touched = new Set(adds.map(a => op.in[a.input].value)), mine = update ? [u.value] : begins ? [] : op.out;
  const which = trace.values.map((_, i) => i).filter(i => !big || position % 16 === 0 || touched.has(i) || mine.includes(i));
  const s = await seen(which);
  if (s.count !== (update ? `parameter ${position - firstUpdate + 1} of ${trace.updates.length}` : back ? `backward ${n + 1} of ${trace.steps.length}` : begins ? 'backward begins' : `forward ${position - firstOp + 1} of ${trace.ops.length}`)) return 'count';
  if (!begins && s.part !== (update ? `parameter ${position - firstUpdate + 1} of ${trace.updates.length}` : back ? `backward, step ${n + 1} of ${trace.steps.length}` : `forward, op ${position - firstOp + 1} of ${trace.ops.length}`)) return 'heading: ' + s.part;
  const inPlace = text => text.replace(/[_^{}]/g, '');  // raised and lowered instead
  if (update && s.formula.join() !== [u.rule || trace.update_rule].flat().map(inPlace).join()) return 'the rule of the update';
  if (!begins && !update && (s.formula.join() !== inPlace(back ? op.backward : op.forward) || s.raised.some(t => /[\^{}]/.test(t)))) return 'formula';
  if (!begins && !update && s.letters !== op.letters) return 'letters';
  if (!begins && !update && s.source !== op.where + '  ' + op.source) return 'source line';
  const worked = update ? u.worked : back ? adds.map(a => a.worked) : begins ? [] : [op.worked];
  if (s.worked.join() !== (update ? worked : worked.map(inPlace)).filter(w => w).join()) return 'numbers put in';
  const all = wanted(position);
  if (!all.every(([, xs], i) => coloured(s.heat[i], xs))) return 'colours of a table';
  // The element that is worked out is marked in its table.
  const marked = back ? adds.map(a => a.element) : begins ? [] : update ? [u.element] : [op.element];
  const inTables = back ? s.marks.filter((_, i) => all[i][0] === 'added') : update ? s.marks.slice(0, 1) : s.marks.slice(op && op.in.length, op && op.in.length + 1);
  if (!begins && inTables.map(m => m.join()).join(';') !== marked.map(e => e >= 0 ? String(e) : '').join(';')) return 'marks: ' + JSON.stringify(inTables);
  if (back) {
    const order = adds.map(a => { const c = adding(op.in[a.input].value); return c.length === 1 ? 'its only contribution' : `contribution ${c.findIndex(x => x.a === a) + 1} of ${c.length}`; });
    if (s.which.join() !== order.join()) return 'which contribution: ' + s.which.join();
    if (op.kind === 'softmax_cross_entropy' && s.targets[all.findIndex(([kind]) => kind === 'added')].join() !==
      op.ids.flatMap((id, row) => id < 0 ? [] : [row * op.in[0].shape[1] + id]).join()) return 'targets';
  }
  if (s.hidden) return (op ? op.kind : 'the parameter') + ' is out of sight';
  if (s.lit !== (begins || update ? 0 : (back ? touched.size : new Set(op.in.map(i => i.value)).size) * op.out.length)) return 'lit edges: ' + s.lit;
  for (const [i, v] of trace.values.entries()) {
    const b = s.boxes[i], there = v.op < 0 || position >= begin || v.op <= position - firstOp, k = trace.updates.findIndex(x => x.value === i);
    if (b.later === there) return v.name + ' dimmed';
    if (b.active !== mine.includes(i)) return v.name + ' active';
    if (b.touched !== touched.has(i)) return v.name + ' touched';
    if (!which.includes(i)) continue;
    const data = !there ? [] : update && k >= 0 && k <= position - firstUpdate ? trace.updates[k].after : v.data, grad = position >= begin ? grads[i] || [] : [];
    if (v.data.length === 1) {
      compared += 2;
      for (const [k2, xs] of [data, grad].entries())
        if (xs.length ? !close(b.numbers[k2], xs[0], 6e-4, 1e-12) || b.numbers[k2] === '' : b.numbers[k2] !== '') return `${v.name} number: ${b.numbers}`;
    } else {
      if (!painted(b.maps[0], data, v.data, v.data.length)) return v.name + ' value';
      if (!painted(b.maps[1], grad, v.grad, v.data.length)) return v.name + ' gradient';
    }
  }
}

// ------------------------------------------------------------------------------------ the walk

// Through all positions with one key: words, light and numbers of each.
async function walk(name, key, positions, grads) {
  let good = 0, bad;
  for (const position of positions) {
    await press(key);
    if (position > begin && position < firstUpdate && key === 'ArrowRight')
      for (const a of trace.steps[position - begin - 1].adds) {
        const i = trace.ops[trace.steps[position - begin - 1].op].in[a.input];
        a.added.forEach((x, e) => { (grads[i.value] ||= trace.values[i.value].data.map(() => 0))[i.offset + e] += x; });
      }
    good += await shows(position);
    if (key === 'ArrowRight' && !bad) { const w = await wrong(position, grads); bad = w && `${w}, at ${position}`; }
    if (position === begin + 1 + Math.floor(trace.steps.length / 2)) await shot('middle');
  }
  check(`${name}: each ${key === 'ArrowRight' ? '→' : '←'} shows the engine's numbers`, good === positions.length, `${good} of ${positions.length} positions`);
  if (key === 'ArrowRight') check(`${name}: words, colours and light`, !bad, bad);
}
const range = (from, to) => Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);

// The scenes before and after: their words, and every number of their tables to its last digit, which the pointer shows.
async function scenes(name, all, first) {
  let bad = '';
  const mark = token => /^“.*”/s.test(token) ? token.replace(/\n/g, '↵') : visible(token);
  for (const [i, scene] of all.entries()) {
    await evaluate(`go(${first + i})`);
    const s = await evaluate(`({ title: document.querySelector('#detail h2').lastChild.textContent, count: control('count').textContent, words: [...document.querySelectorAll('#detail > p')].map(p => p.textContent),
      graph: getComputedStyle(document.getElementById('stage')).display, wide: document.getElementById('detail').getBoundingClientRect().width,
      tables: [...document.querySelectorAll('#detail table.list')].map(t => ({ head: [...t.querySelectorAll('th')].map(c => c.textContent), rows: [...t.querySelectorAll('tbody tr')].map(r => [...r.children].map(c => [c.textContent, c.title, c.style.getPropertyValue('--hue'), parseFloat(c.style.getPropertyValue('--part'))])) })) })`);
    if (s.count !== `${name} ${i + 1} of ${all.length}` || s.title !== scene.title) bad += `${i}: ${s.count} ${s.title}; `;
    if (s.words.join() !== [...scene.lines, ...scene.formulas, ...scene.worked].join()) bad += `${i}: words; `;
    if (s.graph !== 'none' || s.wide < 0.9 * await evaluate('innerWidth')) bad += `${i}: the graph is in the way; `;
    scene.tables.forEach((t, k) => {
      if (s.tables[k].head.join() !== t.columns.join() || s.tables[k].rows.length !== t.rows.length) bad += `${i}: a table's columns; `;
      const top = t.columns.map((_, m) => most(t.rows.map(r => typeof r[m] === 'number' ? r[m] : 0)));
      t.rows.forEach((r, n) => r.forEach((c, m) => {
        ++compared;
        const [text, title, hueOf, part] = s.tables[k].rows[n][m], again = t.grouped && m === 0 && n > 0 && t.rows[n - 1][0] === c;
        const good = typeof c === 'number' ? Number(title) === c && close(text, c, 6e-4, 1e-12) : text === (again ? '' : mark(c));
        const tint = !(t.tinted || []).includes(m) || near(part, 55 * Math.abs(c) / top[m], .51) && (c === 0 || hueOf === hue(c));
        if (!good || !tint) bad += `${i}: ${t.columns[m]} of row ${n} is ${text} (${title}, ${hueOf} ${part}) instead of ${c}; `;
      }));
    });
    if (s.tables.length !== scene.tables.length) bad += `${i}: tables; `;
  }
  check(`${name}: every scene and every number of it`, !bad, bad.slice(0, 300));
}
const visible = token => token.replace('<|endoftext|>', '⟨end⟩').replace(/ /g, '␣').replace(/\n/g, '↵').replace(/\t/g, '⇥').replace(/^$/, '∅');

async function graph() {
  const behind = await evaluate(`plan.edges.flatMap(e => {
    const length = e.element.getTotalLength(), points = Array.from({ length: 100 }, (_, i) => e.element.getPointAtLength(i / 100 * length));
    return plan.boxes.filter(n => !e.path.includes(n) && points.some(p => Math.abs(p.x - n.x) < n.w / 2 - 1 && Math.abs(p.y - n.y) < n.h / 2 - 1))
      .map(n => n.name + ' before an edge to ' + values[e.to].name);
  }).join()`);
  check('no edge runs behind a box', !behind, behind);
  const cut = await evaluate(`[...document.querySelectorAll('.node, .closed')].filter(n => n.scrollWidth > n.clientWidth + 1).map(n => n.textContent).join()`);
  check('no box is too small for what is in it', !cut, cut);
  const outside = which => evaluate(`(() => { const g = document.getElementById('graph').getBoundingClientRect();
    return ${which}.map(n => n.element.getBoundingClientRect()).filter(b => b.left < g.left - 1 || b.right > g.right + 1 || b.top < g.top - 1 || b.bottom > g.bottom + 1).length; })()`);
  const scale = () => evaluate('view.scale'), where = () => evaluate(`document.getElementById('plane').getBoundingClientRect().left`);
  check('opens at a scale that can be read, with the end of the graph in sight', await scale() >= .75 && await outside('trace.seeds.slice(-1).map(s => plan.nodes[s.value])') === 0, await scale());
  await press('0');
  check('the whole graph fits in the window', await outside('plan.boxes') === 0, await outside('plan.boxes'));
  const g = await evaluate(`(({ left, top, width, height }) => ({ x: left + width - 40, y: top + 20, width, height }))(document.getElementById('graph').getBoundingClientRect())`);
  const first = await scale();
  await send('Input.dispatchMouseEvent', { type: 'mouseWheel', x: g.x, y: g.y, deltaX: 0, deltaY: -400 });
  const wheel = await scale(), place = await where();
  await mouse('mousePressed', g.x, g.y);
  await mouse('mouseMoved', g.x - 60, g.y + 40);
  await mouse('mouseReleased', g.x - 60, g.y + 40);
  const moved = await where();
  await press('+');
  const plus = await scale();
  await evaluate(`control('smaller').click()`);
  const minus = await scale();
  await evaluate(`control('larger').click()`);
  const larger = await scale();
  await press('0');
  check('the graph zooms and moves', wheel > 1.5 * first && Math.abs(place - moved - 60) < 1.5 && plus > wheel && minus < plus && near(larger, plus, 1e-3) && near(await scale(), first, 1e-3),
    [first, wheel, place, moved, plus, minus, larger, await scale()].join());
  await evaluate(`Object.assign(view, { mode: undefined, chosen: undefined }); drawGraph()`);
}

// Boxes that stand for several scopes: their maps are what these hand on, and a click opens one.
async function closedBoxes() {
  const numberIn = (i, family) => { const scope = trace.values[i].scope || ''; return scope.startsWith(family + '.') ? Number(scope.slice(family.length + 1).split('.')[0]) : NaN; };
  const closed = () => evaluate(`plan.boxes.filter(b => b.value === undefined).map(b => ({ name: b.name, family: b.family, numbers: b.numbers, of: b.of, outputs: b.outputs,
    maps: b.maps.map(c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]) }))`);
  let bad = '';
  const boxes = await closed();
  for (const b of boxes) {
    if (b.of.some(i => !b.numbers.includes(numberIn(i, b.family)))) bad ||= `${b.name} holds another's`;
    const isUsed = (i, n) => trace.ops.some(op => op.in.some(x => x.value === i) && op.out.some(o => numberIn(o, b.family) !== n));
    const last = b.numbers.map(n => Math.max(...trace.values.map((v, i) => numberIn(i, b.family) === n && isUsed(i, n) ? i : -1)));
    if (b.outputs.join() !== last.join()) bad ||= `${b.name} shows ${b.outputs.map(o => trace.values[o].name)}`;
    const data = b.outputs.flatMap(o => trace.values[o].data);
    if (!painted(b.maps[0], data, data, data.length)) bad ||= `${b.name}: its map`;
    if (b.maps[1].some((x, i) => i % 4 === 3 && x)) bad ||= `${b.name}: a gradient before the pass`;
  }
  if (!boxes.length) return;
  const { name: before, family, numbers } = boxes[0];
  await evaluate(`[...document.querySelectorAll('.closed')][0].querySelector('.name').click()`);
  const opened = await evaluate(`opened.get(${JSON.stringify(family)})`);
  const visible = await evaluate(`values.map(v => !v.element.hidden)`);
  if (!numbers.includes(opened)) bad ||= `a click on ${before} opens ${opened}`;
  trace.values.forEach((v, i) => { if (v.op >= 0 && numberIn(i, family) === opened && !visible[i] && !boxes.some(b => b.family !== family && b.of.includes(i))) bad ||= `${v.name} is not shown`; });
  await evaluate(`[...document.querySelectorAll('.closed')].at(-1).querySelector('.name').click()`);
  check('scopes that are alike are closed and open', !bad, bad);
}

async function everyWayToMove() {
  let bad = '';
  const click = where => evaluate(`document.querySelector(${JSON.stringify(where)}).dispatchEvent(new MouseEvent('click', { bubbles: true }))`);
  const child = i => `#graph .node[title^="${trace.values[i].name} ["]`;
  const ways = [['Home', () => press('Home'), 0], ['n', () => press('n'), 1], ['↓', () => press('ArrowDown'), 2], ['p', () => press('p'), 1], ['↑', () => press('ArrowUp'), 0],
    ['← at the first', () => press('ArrowLeft'), 0], ['the button →', () => click('#next'), 1], ['the button ←', () => click('#back'), 0],
    ['b', () => press('b'), begin], ['f', () => press('f'), firstOp], ['End', () => press('End'), last],
    ['u', () => press('u'), trace.updates.length ? firstUpdate : last],
    ['the button backward', () => click('#backward-part'), begin], ['the button forward', () => click('#forward-part'), firstOp],
    ['the slider', () => evaluate(`{ const s = document.getElementById('slider'); s.value = 2; s.dispatchEvent(new Event('input')); }`), 2],
    ['a box', () => click(child(trace.ops[trace.steps[1].op].out[0])), begin + 2],
    ['a leaf', () => click(child(trace.values.findIndex(v => v.op < 0))), begin],
    ['a line of the program', () => click('#detail .program li:nth-child(2)'), firstOp + 1],
    ['the address that follows', async () => { const now = await at(); await tab.until(`location.hash === '#${now}'`); if (await evaluate('location.hash') !== `#${now}`) bad += 'the address does not follow; '; }, firstOp + 1],
    ['the address', async () => { await evaluate(`location.hash = '#${begin + 3}'`); await until(begin + 3); }, begin + 3],
    ['a page loaded anew', async () => { await send('Page.reload'); await until(begin + 3); }, begin + 3]];
  if (trace.updates.length) ways.splice(12, 0, ['the button update', async () => { await press('b'); await click('#update-part'); }, firstUpdate]);
  if (trace.closing.length) ways.splice(12, 0, ['e', () => press('e'), firstClosing], ['s', () => press('s'), 0], ['the button end', () => click('#end-part'), firstClosing], ['the button start', () => click('#start-part'), 0]);
  for (const [way, go, to] of ways) { await go(); if (await at() !== to) bad += `${way}: ${await at()} instead of ${to}; `; }
  check('every way to move', !bad, bad);
}

async function main() {
  tab = await open(chromium, page);
  await scheme('light');
  let paint = Infinity;
  for (let load = 0; load < 8 && paint >= 500; ++load) {  // other work may keep the machine busy
    await send('Page.navigate', { url: 'about:blank' });
    await send('Page.navigate', { url: 'file://' + path.resolve(page) });
    for (let i = 0; i < 100 && !await evaluate('document.body && document.body.dataset.position'); ++i) await pause(50);
    for (let i = 0; i < 20 && !await evaluate(`performance.getEntriesByName('first-contentful-paint').length`); ++i) await pause(50);
    paint = Math.min(paint, await evaluate(`(performance.getEntriesByName('first-contentful-paint')[0] || { startTime: 1e9 }).startTime`));
  }
  check('first paint within half a second', paint < 500, `${paint} ms`);
  check(firstOp ? 'opens at the first scene' : 'opens where backward begins', await at() === start, await at());
  await shot('begin');
  if (firstOp) await scenes('start', trace.opening, 0);
  if (trace.closing.length) await scenes('end', trace.closing, firstClosing);
  await press('b');
  await graph();
  await closedBoxes();
  const lists = await evaluate(`[...document.querySelectorAll('table.list')].map(t => [...t.querySelectorAll('tbody tr')].map(r => [...r.children].map(c => c.textContent)))`);
  check('tables of the step', lists.length === trace.tables.length && trace.tables.every((t, i) => lists[i].length === t.rows.length && t.rows.every((r, n) => r.every((c, m) => {
    ++compared;
    return typeof c === 'number' ? close(lists[i][n][m], c, 6e-4, 1e-12) : lists[i][n][m] === visible(c);
  }))), JSON.stringify(lists).slice(0, 200));

  const grads = trace.values.map(() => undefined);
  for (const t of trace.seeds) t.grad.forEach((x, e) => { (grads[t.value] ||= trace.values[t.value].data.map(() => 0))[e] += x; });
  const starts = await wrong(begin, grads);
  check('the beginning', !starts && await shows(begin), starts);
  await walk('backward', 'ArrowRight', range(begin + 1, firstUpdate), grads);
  check('no check fails', await evaluate(`document.querySelectorAll('.check.bad').length`) === 0 && trace.values.every(v => v.agrees), 'a gradient differs');
  await shot('end');
  // The page's sums, each of six digits, are those of the engine.
  for (const [i, v] of trace.values.entries()) if (v.grad.length) grads[i] = v.grad;
  await walk('updates', 'ArrowRight', range(firstUpdate, firstClosing), grads);
  if (trace.updates.length) await shot('update');
  await press('End');
  await press('ArrowRight');
  check('stays at the last step', await at() === last, await at());
  await evaluate(`go(${firstClosing - 1})`);
  await walk('back again', 'ArrowLeft', range(big ? firstClosing - 6 : begin + 1, firstClosing - 1).reverse());
  await press('f');
  check('f goes to the forward part', await at() === firstOp, await at());
  const first = await wrong(firstOp, grads);
  check('the first op', !first && await shows(firstOp), first);
  await walk('forward', 'ArrowRight', range(firstOp + 1, begin), grads);
  await shot('forward');
  await everyWayToMove();

  // A dense table shows its numbers when asked, and the one that is pointed at.
  const toggled = await evaluate(`(() => { for (let p = 0; p <= last; ++p) { go(p); const f = [...document.querySelectorAll('#detail figure')].find(f => f.querySelector('.dense tbody td:nth-of-type(2)'));
    if (!f) continue;
    const table = f.querySelector('table'), cell = table.querySelectorAll('tbody td')[1], before = getComputedStyle(cell).fontSize;
    cell.dispatchEvent(new PointerEvent('pointerover', { bubbles: true }));
    const read = f.querySelector('output').textContent;
    f.querySelector('.toggle').click();
    return { before, after: getComputedStyle(cell).fontSize, read, shown: cell.textContent, p }; } })()`);
  if (toggled) check('a table of colours tells its numbers', toggled.before === '0px' && parseFloat(toggled.after) >= 11 && near(Number(toggled.read.split(' ').pop()), Number(toggled.shown), 6e-3 * Math.abs(Number(toggled.shown)) + 1e-12), JSON.stringify(toggled));

  // A gradient that is wrong is called so: the page gets another verdict, and an op that fails its own check.
  const n = trace.steps.findIndex(t => t.adds.length > 0), t = trace.steps[n], addsTo = u => u.adds.map(a => trace.ops[u.op].in[a.input].value);
  await evaluate(`{ const op = ops[${t.op}]; op.passes = false; for (const i of op.in) values[i.value].agrees = false; go(${begin + 1 + n}); }`);
  const complaints = await evaluate(`[...document.querySelectorAll('.check.bad')].map(e => e.textContent.replace(/[0-9].*/, ''))`);
  const complete = [...new Set(addsTo(t))].filter(v => !trace.steps.slice(n + 1).some(u => addsTo(u).includes(v)));
  check('wrong gradients are called so', complaints.join() === [...complete.map(() => '✗ differs from finite differences of the loss by '), '✗ this op\'s backward differs from finite differences by '].join(), complaints.join());

  for (const [name, size] of [['phone', { width: 390, height: 844 }], ['small', { width: 1280, height: 800 }], ['large', { width: 1920, height: 1080 }]]) {
    await view(size);
    let wide = 0;
    const cut = await evaluate(`[...document.querySelectorAll('#bar button')].filter(b => b.scrollWidth > b.clientWidth).map(b => b.textContent).join()`);
    check(`no button is cut at ${size.width} × ${size.height}`, !cut, cut);
    for (const p of new Set([0, Math.max(0, firstOp - 1), firstOp, begin, begin + Math.ceil(trace.steps.length / 2), firstClosing - 1, firstClosing, last].filter(q => q <= last))) {
      await evaluate(`go(${p})`);
      wide = Math.max(wide, await evaluate('document.documentElement.scrollWidth'));
      for (const mode of folder ? ['light', 'dark'] : []) { await scheme(mode); await shot(`${name}-${mode}-${p}`); }
    }
    check(`fits ${size.width} × ${size.height}`, wide <= size.width, wide);
  }
  check('asks for nothing', tab.requests.filter(u => !u.startsWith('file:') && u !== 'about:blank').length === 0 && new Set(tab.requests).size <= 2, tab.requests.join(' '));
  check('no error in the script', tab.errors.length === 0, tab.errors.join(' '));
  console.log(`# ${trace.name}: ${fs.statSync(page).size} bytes, first paint ${paint.toFixed(0)} ms, ${compared} numbers compared`);
}
const stop = async code => { if (tab) await tab.close(); process.exit(code); };
setTimeout(() => { console.log(`FAIL page: ${trace.name}: the browser did not answer within four minutes`); stop(1); }, 240000).unref();
main().then(() => stop(failed), e => { console.log(`FAIL page: ${trace.name}: ${e.message}`); stop(1); });

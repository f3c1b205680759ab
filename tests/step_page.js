// What a browser shows of a page of `gradus step --html`, key by key, against the trace that the engine recorded
// (`gradus step --json`). Drives Chromium over its debugging pipe; needs nothing but node and chromium.
//   node tests/step_page.js CHROMIUM PAGE.html TRACE.json [FOLDER]     FOLDER: screenshots for a person go there
// Prints "ok"/"FAIL" lines as tests/shell.sh knows them.
'use strict';
const { spawn } = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');
const [chromium, page, traceFile, folder] = process.argv.slice(2);
const trace = JSON.parse(fs.readFileSync(traceFile, 'utf8'));
const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'gradus-browser-'));
const browser = spawn(chromium, ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run', '--hide-scrollbars',
  '--disable-background-networking', '--remote-debugging-pipe', '--user-data-dir=' + profile, 'about:blank'],
{ stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
const waiting = new Map(), requests = [], errors = [];
let nextId = 0, session, buffer = '';
browser.stdio[4].on('data', data => {
  buffer += data;
  for (let at; (at = buffer.indexOf('\0')) >= 0; buffer = buffer.slice(at + 1)) {
    const m = JSON.parse(buffer.slice(0, at));
    if (m.id) { const { yes, no } = waiting.get(m.id); waiting.delete(m.id); m.error ? no(new Error(m.error.message)) : yes(m.result); }
    if (m.method === 'Network.requestWillBeSent') requests.push(m.params.request.url);
    if (m.method === 'Runtime.exceptionThrown') errors.push(m.params.exceptionDetails.exception.description);
  }
});
function send(method, params = {}) {
  return new Promise((yes, no) => {
    waiting.set(++nextId, { yes, no });
    browser.stdio[3].write(JSON.stringify({ id: nextId, method, params, sessionId: session }) + '\0');
  });
}
const evaluate = async code => (await send('Runtime.evaluate', { expression: code, returnByValue: true })).result.value;
async function press(key) {
  for (const type of ['keyDown', 'keyUp']) await send('Input.dispatchKeyEvent', { type, key, ...(key.length === 1 && type === 'keyDown' ? { text: key } : {}) });
}
let failed = 0;
function check(name, good, detail) {
  if (!good) failed = 1;
  console.log(good ? `ok page: ${trace.name}, ${name}` : `FAIL page: ${trace.name}, ${name}: ${detail}`);
}
const view = size => send('Emulation.setDeviceMetricsOverride', { ...size, deviceScaleFactor: 1, mobile: false });
async function shot(name) {
  if (!folder) return;
  await new Promise(r => setTimeout(r, 900));  // the contributions have arrived
  fs.writeFileSync(path.join(folder, `${trace.name}-${name}.png`), Buffer.from((await send('Page.captureScreenshot')).data, 'base64'));
}

// Every table that is shown: its kind and numbers.
const tables = () => evaluate(`[...document.querySelectorAll('#detail table')].map(t => [t.dataset.kind, ...[...t.querySelectorAll('td')].map(c => c.textContent)])`);
// A shown number has four digits of the engine's, and may be nan or inf.
const close = (shown, x, zero) => typeof x === 'string' ? shown === x : Math.abs(Number(shown) - x) <= 6e-4 * Math.abs(x) + zero;
function same(shown, kind, xs) {
  const zero = 1e-10 * Math.max(...xs.map(x => Math.abs(Number(x)) || 0));
  return shown && shown[0] === kind && shown.length === xs.length + 1 && xs.every((x, i) => close(shown[i + 1], x, zero));
}
const part = (xs, input) => xs.slice(input.offset, input.offset + input.shape.reduce((a, b) => a * b, 1));

// What the page must show after step n of the backward part.
function wanted(n) {
  const s = trace.steps[n], op = trace.ops[s.op], all = [];
  for (const o of op.out) if (trace.values[o].grad.length) all.push(['arrived', trace.values[o].grad]);
  for (const [k, a] of s.adds.entries()) {
    const input = op.in[a.input];
    all.push(['added', a.added]);
    if (s.adds.slice(k + 1).some(b => op.in[b.input].value === input.value)) continue;  // only the last has the sum
    if (a.now.some((x, e) => x !== a.added[e])) all.push(['now', a.now]);
    all.push(['numeric', part(trace.values[input.value].numeric, input)]);
  }
  return all;
}
async function shows(n) {
  const shown = await tables(), all = wanted(n);
  return shown.length === all.length && all.every(([kind, xs], i) => same(shown[i], kind, xs));
}

// What else is seen at a position: words, the colours of tables, and the graph, whose boxes stand in the order of the values.
const seen = () => evaluate(`(() => {
  const all = (where, what) => [...document.querySelectorAll(where)].map(what), words = where => all(where, e => e.textContent);
  return { count: words('#count')[0], formula: all('#detail .formula', e => e.firstChild.textContent)[0], source: words('#detail .source')[0],
    worked: words('#detail .worked'), which: words('#detail h3 span'),
    hidden: all('#graph .active .frame', e => [e.getBoundingClientRect(), document.getElementById('graph').getBoundingClientRect()]).some(([a, g]) =>
      a.top < g.top || a.bottom > g.bottom || a.left < g.left || a.right > g.right),
    lit: all('#graph path.lit', e => 1).length,
    heat: all('#detail table', t => [...t.querySelectorAll('td')].map(c => [c.style.getPropertyValue('--hue'), parseFloat(c.style.getPropertyValue('--part'))])),
    boxes: all('#graph .node', n => ({ later: n.matches('.later'), active: n.matches('.active'), touched: n.matches('.touched'),
      maps: ['value', 'gradient'].map(k => [...n.querySelectorAll('.' + k + ' .fill')].map(r =>
        ({ fill: r.style.fill, opacity: Number(r.style.fillOpacity), x: +r.getAttribute('x'), y: +r.getAttribute('y'), w: +r.getAttribute('width') }))) })) };
})()`);
const near = (a, b, bound) => Math.abs(a - b) <= bound;
const most = xs => Math.max(...xs.map(x => Math.abs(Number(x)) || 0)) || 1;
const hue = x => `var(--${x < 0 ? 's2' : 's1'})`;
// A map of the graph: each number at its place, blue above 0 and orange below, as dark as it is large beside the largest of `scale`.
function painted(cells, xs, shape, scale) {
  const M = shape.length ? shape[shape.length - 1] : 1, top = most(scale);
  return cells.length === xs.length && cells.every((c, i) => c.fill === hue(xs[i]) && near(c.opacity, Math.min(1, .06 + .94 * Math.abs(xs[i]) / top), .002) &&
    near(c.x, cells[0].x + i % M * c.w, .06 * M + .06) && near(c.y, cells[0].y + Math.floor(i / M) * c.w, .06 * xs.length / M + .06));
}
// The colours of a table, without those of what finite differences leave of 0.
const coloured = (cells, xs) => cells.every(([h, part], i) => near(part, 55 * Math.abs(xs[i]) / most(xs), .51) && (h === hue(xs[i]) || part === 0));
// The first thing that is wrong at step n of the backward part (n < 0: position n + ops + 1), or nothing. `grads`: what has been added so far.
async function wrong(n, grads) {
  const at = n + trace.ops.length + 1, back = n >= 0, begins = n === -1;
  const op = back ? trace.ops[trace.steps[n].op] : trace.ops[at], adds = back ? trace.steps[n].adds : [], s = await seen();
  const touched = new Set(adds.map(a => op.in[a.input].value));
  if (s.count !== (back ? `backward ${n + 1} of ${trace.steps.length}` : begins ? 'backward begins' : `forward ${at + 1} of ${trace.ops.length}`)) return 'count';
  if (!begins && s.formula !== (back ? op.backward : op.forward)) return 'formula';
  if (!begins && s.source !== op.where + '  ' + op.source) return 'source line';
  if (back) {
    if (s.worked.join() !== adds.map(a => a.worked).filter(w => w).join()) return 'numbers put in';
    const all = v => trace.steps.flatMap((t, k) => t.adds.filter(a => trace.ops[t.op].in[a.input].value === v).map(a => ({ k, a })));
    const which = adds.map(a => { const c = all(op.in[a.input].value); return c.length === 1 ? 'its only contribution' : `contribution ${c.findIndex(x => x.a === a) + 1} of ${c.length}`; });
    if (s.which.join() !== which.join()) return 'which contribution: ' + s.which.join();
    if (!wanted(n).every(([, xs], i) => coloured(s.heat[i], xs))) return 'colours of a table';
  }
  if (s.hidden) return `${op.kind} is out of sight`;
  if (s.lit !== (begins ? 0 : back ? touched.size : new Set(op.in.map(i => i.value)).size) * (begins ? 0 : op.out.length)) return 'lit edges: ' + s.lit;
  for (const [i, v] of trace.values.entries()) {
    const box = s.boxes[i], there = v.op < 0 || back || begins || v.op <= at;
    if (box.later === there) return v.name + ' dimmed';
    if (box.active !== (!begins && op.out.includes(i))) return v.name + ' active';
    if (box.touched !== touched.has(i)) return v.name + ' touched';
    if (!painted(box.maps[0], there ? v.data : [], v.shape, v.data)) return v.name + ' value';
    if (!painted(box.maps[1], back || begins ? grads[i] || [] : [], v.shape, v.grad)) return v.name + ' gradient';
  }
}

async function main() {
  const { targetInfos } = await send('Target.getTargets');
  session = (await send('Target.attachToTarget', { targetId: targetInfos.find(t => t.type === 'page').targetId, flatten: true })).sessionId;
  for (const domain of ['Page', 'Runtime', 'Network']) await send(domain + '.enable');
  await view({ width: 1280, height: 800 });
  await send('Page.navigate', { url: 'file://' + path.resolve(page) });
  for (let i = 0; i < 100 && !await evaluate('document.body && document.body.dataset.position'); ++i) await new Promise(r => setTimeout(r, 100));
  const begin = trace.ops.length, at = async () => Number(await evaluate('document.body.dataset.position'));
  check('opens where backward begins', await at() === begin, await at());
  await shot('begin');
  const behind = await evaluate(`plan.edges.flatMap(e => {
    const length = e.element.getTotalLength(), points = Array.from({ length: 100 }, (_, i) => e.element.getPointAtLength(i / 100 * length));
    return plan.nodes.filter(n => n.value !== e.from && n.value !== e.to && points.some(p => Math.abs(p.x - n.x) < n.w / 2 - 1 && Math.abs(p.y - n.y) < n.h / 2 - 1))
      .map(n => values[n.value].name + ' before an edge to ' + values[e.to].name);
  }).join()`);
  check('no edge runs behind a box', !behind, behind);
  const grads = trace.values.map(() => undefined), sum = (v, e, x) => { (grads[v] ||= trace.values[v].data.map(() => 0))[e] += x; };
  for (const t of trace.seeds) t.grad.forEach((x, e) => sum(t.value, e, x));
  let good = 0, bad = await wrong(-1, grads);
  for (let n = 0; n < trace.steps.length; ++n) {
    await press('ArrowRight');
    good += await shows(n);
    for (const a of trace.steps[n].adds) a.added.forEach((x, e) => { const i = trace.ops[trace.steps[n].op].in[a.input]; sum(i.value, i.offset + e, x); });
    bad ||= await wrong(n, grads);
    if (n === Math.floor(trace.steps.length / 2)) await shot('middle');
  }
  check('words, colours and light of each step', !bad, bad);
  check('each → shows the engine\'s numbers', good === trace.steps.length, `${good} of ${trace.steps.length} steps`);
  await press('ArrowRight');
  check('stays at the last step', await at() === begin + trace.steps.length, await at());
  check('no check fails', await evaluate(`document.querySelectorAll('.check.bad').length`) === 0, 'a gradient differs');
  await shot('end');
  good = 0;
  for (let n = trace.steps.length - 2; n >= 0; --n) { await press('ArrowLeft'); good += await shows(n); }
  check('each ← shows them again', good === trace.steps.length - 1, good);
  await press('f');
  check('f goes to the forward part', await at() === 0, await at());
  good = 0, bad = undefined;
  for (let n = 0; n < begin; ++n) {
    bad ||= await wrong(n - begin - 1, grads);
    const shown = (await tables()).filter(t => t[0] === 'output'), outs = trace.ops[n].out;
    good += shown.length === outs.length && outs.every((o, i) => same(shown[i], 'output', trace.values[o].data));
    if (n === Math.floor(begin / 2)) await shot('forward');
    await press(' ');
  }
  check('words, colours and light of the forward part', !bad, bad);
  check('the forward part shows every value', good === begin && await at() === begin, `${good} of ${begin}`);
  // Gradients in the graph: as many cells as have arrived.
  const lit = () => evaluate(`document.querySelectorAll('.gradient .fill').length`);
  await press('b');
  const before = await lit();
  await press('End');
  const arrived = trace.values.reduce((s, v) => s + v.grad.length, 0);
  check('contributions light up in the graph', before < arrived && await lit() === arrived, `${before}, then ${await lit()} of ${arrived}`);
  // Every other way to move.
  const until = async to => { for (let i = 0; i < 50 && await at() !== to; ++i) await new Promise(r => setTimeout(r, 100)); };
  const last = begin + trace.steps.length, click = where => evaluate(`document.querySelector(${JSON.stringify(where)}).dispatchEvent(new MouseEvent('click'))`);
  const ways = [['Home', () => press('Home'), 0], ['n', () => press('n'), 1], ['↓', () => press('ArrowDown'), 2], ['p', () => press('p'), 1], ['↑', () => press('ArrowUp'), 0],
    ['← at the first', () => press('ArrowLeft'), 0], ['the button →', () => click('#next'), 1], ['the button ←', () => click('#back'), 0],
    ['the button backward', () => click('#backward-part'), begin], ['the button forward', () => click('#forward-part'), 0],
    ['the slider', () => evaluate(`{ const s = document.getElementById('slider'); s.value = 2; s.dispatchEvent(new Event('input')); }`), 2],
    ['a box', () => click(`#graph .node:nth-of-type(${trace.ops[trace.steps[1].op].out[0] + 1})`), begin + 2],
    ['a leaf', () => click(`#graph .node:nth-of-type(${trace.values.findIndex(v => v.op < 0) + 1})`), begin],
    ['a line of the program', () => click('#detail .program li:nth-child(2)'), 1],
    ['the address', async () => { await evaluate(`location.hash = '#${last - 1}'`); await until(last - 1); }, last - 1],
    ['a page loaded anew', async () => { await send('Page.reload'); await until(last - 1); }, last - 1]];
  bad = '';
  for (const [way, go, to] of ways) { await go(); if (await at() !== to) bad += `${way}: ${await at()} instead of ${to}; `; }
  check('every way to move', !bad, bad);
  // A gradient that is wrong is called so: the page gets other finite differences, and an op that fails its own check.
  const n = trace.steps.findIndex(t => t.adds.length > 0), t = trace.steps[n], addsTo = u => u.adds.map(a => trace.ops[u.op].in[a.input].value);
  await evaluate(`{ const op = ops[${t.op}]; op.passes = false; for (const i of op.in) values[i.value].numeric = values[i.value].numeric.map(x => x + 1); go(${begin + 1 + n}); }`);
  const complaints = await evaluate(`[...document.querySelectorAll('.check.bad')].map(e => e.textContent.replace(/[:0-9].*/, ''))`);
  const complete = [...new Set(addsTo(t))].filter(v => !trace.steps.slice(n + 1).some(u => addsTo(u).includes(v)));
  check('wrong gradients are called so', complaints.join() === [...complete.map(() => '✗ differs from finite differences by '), '✗ this op alone'].join(), complaints.join());
  await view({ width: 390, height: 844 });
  await press('ArrowLeft');
  check('fits a phone', await evaluate('document.documentElement.scrollWidth <= 390'), await evaluate('document.documentElement.scrollWidth'));
  await shot('phone');
  await send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: 'dark' }] });
  await shot('phone-dark');
  await view({ width: 1280, height: 800 });
  await shot('dark');
  check('asks for nothing', requests.filter(u => !u.startsWith('file:')).length === 0 && new Set(requests).size === 1, requests.join(' '));
  check('no error in the script', errors.length === 0, errors.join(' '));
}
const stop = code => { browser.kill(); browser.on('exit', () => { fs.rmSync(profile, { recursive: true, force: true }); process.exit(code); }); };
setTimeout(() => { console.log(`FAIL page: ${trace.name}: the browser did not answer within three minutes`); stop(1); }, 180000).unref();
main().then(() => stop(failed), e => { console.log(`FAIL page: ${trace.name}: ${e.message}`); stop(1); });

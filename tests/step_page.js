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
  let good = 0;
  for (let n = 0; n < trace.steps.length; ++n) { await press('ArrowRight'); good += await shows(n); if (n === Math.floor(trace.steps.length / 2)) await shot('middle'); }
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
  good = 0;
  for (let n = 0; n < begin; ++n) {
    const shown = (await tables()).filter(t => t[0] === 'output'), outs = trace.ops[n].out;
    good += shown.length === outs.length && outs.every((o, i) => same(shown[i], 'output', trace.values[o].data));
    if (n === Math.floor(begin / 2)) await shot('forward');
    await press(' ');
  }
  check('the forward part shows every value', good === begin && await at() === begin, `${good} of ${begin}`);
  // Gradients in the graph: as many cells as have arrived.
  const lit = () => evaluate(`document.querySelectorAll('.gradient .fill').length`);
  await press('b');
  const before = await lit();
  await press('End');
  const arrived = trace.values.reduce((s, v) => s + v.grad.length, 0);
  check('contributions light up in the graph', before < arrived && await lit() === arrived, `${before}, then ${await lit()} of ${arrived}`);
  await view({ width: 390, height: 844 });
  await press('ArrowLeft');
  check('fits a phone', await evaluate('document.documentElement.scrollWidth <= 390'), await evaluate('document.documentElement.scrollWidth'));
  await shot('phone');
  await send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: 'dark' }] });
  await shot('phone-dark');
  await view({ width: 1280, height: 800 });
  await shot('dark');
  check('asks for nothing', requests.filter(u => !u.startsWith('file:')).length === 0 && requests.length === 1, requests.join(' '));
  check('no error in the script', errors.length === 0, errors.join(' '));
}
const stop = code => { browser.kill(); browser.on('exit', () => { fs.rmSync(profile, { recursive: true, force: true }); process.exit(code); }); };
setTimeout(() => { console.log(`FAIL page: ${trace.name}: the browser did not answer within a minute`); stop(1); }, 60000).unref();
main().then(() => stop(failed), e => { console.log(`FAIL page: ${trace.name}: ${e.message}`); stop(1); });

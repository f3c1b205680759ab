// What a browser shows of a page of `gradus look --html`, place by place, against what `gradus look --json` says.
//   node tests/look_page.js CHROMIUM NAME PAGE.html LOOK.json [FOLDER]     FOLDER: screenshots for a person go there
// Prints "ok"/"FAIL" lines as tests/shell.sh knows them.
'use strict';
const fs = require('fs');
const path = require('path');
const { open } = require('./browser.js');
const [chromium, name, page, file, folder] = process.argv.slice(2);
const look = JSON.parse(fs.readFileSync(file, 'utf8')), tokens = look.tokens, parts = look.parts;
let failed = 0;
function check(what, good, detail) {
  if (!good) failed = 1;
  console.log(good ? `ok look: ${name}, ${what}` : `FAIL look: ${name}, ${what}: ${detail}`);
}
// A shown number has four digits of the engine's.
const close = (shown, x) => x === Infinity ? shown === '∞' : Math.abs(Number(shown) - x) <= 6e-4 * Math.abs(x) + 1e-300;
const nats = t => t.log_prob === '-inf' ? Infinity : -t.log_prob;
const last = s => s.trim().split(/[ \n]/).pop();
const signs = { '\n': '↵', '\t': '⇥', '\r': '\\r', ' ': '␣' };
const named = text => text === look.end ? '(end)' : [...text].map(c => signs[c] || c).join('');
const heads = parts.map((p, k) => k).filter(k => parts[k].weights), units = parts.map((p, k) => k).filter(k => !parts[k].weights);
const lines = i => tokens.map((t, k) => k).filter(k => tokens[k].sequence === tokens[i].sequence);

const seen = tab => tab.evaluate(`(() => {
  const all = (where, what) => [...document.querySelectorAll(where)].map(what), words = where => all(where, e => e.textContent);
  const bars = where => all(where + ' .row', r => [...r.querySelectorAll('code, .value')].map(e => e.textContent));
  const alphas = c => c && [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].filter((x, i) => i % 4 === 3);
  const spans = where => all(where + ' .token', e => [e.title, parseFloat(e.style.getPropertyValue('--part')), e.classList.contains('chosen')]);
  return { place: Number(document.body.dataset.place), count: words('#count')[0], told: words('#place .numbers')[0], bars: bars('#place'), text: spans('#text'), window: words('#window')[0],
    attended: spans('#attended'), most: bars('#attended-most'), map: alphas(document.querySelector('#head-map')),
    thumbs: all('#heads canvas', alphas), byUnit: spans('#by-unit'), unit: words('#unit-name')[0], numbers: words('#unit-numbers span'),
    maps: all('#maps figure', f => [Number(f.dataset.part), alphas(f.querySelector('canvas'))]) };
})()`);
// The weights of head k as the map of a window shows them: the alpha of each pixel.
const windowOf = i => lines(i).filter(r => tokens[r].first === tokens[i].first);
function square(k, i) {
  const rows = windowOf(i), inputs = tokens[rows.at(-1)].at - tokens[i].first + 1;
  return rows.flatMap(r => Array.from({ length: inputs }, (_, c) => Math.round(255 * (tokens[r].parts[k][c] || 0))));
}
const same = (a, b, by = 1) => a.length === b.length && a.every((x, i) => Math.abs(x - b[i]) <= by);

// The first thing that is wrong where place i is chosen and head k of attention, part p and unit u, or nothing.
function wrong(s, i, k, p, u) {
  const t = tokens[i], uniform = Math.log(look.vocabulary);
  if (s.place !== i || s.count !== `token ${i + 1} of ${tokens.length}`) return 'place';
  if (!close(s.told.split(' ')[0], nats(t)) || !s.told.endsWith(`rank ${t.rank} of ${look.vocabulary}`)) return 'surprise: ' + s.told;
  if (s.bars.length !== t.candidates.length || !t.candidates.every((c, n) => s.bars[n][0] === named(c.text) && close(s.bars[n][1], c.probability))) return 'the likeliest';
  if (!tokens.every((x, n) => close(s.text[n][0].split(' ').slice(-2)[0], nats(x)) && Math.abs(s.text[n][1] - 75 * Math.min(1, nats(x) / uniform)) < .06 && s.text[n][2] === (n === i))) return 'colours of the text';
  if (k !== undefined) {
    const w = t.parts[k], inputs = look.inputs[t.sequence], most = Math.max(...w);
    const rows = windowOf(i), end = tokens[rows.at(-1)].at, starts = [...new Set(lines(i).map(r => tokens[r].first))];
    if (s.attended.length !== Math.min(inputs.length, end + 2) - t.first) return 'inputs';
    const told = starts.length < 2 ? '' : `window ${starts.indexOf(t.first) + 1} of ${starts.length}: it predicts tokens ${tokens[rows[0]].at + 1} to ${end + 1} `;
    if (told ? !s.window.includes(told) : s.window) return 'window: ' + s.window;
    for (let n = t.first; n < t.first + s.attended.length; ++n) {
      const x = n > t.at ? undefined : w[n - t.first], [title, part] = s.attended[n - t.first];
      if (x === undefined ? !title.endsWith('not seen here') || part !== 0 : !close(last(title), x) || Math.abs(part - 75 * x / most) > .06) return `weight of input ${n}: ${title}`;
    }
    const order = [...w].sort((a, b) => b - a).slice(0, 5);
    if (s.most.length !== order.length || !order.every((x, n) => close(s.most[n][1], x))) return 'the most attended';
    if (!same(s.map, square(k, i))) return 'the square of the head';
  }
  if (p !== undefined) {
    const rows = lines(i), values = rows.map(r => tokens[r].parts[p][u]), most = Math.max(...values.map(Math.abs));
    if (!values.every((x, n) => close(s.byUnit[n][0], x) && Math.abs(s.byUnit[n][1] - 75 * Math.abs(x) / most) < .06)) return 'the unit over the text';
    if (!units.filter(q => parts[q].layer === parts[p].layer).every((q, n) => close(last(s.numbers[n]), t.parts[q][u]))) return 'numbers of the unit';
  }
}

async function main() {
  const tab = await open(chromium, page);
  const ready = () => tab.until('document.body && document.body.dataset.place !== undefined');
  await ready();
  // Of five loadings the quickest: the machine may be busy with something else.
  const painted = () => tab.evaluate(`new Promise(yes => new PerformanceObserver(l => l.getEntriesByName('first-contentful-paint').forEach(e => yes(e.startTime))).observe({ type: 'paint', buffered: true }))`);
  let paint = await painted();
  for (let n = 0; n < 4 && paint >= 500; ++n) {
    await tab.evaluate('delete document.body.dataset.place');
    await tab.reload();
    await ready();
    paint = Math.min(paint, await painted());
  }
  check('first paint under half a second', paint < 500, `${paint} ms`);
  if (folder) console.log(`${name}: first paint after ${paint.toFixed(0)} ms`);
  const p = units.length ? units[Math.max(0, units.findIndex(k => parts[k].name === 'c'))] : undefined;
  let s = await seen(tab), bad = wrong(s, 0, heads[0], p, 0);
  for (let i = 1; i < tokens.length && !bad; ++i) {
    await tab.press('ArrowRight');
    if (i < 40 || i % 7 === 0) bad = wrong(await seen(tab), i, heads[0], p, 0);
  }
  check('each place shows the engine\'s numbers', !bad, bad);
  bad = undefined;
  await tab.press('Home');
  await tab.press('End');
  const end = tokens.length - 1;
  s = await seen(tab);
  heads.forEach((k, n) => { if (!same(s.thumbs[n], square(k, end))) bad ||= `the small square of head ${n}`; });
  for (let n = 0; n < heads.length; ++n) {
    bad ||= wrong(await seen(tab), end, heads[n], p, 0);
    await tab.press('h');
  }
  if (heads.length) check('each head shows its weights', !bad, bad);
  if (units.length) {
    bad = undefined;
    const rows = lines(end);
    for (const [q, alphas] of s.maps) {
      const most = Math.max(...rows.flatMap(r => tokens[r].parts[q].map(Math.abs))), wanted = [];
      for (let r = 0; r < parts[q].units; ++r) for (const row of rows) wanted.push(Math.round(255 * Math.abs(tokens[row].parts[q][r]) / most));
      if (!same(alphas, wanted)) bad ||= 'the map of ' + parts[q].name;
    }
    check('each map shows its units', !bad && s.maps.length === units.filter(q => parts[q].layer === parts[p].layer).length, bad);
    const [q] = s.maps[s.maps.length - 1], u = Math.min(2, parts[q].units - 1);
    await tab.evaluate(`{ const c = document.querySelector('#maps figure[data-part="${q}"] canvas'), b = c.getBoundingClientRect();
      c.dispatchEvent(new MouseEvent('click', { clientX: b.left + b.width * .5 / ${rows.length}, clientY: b.top + b.height * ${u + .5} / ${parts[q].units} })); }`);
    s = await seen(tab);
    bad = wrong(s, rows[0], heads[0], q, u);
    check('a click on a map chooses unit and place', !bad && s.unit.startsWith(`Unit ${u + 1} of ${parts[q].units}`), bad || s.unit);
  }
  const n = Math.floor(tokens.length / 2);
  await tab.evaluate(`document.querySelectorAll('#text .token')[${n}].click()`);
  check('a click on a token', (await seen(tab)).place === n, 'elsewhere');
  await tab.evaluate(`document.getElementById('back').click()`);
  check('the button ←', (await seen(tab)).place === Math.max(0, n - 1), 'elsewhere');
  const plane = await tab.evaluate(`[...document.querySelectorAll('#plane text')].map(e => [e.querySelector('title').textContent, parseFloat(e.getAttribute('x')), parseFloat(e.getAttribute('y'))])`);
  const points = look.embeddings.tokens, range = f => [Math.min(...points.map(f)), Math.max(...points.map(f))], [left, right] = range(q => q.x), [low, high] = range(q => q.y);
  bad = points.find((q, i) => !plane[i] || !close(last(plane[i][0]), q.y) || !close(plane[i][0].split(/[: ,]+/).slice(-2)[0], q.x) ||
    Math.abs(plane[i][1] - 4 - 92 * (q.x - left) / (right - left)) > .02 || Math.abs(plane[i][2] - 4 - 92 * (high - q.y) / (high - low)) > .02);
  check('the plane has every token at its place', plane.length === points.length && !bad, JSON.stringify(bad));
  const dots = await tab.evaluate(`[...document.querySelectorAll('.side circle title')].map(e => e.textContent)`);
  const wanted = [...new Set(look.training.flatMap(r => r.layers.map(l => l.name)))].flatMap(layer => ['grad_norm', 'update_ratio'].flatMap(field =>
    look.training.map(r => r.layers.find(l => l.name === layer)[field]).filter(x => x > 0)));
  check('the plots have every size of the log', dots.length === wanted.length && wanted.every((x, i) => close(last(dots[i]), x)), `${dots.length} of ${wanted.length}`);
  await tab.view({ width: 390, height: 844 });
  check('fits a phone', await tab.evaluate('document.documentElement.scrollWidth <= 390'), await tab.evaluate('document.documentElement.scrollWidth'));
  check('asks for nothing', new Set(tab.requests).size === 1, tab.requests.join(' '));
  check('no error in the script', tab.errors.length === 0, tab.errors.join(' '));
  if (folder)
    for (const scheme of ['light', 'dark'])
      for (const [width, height] of [[1280, 800], [1920, 1080], [390, 844]]) {
        await tab.colours(scheme);
        await tab.view({ width, height });
        await new Promise(r => setTimeout(r, 300));
        await tab.shot(path.join(folder, `${name}-${scheme}-${width}.png`));
      }
  await tab.close();
}
setTimeout(() => { console.log(`FAIL look: ${name}: the browser did not answer within three minutes`); process.exit(1); }, 180000).unref();
main().then(() => process.exit(failed), e => { console.log(`FAIL look: ${name}: ${e.stack}`); process.exit(1); });

'use strict';
// One place of the text is chosen, `chosen`; of attention one head, of units one layer, one of its parts and one unit.
// Each draw function makes what is seen from these and from the numbers, which are those of `gradus look --json`.
const look = JSON.parse(document.getElementById('look').textContent);
const tokens = look.tokens, parts = look.parts;
const heads = parts.map((p, k) => k).filter(k => parts[k].weights), units = parts.map((p, k) => k).filter(k => !parts[k].weights);
let chosen = 0, head = heads[0], part = units.length ? units[Math.max(0, units.findIndex(k => parts[k].name === 'c'))] : undefined, unit = 0;

const by = id => document.getElementById(id);
function el(tag, attributes, ...children) {
  const svg = ['svg', 'g', 'line', 'text', 'title'].includes(tag);
  const e = svg ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag);
  for (const [k, v] of Object.entries(attributes || {})) e.setAttribute(k, v);
  e.append(...children);
  return e;
}
const num = (x, digits = 4) => !Number.isFinite(x) ? '∞' : x === 0 ? '0' : Math.abs(x) >= 1e-3 && Math.abs(x) < 1e5
  ? String(Number(x.toPrecision(digits))) : Number(x.toPrecision(digits)).toExponential().replace('e+', 'e');
const signs = { '\n': '↵', '\t': '⇥', '\r': '\\r', ' ': '␣' };
const named = text => text === look.end ? '(end)' : [...text].map(c => signs[c] || c).join('');
const size = Math.abs;
const percent = (x, most) => `${(75 * Math.min(1, most ? size(x) / most : 0)).toFixed(1)}%`;
const hue = x => x < 0 ? 'var(--s2)' : 'var(--s1)';

// ------------------------------------------------------------------------------------------------ text in colours

// The tokens of `list` as spans: text, what to show on hovering, what a click does; the line breaks of the text stay.
function spans(box, list) {
  const made = list.map((t, i) => {
    const last = i > 0 && (t.text === look.end || t.text.endsWith('\n'));
    const shown = t.text === look.end ? el('span', { class: 'sign' }, '∎') : t.text.endsWith('\n')
      ? el('span', {}, t.text.slice(0, -1), el('span', { class: 'sign' }, '↵')) : t.text;
    const e = el('span', { class: 'token' }, shown);
    if (t.click) e.addEventListener('click', t.click);
    if (look.separator && i && !last) box.append(look.separator);
    box.append(e);
    if (last && i + 1 < list.length) box.append(el('br'));
    return e;
  });
  return made;
}
function colour(e, x, most, colourOf, title) {
  e.style.setProperty('--part', percent(x, most));
  e.style.setProperty('--hue', colourOf);
  e.title = title;
}
// An infinite surprise is of what the model holds for impossible.
const nats = t => typeof t.log_prob === 'string' ? Infinity : -t.log_prob;
const uniform = Math.log(Math.max(2, look.vocabulary));
const texts = spans(by('text'), tokens.map((t, i) => ({ text: t.text, click: () => choose(i) })));
texts.forEach((e, i) => colour(e, nats(tokens[i]), uniform, 'var(--s2)', `${named(tokens[i].text)}: ${num(nats(tokens[i]))} nats`));
by('text').classList.toggle('lines', look.inputs.length > 1);
by('ramp-end').textContent = `${num(uniform, 3)} nats and more: a guess among all ${look.vocabulary}`;

function bar(name, share, text, isTrue) {
  const fill = el('i', { style: `width: ${(100 * share).toFixed(2)}%` });
  return el('div', { class: 'row' + (isTrue ? ' true' : '') }, el('code', {}, name), el('div', { class: 'track' }, fill), el('div', { class: 'value' }, text));
}
// What is chosen is seen: scrolls the box alone, not the page.
function reveal(box, e) {
  const outer = box.getBoundingClientRect(), inner = e.getBoundingClientRect();
  if (inner.top < outer.top || inner.bottom > outer.bottom) box.scrollTop += inner.top - outer.top - outer.height / 2;
}
function drawPlace() {
  const t = tokens[chosen], x = nats(t);
  texts.forEach((e, i) => e.classList.toggle('chosen', i === chosen));
  reveal(by('text'), texts[chosen]);
  by('count').textContent = `token ${chosen + 1} of ${tokens.length}`;
  by('back').disabled = chosen === 0;
  by('next').disabled = chosen === tokens.length - 1;
  const told = `${num(x)} nats (${num(x / Math.LN2)} bits), probability ${num(Math.exp(-x))}, rank ${t.rank} of ${look.vocabulary}`;
  by('place').replaceChildren(el('h3', {}, `Token ${chosen + 1}: `, el('code', {}, named(t.text))), el('p', { class: 'numbers' }, told),
    ...t.candidates.map(c => bar(named(c.text), c.probability, num(c.probability), c.text === t.text)));
}

// ------------------------------------------------------------------------------------------------ canvases

// A colour of the page's style as red, green, blue.
function rgb(name) {
  const c = getComputedStyle(document.documentElement).getPropertyValue(name).trim().match(/[0-9a-f]{2}|[0-9a-f]/gi);
  return c.map(x => parseInt(x.length === 1 ? x + x : x, 16));
}
// One pixel a number, [rows][columns]; null is left empty. As dark as it is large beside `most`.
function paint(canvas, rows, columns, number, most) {
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext('2d'), image = context.createImageData(columns, rows), positive = rgb('--s1'), negative = rgb('--s2');
  for (let r = 0; r < rows; ++r)
    for (let c = 0; c < columns; ++c) {
      const x = number(r, c);
      if (x === null) continue;
      image.data.set([...(x < 0 ? negative : positive), Math.round(255 * Math.min(1, most ? size(x) / most : 0))], 4 * (r * columns + c));
    }
  context.putImageData(image, 0, 0);
}
const sameWindow = (i, k) => tokens[k].sequence === tokens[i].sequence && tokens[k].first === tokens[i].first;
// The places that are predicted from the same window as place i, and the inputs of that window: from `first` on, so many.
function windowOf(i) {
  const rows = tokens.map((t, k) => k).filter(k => sameWindow(i, k)), first = tokens[i].first;
  return { rows, first, inputs: tokens[rows.at(-1)].at - first + 1 };
}
const sequenceOf = i => tokens.map((t, k) => k).filter(k => tokens[k].sequence === tokens[i].sequence);
const ratio = (canvas, e) => {
  const box = canvas.getBoundingClientRect();
  return [Math.floor((e.clientX - box.left) / box.width * canvas.width), Math.floor((e.clientY - box.top) / box.height * canvas.height)];
};
const limit = (x, n) => Math.max(0, Math.min(n - 1, x));

// ------------------------------------------------------------------------------------------------ attention

const headName = k => `layer ${parts[k].layer}, ${parts[k].name}`;
function paintHead(canvas, k) {
  const { rows, inputs } = windowOf(chosen);
  paint(canvas, rows.length, inputs, (r, c) => { const w = tokens[rows[r]].parts[k]; return c < w.length ? w[c] : null; }, 1);
  canvas.style.aspectRatio = `${inputs} / ${rows.length}`;
}
let attendedOf, attendedTokens;
function drawAttention() {
  if (!heads.length) return;
  const t = tokens[chosen], { rows, first, inputs: count } = windowOf(chosen), inputs = look.inputs[t.sequence], weights = t.parts[head];
  if (attendedOf !== rows[0]) {  // another window, or another line of the text: all maps are of that
    attendedOf = rows[0];
    by('attended').replaceChildren();
    const begin = tokens.findIndex(x => x.sequence === t.sequence);  // what follows the window is shown to be predicted
    attendedTokens = spans(by('attended'), inputs.slice(first, first + count + 1).map((text, i) => ({ text, click: () => choose(Math.max(begin, begin + first + i - 1)) })));
    document.querySelectorAll('#heads button').forEach((b, i) => paintHead(b.querySelector('canvas'), heads[i]));
    const starts = [...new Set(sequenceOf(chosen).map(k => tokens[k].first))];
    by('window').textContent = starts.length < 2 ? '' : `The model cannot see all of the text at once. This is window ${starts.indexOf(first) + 1} of ${starts.length}: it predicts tokens ${tokens[rows[0]].at + 1} to ${tokens[rows.at(-1)].at + 1} of the text and sees from token ${Math.max(1, first)} on. → goes on to the next.`;
  }
  document.querySelectorAll('#heads button').forEach((b, i) => b.classList.toggle('chosen', heads[i] === head));
  by('head-name').replaceChildren(headName(head), ': what it looks at to predict ', el('code', {}, named(t.text)));
  const most = Math.max(...weights);
  attendedTokens.forEach((e, k) => {
    const i = first + k, w = i > t.at ? null : weights[k];
    e.classList.toggle('unseen', w === null);
    e.classList.toggle('chosen', i === t.at + 1);
    colour(e, w || 0, most, 'var(--s1)', w === null ? `${named(inputs[i])}: not seen here` : `${named(inputs[i])}: ${num(w)}`);
  });
  const order = weights.map((w, i) => [w, i + t.first]).sort((a, b) => b[0] - a[0]).slice(0, 5);
  by('attended-most').replaceChildren(...order.map(([w, i]) => bar(`${named(inputs[i])}  ${i === t.at ? 'now' : `${t.at - i} back`}`, w, num(w))));
  paintHead(by('head-map'), head);
}
for (const k of heads) {
  const b = el('button', { type: 'button' }, el('canvas', { role: 'img', 'aria-label': headName(k) }), headName(k));
  b.addEventListener('click', () => { head = k; drawAttention(); });
  by('heads').append(b);
}
if (heads.length) by('head-map').addEventListener('click', e => {
  const { rows } = windowOf(chosen);
  choose(rows[limit(ratio(by('head-map'), e)[1], rows.length)]);
});

// ------------------------------------------------------------------------------------------------ units

let unitsOf, unitTokens;
const sameLayer = () => units.filter(k => parts[k].layer === parts[part].layer);
const whatIs = { i: 'input gate', f: 'forget gate', g: 'candidate', o: 'output gate', c: 'cells', h: 'output', features: 'features' };
const partName = k => `${parts[k].name}${whatIs[parts[k].name] && whatIs[parts[k].name] !== parts[k].name ? ', ' + whatIs[parts[k].name] : ''}`;
const largest = (rows, k) => Math.max(...rows.map(r => Math.max(...tokens[r].parts[k].map(size))));
function drawUnits() {
  if (!units.length) return;
  const rows = sequenceOf(chosen), layer = parts[part].layer;
  if (unitsOf !== `${tokens[chosen].sequence} ${layer}`) {
    unitsOf = `${tokens[chosen].sequence} ${layer}`;
    by('by-unit').replaceChildren();
    unitTokens = spans(by('by-unit'), rows.map(r => ({ text: look.inputs[tokens[r].sequence][tokens[r].at], click: () => choose(r) })));
    by('maps').replaceChildren(...sameLayer().map(k => {
      const canvas = el('canvas', { role: 'img', 'aria-label': partName(k) });
      canvas.addEventListener('click', e => {
        const [c, r] = ratio(canvas, e);
        part = k;
        unit = limit(r, parts[k].units);
        choose(rows[limit(c, rows.length)]);
      });
      const figure = el('figure', { 'data-part': k }, el('figcaption', {}, partName(k)), canvas);
      paint(canvas, parts[k].units, rows.length, (r, c) => tokens[rows[c]].parts[k][r], largest(rows, k));
      return figure;
    }));
  }
  document.querySelectorAll('#layers button').forEach(b => b.classList.toggle('chosen', Number(b.dataset.layer) === layer));
  document.querySelectorAll('#maps figure').forEach(f => f.classList.toggle('chosen', Number(f.dataset.part) === part));
  by('unit-name').textContent = `Unit ${unit + 1} of ${parts[part].units}: ${partName(part)}, after each token`;
  const values = rows.map(r => tokens[r].parts[part][unit]), most = Math.max(...values.map(size));
  unitTokens.forEach((e, i) => {
    e.classList.toggle('chosen', rows[i] === chosen);
    colour(e, values[i], most, hue(values[i]), num(values[i]));
  });
  by('unit-numbers').replaceChildren(...sameLayer().map(k => el('span', { 'data-part': k }, `${parts[k].name} = ${num(tokens[chosen].parts[k][unit])}`)));
}
const layers = [...new Set(units.map(k => parts[k].layer))];
if (layers.length > 1) for (const layer of layers) {
  const b = el('button', { type: 'button', 'data-layer': layer }, `layer ${layer}`);
  b.addEventListener('click', () => { part = units.find(k => parts[k].layer === layer && parts[k].name === parts[part].name); drawUnits(); });
  by('layers').append(b);
}

// ------------------------------------------------------------------------------------------------ token vectors

const present = new Set(tokens.map(t => t.text));
let planeNames = [];
function drawPlane() {
  const points = look.embeddings.tokens, box = by('plane');
  if (!box) return;
  const xs = points.map(p => p.x), ys = points.map(p => p.y);
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const place = (x, from, to) => `${(4 + 92 * (to !== from ? (x - from) / (to - from) : .5)).toFixed(2)}%`;  // y: from high to low
  const svg = el('svg', { role: 'img', 'aria-label': 'token vectors in two dimensions' });
  if (left < 0 && right > 0) svg.append(el('line', { class: 'zero', x1: place(0, left, right), x2: place(0, left, right), y1: '0', y2: '100%' }));
  if (low < 0 && high > 0) svg.append(el('line', { class: 'zero', x1: '0', x2: '100%', y1: place(0, high, low), y2: place(0, high, low) }));
  planeNames = points.map(p => {
    const name = el('text', { class: 'name' + (present.has(p.text) ? '' : ' absent'), x: place(p.x, left, right), y: place(p.y, high, low), dy: 4 },
      named(p.text), el('title', {}, `${named(p.text)}: ${num(p.x)}, ${num(p.y)}`));
    svg.append(name);
    return name;
  });
  box.replaceChildren(svg);
  const [a, b] = look.embeddings.share;
  by('share').textContent = `The two directions in which the vectors differ most (principal components) hold ${num(100 * a, 3)}% and ${num(100 * b, 3)}% of their variance. Tokens of the text are dark.`;
}
function markPlane() {
  look.embeddings.tokens.forEach((p, i) => planeNames[i] && planeNames[i].classList.toggle('chosen', p.text === tokens[chosen].text));
}

// ------------------------------------------------------------------------------------------------ moving

function choose(i) {
  chosen = limit(i, tokens.length);
  document.body.dataset.place = chosen;
  drawPlace();
  drawAttention();
  drawUnits();
  markPlane();
}
const keys = { ArrowRight: () => choose(chosen + 1), ArrowLeft: () => choose(chosen - 1), Home: () => choose(0), End: () => choose(tokens.length - 1),
  h: () => { if (heads.length) { head = heads[(heads.indexOf(head) + 1) % heads.length]; drawAttention(); } } };
document.addEventListener('keydown', e => {
  if (e.ctrlKey || e.altKey || e.metaKey || !keys[e.key]) return;
  e.preventDefault();
  keys[e.key]();
});
by('next').addEventListener('click', () => choose(chosen + 1));
by('back').addEventListener('click', () => choose(chosen - 1));
// Canvases have the colours of the setting in which they were painted.
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { attendedOf = unitsOf = undefined; choose(chosen); });
drawPlane();
choose(0);

'use strict';
// The bar above the panels: what the curves show, and the step at which all of them are read. A pointer on a plot chooses
// the step too.
const atlas = JSON.parse(document.getElementById('data').textContent);
const slider = document.getElementById('point');
const buttons = [...document.querySelectorAll('#bar button')];
const measures = buttons.map(b => b.dataset.field);
const last = atlas.steps[atlas.steps.length - 1];
let measure = 0;

const num = x => typeof x === 'string' ? x : x === 0 ? '0' : Math.abs(x) >= 1e-4 && Math.abs(x) < 1e3
  ? String(Number(x.toPrecision(3))) : Number(x.toPrecision(3)).toExponential().replace(/e([+-])(\d)$/, 'e$10$2');

const panels = [...document.querySelectorAll('.panel')].map(panel => ({
  descent: atlas.targets.find(t => t.target === panel.dataset.target)
    .descents.find(d => d.divergence === panel.dataset.divergence),
  reading: panel.querySelector('.reading'),
  cursors: [...panel.querySelectorAll('.plot > svg')].map(svg => {
    const line = document.createElementNS('http://www.w3.org/2000/svg', 'line');
    for (const [name, value] of Object.entries({ class: 'cursor', y1: '0', y2: '100%' })) line.setAttribute(name, value);
    svg.append(line);
    return line;
  }),
}));

function show() {
  const point = Number(slider.value), field = measures[measure];
  const x = `${100 * atlas.steps[point] / last}%`;
  document.querySelector('main').dataset.measure = measure;
  buttons.forEach((b, m) => b.setAttribute('aria-pressed', m === measure));
  document.getElementById('step').textContent = `${atlas.steps[point]} of ${last}`;
  for (const { descent, reading, cursors } of panels) {
    reading.textContent = `plain ${num(descent.plain[field][point])}, exact ${num(descent.exact[field][point])}, sampled`
      + descent.sampled.map(run => ' ' + num(run[field][point])).join('');
    for (const line of cursors) { line.setAttribute('x1', x); line.setAttribute('x2', x); }
  }
}

// The point of the curves nearest to where a pointer is on a plot.
function choose(svg, event) {
  const at = svg.getBoundingClientRect(), step = last * (event.clientX - at.left) / at.width;
  let nearest = 0;
  atlas.steps.forEach((s, i) => { if (Math.abs(s - step) < Math.abs(atlas.steps[nearest] - step)) nearest = i; });
  slider.value = nearest;
  show();
}

buttons.forEach((b, m) => b.addEventListener('click', () => { measure = m; show(); }));
slider.addEventListener('input', show);
for (const svg of document.querySelectorAll('.panel .plot > svg'))
  for (const kind of ['pointermove', 'pointerdown']) svg.addEventListener(kind, event => choose(svg, event));
document.getElementById('bar').hidden = false;
show();

// Chromium over its debugging pipe, for tests of pages; needs nothing but node and chromium.
//   const tab = await open(CHROMIUM, 'page.html');
//   await tab.press('ArrowRight');  await tab.evaluate('document.title');  await tab.close();
'use strict';
const { spawn } = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');

async function open(chromium, page, size = { width: 1280, height: 800 }) {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'gradus-browser-'));
  const browser = spawn(chromium, ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run', '--hide-scrollbars',
    '--disable-background-networking', '--remote-debugging-pipe', '--user-data-dir=' + profile, 'about:blank'],
  { detached: true, stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });  // a group of processes, which end together
  const gone = new Promise(done => browser.on('exit', done));
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
  gone.then(() => { for (const { no } of waiting.values()) no(new Error('the browser ended')); });
  const send = (method, params = {}) => new Promise((yes, no) => {
    waiting.set(++nextId, { yes, no });
    browser.stdio[3].write(JSON.stringify({ id: nextId, method, params, sessionId: session }) + '\0');
  });
  const evaluate = async code => {
    const r = await send('Runtime.evaluate', { expression: code, returnByValue: true, awaitPromise: true });
    if (r.exceptionDetails) throw new Error(r.exceptionDetails.exception.description);
    return r.result.value;
  };
  const { targetInfos } = await send('Target.getTargets');
  session = (await send('Target.attachToTarget', { targetId: targetInfos.find(t => t.type === 'page').targetId, flatten: true })).sessionId;
  for (const domain of ['Page', 'Runtime', 'Network']) await send(domain + '.enable');
  const view = s => send('Emulation.setDeviceMetricsOverride', { ...s, deviceScaleFactor: 1, mobile: false });
  await view(size);
  await send('Page.navigate', { url: 'file://' + path.resolve(page) });
  return {
    send, evaluate, view, requests, errors,
    reload: () => send('Page.reload'),
    // Until the code gives true, for ten seconds at most.
    until: async code => { for (let i = 0; i < 100 && !await evaluate(code); ++i) await new Promise(r => setTimeout(r, 100)); },
    press: async key => {
      for (const type of ['keyDown', 'keyUp']) await send('Input.dispatchKeyEvent', { type, key, ...(key.length === 1 && type === 'keyDown' ? { text: key } : {}) });
    },
    colours: scheme => send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] }),
    // The whole page as a picture.
    shot: async file => {
      const { cssContentSize } = await send('Page.getLayoutMetrics');
      const clip = { x: 0, y: 0, width: cssContentSize.width, height: cssContentSize.height, scale: 1 };
      fs.writeFileSync(file, Buffer.from((await send('Page.captureScreenshot', { captureBeyondViewport: true, clip })).data, 'base64'));
    },
    // Whatever still writes into the profile, for the second that it is tried, may keep it.
    close: async () => {
      try { process.kill(-browser.pid, 'SIGKILL'); } catch { /* it has ended */ }
      await gone;
      try { fs.rmSync(profile, { recursive: true, force: true, maxRetries: 6, retryDelay: 50 }); } catch { /* it is in /tmp */ }
    },
  };
}
module.exports = { open };

// What the pages of Tidings do beyond being read: they are kept up to date, obey keys, and copy
// commands. All of them work without this.
const root = document.documentElement;
const main = document.getElementById('content');
const find = document.getElementById('find');
const keys = document.getElementById('keys');
const live = document.getElementById('live');
// Where the pages stand in a row, the one that is open is not left beyond the edge.
document.querySelector('.side [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });

// --- theme: light, dark, or as the system says; kept in this browser
function theme() {
  const next = { undefined: 'dark', dark: 'light', light: undefined }[root.dataset.theme];
  if (next) root.dataset.theme = next; else delete root.dataset.theme;
  try {
    if (next) localStorage.setItem('tidings-theme', next); else localStorage.removeItem('tidings-theme');
  } catch { /* not kept, then */ }
  say('Theme: ' + (next ?? 'as the system says'));
}

function say(words) {
  live.textContent = words;
  clearTimeout(say.timer);
  say.timer = setTimeout(showState, 1500);
}

// --- commands can be copied
async function copy(line, button) {
  try {
    await navigator.clipboard.writeText(line);
    if (button) button.textContent = 'copied';
  } catch {
    if (button) button.textContent = 'select it';
  }
  if (button) setTimeout(() => { button.textContent = 'copy'; }, 1500);
}

function addButtons() {
  for (const box of main.querySelectorAll('.cmd:not(:has(button))')) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = 'copy';
    button.setAttribute('aria-label', 'Copy: ' + box.firstElementChild.textContent);
    box.append(button);
  }
}
main.addEventListener('click', event => {
  const button = event.target.closest('.cmd button');
  if (button) copy(button.previousElementSibling.textContent, button);
});

// --- live: the page is asked for again, and what differs is changed in place, so that focus,
// selection and scrolling stay. One small request at a time and none while it is not looked at; no
// stream is held open, so that many tabs are no matter, and a server that comes back is just there.
let every = Number(document.body.dataset.live ?? 0);
let isPaused = false, isLost = false, wait = every;

function showState() {
  live.hidden = false;
  live.className = isLost ? 'lost' : every > 0 && !isPaused ? 'on' : '';
  live.textContent = isLost ? 'no answer; trying again' : isPaused ? 'paused' : every > 0 ? 'live' : 'not live';
}

const nameOf = node => node.nodeType === 1 ? node.id || node.dataset?.row : undefined;

function morph(old, now) {
  if (old.nodeType !== now.nodeType || old.nodeName !== now.nodeName) { old.replaceWith(now); return; }
  if (old.nodeType !== 1) { if (old.data !== now.data) old.data = now.data; return; }
  if (old.matches('textarea, input, .cmd:has(button)') && old.textContent.replace(/(copy|copied|select it)$/, '') === now.textContent) return;
  for (const { name } of [...old.attributes]) if (!now.hasAttribute(name) && name !== 'class') old.removeAttribute(name);
  for (const { name, value } of now.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  if (!now.hasAttribute('class')) for (const word of [...old.classList]) if (word !== 'here' && word !== 'fresh') old.classList.remove(word);
  children(old, now);
}

function children(old, now) {
  const byName = new Map([...old.childNodes].filter(nameOf).map(node => [nameOf(node), node]));
  let at = old.firstChild;
  for (const node of [...now.childNodes]) {
    const name = nameOf(node), known = name === undefined ? undefined : byName.get(name);
    if (known) {
      if (known !== at) old.insertBefore(known, at); else at = at.nextSibling;
      morph(known, node);
    } else if (name !== undefined || at === null || nameOf(at) !== undefined) {
      if (name !== undefined && byName.size > 0 && node.matches('tr')) node.classList.add('fresh');
      old.insertBefore(node, at);
    } else {
      const next = at.nextSibling;
      morph(at, node);
      at = next;
    }
  }
  while (at !== null) { const next = at.nextSibling; at.remove(); at = next; }
}

async function renew() {
  if (document.hidden || isPaused || every === 0) return;
  try {
    const answer = await fetch(location.href, {
      headers: { 'Tidings-Mark': document.body.dataset.mark ?? '' }, signal: AbortSignal.timeout(15000), redirect: 'error',
    });
    if (answer.status !== 204) {
      const type = answer.headers.get('content-type') ?? '';
      if (!type.startsWith('text/html')) throw new Error(type);
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const now = page.getElementById('content');
      if (!getSelection().toString()) {
        children(main, document.adoptNode(now));
        document.body.dataset.mark = page.body.dataset.mark ?? '';
        addButtons();
      }
    }
    isLost = false;
    wait = every;
  } catch {
    isLost = true;
    wait = Math.min(wait * 1.5, 10000);
  }
  if (!say.timer || isLost) showState();
}

async function keepUp() {
  await renew();
  setTimeout(keepUp, wait || 2000);
}
document.addEventListener('visibilitychange', renew);

// --- keys
const rows = () => [...main.querySelectorAll('tbody tr[data-row]')].filter(row => row.querySelector('a[href]'));

function step(by) {
  const all = rows(), here = all.findIndex(row => row.classList.contains('here'));
  const next = all[here < 0 ? (by > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, here + by))];
  if (!next) return;
  all[here]?.classList.remove('here');
  next.classList.add('here');
  next.querySelector('a[href]').focus();
  next.scrollIntoView({ block: 'nearest' });
}

function up() {
  const parts = location.pathname.split('/').filter(Boolean);
  if (location.search && parts.length < 4) location.search = '';
  else if (parts.length === 4) location.pathname = parts.slice(0, 2).join('/');
  else if (parts.length > 0) location.pathname = parts.slice(0, -1).join('/');
}

function zoom(by) {
  const sizes = [...document.querySelectorAll('#zoom a[href^="?"]')];
  const here = sizes.findIndex(link => link.hasAttribute('aria-current'));
  sizes[here + by]?.click();
}

const does = {
  '+': () => zoom(1),
  '-': () => zoom(-1),
  '?': () => keys.open ? keys.close() : keys.showModal(),
  '/': () => { find.focus(); find.select(); },
  f: () => main.querySelector('form input:not([type=hidden])')?.focus(),
  j: () => step(1),
  k: () => step(-1),
  u: up,
  '[': () => main.querySelector('a[rel=prev]')?.click(),
  ']': () => main.querySelector('a[rel=next]')?.click(),
  '.': () => { isPaused = !isPaused; showState(); renew(); },
  c: () => { const line = main.querySelector('.cmd code'); if (line) copy(line.textContent).then(() => say('copied: ' + line.textContent)); },
  y: theme,
};

let isGo = false;
document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if (event.target.matches('input, textarea, select')) {
    if (event.key === 'Escape') event.target.blur();
    return;
  }
  if (isGo) {
    isGo = false;
    const link = document.querySelector(`.side a[data-key="${CSS.escape(event.key)}"]`);
    if (link) { event.preventDefault(); link.click(); }
    return;
  }
  if (event.key === 'g') { isGo = true; setTimeout(() => { isGo = false; }, 1500); return; }
  if (Object.hasOwn(does, event.key)) { event.preventDefault(); does[event.key](); }
});

for (const [id, action] of [['theme', theme], ['help', does['?']]]) {
  const button = document.getElementById(id);
  button.hidden = false;
  button.addEventListener('click', action);
}
addButtons();
showState();
setTimeout(keepUp, wait || 2000);

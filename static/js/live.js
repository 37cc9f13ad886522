// Live parts: elements with hx-trigger="every …". They rest while the tab is hidden, ask less often
// while the portal does not answer, and the top bar says since when.
const LIVE = '[hx-trigger^="every"]';
const LONGEST_WAIT_S = 60;
const badge = document.getElementById('live');
const said = document.getElementById('live-said');
const trouble = new Map(); // address -> { fails, until }
let lastAnswer = new Date();

const clock = (moment) => moment.toISOString().slice(11, 16);
const isPoll = (ctx) => Boolean(ctx?.sourceElement?.matches?.(LIVE));

function show() {
  if (!badge) return;
  badge.hidden = !document.querySelector(LIVE);
  const isLost = trouble.size > 0;
  badge.classList.toggle('ok', !isLost);
  badge.classList.toggle('warn', isLost);
  badge.querySelector('[data-text]').textContent = isLost
    ? `Not live since ${clock(lastAnswer)} UTC`
    : `Live, ${clock(lastAnswer)} UTC`;
  const words = isLost ? 'The portal does not answer; what is shown may be old. Trying again.' : '';
  if (said.textContent !== words) said.textContent = words;
}

function failed(ctx, retryAfter) {
  const address = ctx.sourceElement.getAttribute('hx-get');
  const fails = (trouble.get(address)?.fails ?? 0) + 1;
  const wait = Number(retryAfter) || Math.min(LONGEST_WAIT_S, 2 ** fails);
  trouble.set(address, { fails, until: Date.now() + wait * 1000 });
  show();
}

function answered(ctx) {
  trouble.delete(ctx.sourceElement.getAttribute('hx-get'));
  lastAnswer = new Date();
  show();
}

// What was asked for was refused or broke: say it where it was asked, and change nothing else.
function refuse(text) {
  const note = document.getElementById('refused');
  note.querySelector('div').textContent = text;
  note.hidden = false;
  note.scrollIntoView({ block: 'nearest' });
}

function reasonIn(html) {
  const page = new DOMParser().parseFromString(html, 'text/html');
  const words = [...page.querySelectorAll('[data-said]')].map((each) => each.textContent.trim());
  return words.filter(Boolean).join(' ') || 'That did not work. Reload the page to see how things stand.';
}

document.addEventListener('htmx:before:request', (event) => {
  const { ctx } = event.detail;
  if (!isPoll(ctx)) return;
  const until = trouble.get(ctx.sourceElement.getAttribute('hx-get'))?.until ?? 0;
  if (document.hidden || Date.now() < until) event.preventDefault();
});

// Signed out meanwhile: the answer is the sign-in page, which belongs in no part of this one.
document.addEventListener('htmx:before:response', (event) => {
  const { raw, status } = event.detail.ctx.response;
  const isSignIn = raw.redirected && new URL(raw.url).pathname.startsWith('/account/');
  if (!isSignIn && status !== 401) return;
  event.preventDefault();
  window.location.reload();
});

document.addEventListener('htmx:after:request', (event) => {
  const { ctx } = event.detail;
  const { status, headers } = ctx.response;
  if (isPoll(ctx)) {
    if (status < 400) answered(ctx);
    else failed(ctx, headers.get('Retry-After'));
  } else if (status >= 400) refuse(reasonIn(ctx.text));
  else document.getElementById('refused').hidden = true;
});

document.addEventListener('htmx:error', (event) => {
  const { ctx } = event.detail;
  if (!ctx?.sourceElement) return;
  if (isPoll(ctx)) failed(ctx);
  else refuse('The portal does not answer. Check the connection and try again.');
});

document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  for (const part of document.querySelectorAll(LIVE)) part.dispatchEvent(new CustomEvent('every'));
});

// Relative times go on counting, in the server's words (templatetags/portolan.py: `when`).
const SPANS = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
function ago(seconds) {
  if (Math.abs(seconds) < 5) return 'just now';
  const [size, unit] = SPANS.find(([each]) => Math.abs(seconds) >= each);
  const span = `${Math.floor(Math.abs(seconds) / size)} ${unit}`;
  return seconds > 0 ? `${span} ago` : `in ${span}`;
}
function count() {
  for (const time of document.querySelectorAll('time[data-ago]')) {
    const words = ago((Date.now() - Date.parse(time.dateTime)) / 1000);
    if (time.textContent !== words) time.textContent = words;
  }
}
setInterval(() => { if (!document.hidden) count(); }, 10000);

// A log follows its end until somebody scrolls up to read, or says so with the button.
for (const button of document.querySelectorAll('[data-follow]')) {
  const log = document.getElementById(button.dataset.follow);
  const follow = (does) => {
    button.setAttribute('aria-pressed', String(does));
    if (does) log.scrollTop = log.scrollHeight;
  };
  const follows = () => button.getAttribute('aria-pressed') === 'true';
  button.hidden = false;
  button.addEventListener('click', () => follow(!follows()));
  log.addEventListener('scroll', () => {
    const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
    if (follows() !== isAtEnd) button.setAttribute('aria-pressed', String(isAtEnd));
  });
  new MutationObserver(() => { if (follows()) log.scrollTop = log.scrollHeight; })
    .observe(log, { childList: true, subtree: true, characterData: true });
  follow(true);
}

document.addEventListener('htmx:after:swap', show);
show();

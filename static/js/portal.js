/* Small behaviour of every page. Nothing here is needed to read or send anything. */
'use strict';

// Theme: system, light or dark, kept in a cookie so that the server paints it from the start.
const root = document.documentElement;
const THEMES = ['system', 'light', 'dark'];
const themeButton = document.querySelector('[data-theme-toggle]');
const nameTheme = () => {
  const now = root.dataset.theme || 'system';
  const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
  themeButton.setAttribute('aria-label', `Theme: ${now}. Switch to ${next}`);
  themeButton.title = themeButton.getAttribute('aria-label');
  return next;
};
if (themeButton) {
  nameTheme();
  themeButton.addEventListener('click', () => {
    const next = nameTheme();
    root.dataset.theme = next;
    document.cookie = `portolan_theme=${next};path=/;max-age=31536000;samesite=lax`;
    nameTheme();
  });
}

// Polling rests while nobody looks, and catches up when they look again.
document.addEventListener('htmx:before:request', (event) => {
  const source = event.detail?.ctx?.sourceElement;
  const polls = source?.getAttribute('hx-trigger')?.startsWith('every');
  if (polls && document.hidden) event.preventDefault();
});
// Signed out meanwhile: the page says so, instead of pretending to be live.
document.addEventListener('htmx:after:request', (event) => {
  if (event.detail?.ctx?.response?.status === 401) window.location.reload();
});

// Copy buttons.
document.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-copy]');
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
  const said = button.querySelector('[data-said]') || button;
  const before = said.textContent;
  said.textContent = 'Copied';
  setTimeout(() => { said.textContent = before; }, 1500);
});

// What cannot be undone is asked about; without script the server asks nothing more than the button.
document.addEventListener('submit', (event) => {
  const question = event.submitter?.dataset.confirm || event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
}, true);

// A role chosen in a list is sent at once.
document.addEventListener('change', (event) => {
  if (event.target.matches('[data-send]')) event.target.form.requestSubmit();
});

// The log follows its end, unless somebody has scrolled up to read.
const log = document.querySelector('[data-follow]');
if (log) {
  let follows = true;
  log.addEventListener('scroll', () => {
    follows = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  });
  new MutationObserver(() => { if (follows) log.scrollTop = log.scrollHeight; })
    .observe(log, { childList: true, characterData: true });
}

// Keys: / goes to the filter.
document.addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.target.closest('input, textarea, select')) return;
  const filter = document.querySelector('.p-filter input');
  if (filter) { event.preventDefault(); filter.focus(); }
});

// Times are written in the reader's zone, exact on hover.
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'long' });
const showTimes = (within) => {
  for (const time of within.querySelectorAll('time[datetime]')) time.title = exact.format(new Date(time.dateTime));
};
showTimes(document);
document.addEventListener('htmx:after:swap', () => showTimes(document));

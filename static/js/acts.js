// Acts: copying, asking before what cannot be undone, sending a choice at once, keys.
const $ = (id) => document.getElementById(id);

// Copy buttons. Without a secure context there is no clipboard: the text is selected instead.
async function copy(button) {
  const source = $(button.dataset.copy);
  const word = button.querySelector('[data-said]') || button;
  const before = word.textContent;
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    word.textContent = 'Copied';
  } catch {
    window.getSelection().selectAllChildren(source);
    word.textContent = 'Selected: press Ctrl C';
  }
  setTimeout(() => { word.textContent = before; }, 2000);
}
for (const button of document.querySelectorAll('[data-copy]')) button.hidden = false;

document.addEventListener('click', (event) => {
  const button = event.target.closest('[data-copy]');
  if (button) copy(button);
  const opener = event.target.closest('[data-open]');
  if (opener) $(opener.dataset.open).showModal();
});
for (const button of document.querySelectorAll('[data-open]')) button.hidden = false;

// What cannot be undone is asked about, in a dialog whose button says the same as the one pressed.
const ask = $('confirm');
let confirmed = null;
document.addEventListener('submit', (event) => {
  const { submitter, target: form } = event;
  const question = submitter?.dataset.confirm || form.dataset.confirm;
  if (!ask || !question || confirmed === form) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const yes = ask.querySelector('[data-yes]');
  $('confirm-text').textContent = question;
  yes.textContent = submitter?.textContent.trim() || 'Yes';
  yes.className = submitter?.classList.contains('btn-danger') ? 'btn btn-danger' : 'btn btn-primary';
  ask.returnValue = '';
  ask.addEventListener('close', () => {
    if (ask.returnValue !== 'yes') return;
    confirmed = form;
    form.requestSubmit(submitter);
    confirmed = null;
  }, { once: true });
  ask.showModal();
}, true);

// A form that came back wrong begins at what is wrong.
document.querySelector('[data-summary]')?.focus();

// On a phone the tab of this page may lie beyond the edge.
document.querySelector('.p-tabs [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });

// Single keys. They can be switched off (WCAG 2.1.4), and rest while something is typed.
const KEYS = 'portolan.keys';
const keys = $('keys');
const isOn = () => localStorage.getItem(KEYS) !== 'off';
if (keys) {
  const box = $('keys-on');
  box.checked = isOn();
  box.addEventListener('change', () => localStorage.setItem(KEYS, box.checked ? 'on' : 'off'));
}
document.addEventListener('keydown', (event) => {
  const isTyping = event.target.closest('input, textarea, select, [contenteditable]');
  const filter = document.querySelector('.p-filter input');
  if (event.key === 'Escape' && event.target === filter) filter.blur();
  if (isTyping || !isOn() || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === '/' && filter) {
    event.preventDefault();
    filter.focus();
    filter.select();
  }
  if (event.key === '?' && keys && !document.querySelector('dialog[open]')) keys.showModal();
});

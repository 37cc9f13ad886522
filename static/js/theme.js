// Theme: system, light or dark, kept in a cookie so that the server paints it from the start.
const THEMES = ['system', 'light', 'dark'];
const root = document.documentElement;
const button = document.querySelector('[data-theme-toggle]');

const next = () => THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
const name = () => {
  button.setAttribute('aria-label', `Theme: ${root.dataset.theme}. Switch to ${next()}`);
  button.title = button.getAttribute('aria-label');
};

if (button) {
  name();
  button.hidden = false;
  button.addEventListener('click', () => {
    root.dataset.theme = next();
    const secure = window.location.protocol === 'https:' ? ';secure' : '';
    document.cookie = `portolan_theme=${root.dataset.theme};path=/;max-age=31536000;samesite=lax${secure}`;
    name();
  });
}

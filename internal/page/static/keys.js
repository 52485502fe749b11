// Keyboard shortcuts. None works while somebody types, and none changes anything.

import { byId, el } from './dom.js';

const SHORTCUTS = [
  ['/', 'Find a VIP, an address or a server'],
  ['w', 'Go to what is wrong'],
  ['p', 'Go to the picture'],
  ['t', 'Drawing or table'],
  ['a', 'All, or what needs attention'],
  ['e', 'Go to what happened'],
  ['n', 'Back to now'],
  ['Esc', 'Close what is open, or clear the search'],
  ['?', 'This list'],
];

export function listen({ closePanel, now }) {
  const other = (name) => document.querySelector(`button[data-${name}][aria-pressed="false"]`).click();
  const go = (id) => byId(id).scrollIntoView({ block: 'start' });
  const acts = {
    '/': () => byId('search').focus(),
    w: () => byId('warnings').focus(),
    p: () => go('picture-title'),
    t: () => other('view'),
    a: () => other('only'),
    e: () => go('timeline-title'),
    n: now,
    '?': help,
  };
  byId('help').addEventListener('click', help);
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
    if (event.key === 'Escape') return escape(closePanel);
    if (event.target.closest('input, select, textarea')) return;
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function escape(closePanel) {
  const search = byId('search');
  if (document.activeElement === search && search.value) {
    search.value = '';
    search.dispatchEvent(new Event('input'));
    return;
  }
  closePanel();
}

function help() {
  const opener = document.activeElement;
  const dialog = el('dialog', { class: 'wish', 'aria-labelledby': 'help-title' }, el('h2', { id: 'help-title' }, 'Keyboard shortcuts'),
    el('dl', { class: 'keys' }, SHORTCUTS.map(([key, text]) => el('div', {}, el('dt', {}, el('kbd', {}, key)), el('dd', {}, text)))),
    el('form', { method: 'dialog', class: 'acts' }, el('button', { class: 'strong' }, 'Close')));
  dialog.addEventListener('close', () => {
    dialog.remove();
    opener?.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
}

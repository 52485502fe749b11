// The dialog for an operator's token.

import * as api from './api.js';
import { byId, el, write } from './dom.js';

// askToken asks for a token, and promises whether one was given. refusal is why.
export function askToken(refusal = null) {
  const { promise, resolve } = Promise.withResolvers();
  let given = false;
  const field = el('input', { type: 'password', name: 'token', autocomplete: 'off', spellcheck: 'false', required: true, maxlength: '4096' });
  const keep = el('input', { type: 'checkbox', name: 'keep' });
  const dialog = el('dialog', { class: 'wish', 'aria-labelledby': 'sign-title' });
  const opener = document.activeElement;
  const submit = (event) => {
    event.preventDefault();
    given = true;
    api.signIn(field.value.trim(), keep.checked);
    dialog.close();
  };
  const out = api.signedIn() && el('button', { type: 'button', onclick: () => { api.signIn('', false); dialog.close(); } }, 'Forget the token');
  dialog.append(el('form', { method: 'dialog', onsubmit: submit }, el('h2', { id: 'sign-title' }, 'Token'),
    el('p', {}, refusal ? refusal.message : 'Changes need a token that the configuration names under http.tokens.'), refusal?.hint && el('p', {}, refusal.hint),
    el('label', { class: 'field' }, 'Token', field), el('label', { class: 'check' }, keep, 'Keep it until this tab is closed'),
    el('p', { class: 'fine' }, 'It stays in this page’s memory, and is sent to this controller alone.'),
    el('div', { class: 'acts' }, el('button', { type: 'submit', class: 'strong' }, 'Use it'), out, el('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel'))));
  dialog.addEventListener('close', () => {
    field.value = '';
    dialog.remove();
    showSigned();
    // The browser may have given the focus back by itself, to a field without a caret, which takes no letters.
    document.activeElement?.blur();
    if (opener?.isConnected) opener.focus();
    resolve(given);
  });
  document.body.append(dialog);
  dialog.showModal();
  field.focus();
  return promise;
}

// showSigned tells whether there is a token.
export function showSigned() {
  write(byId('sign-text'), api.signedIn() ? 'Token given' : 'Read only');
  byId('sign').classList.toggle('given', api.signedIn());
}

// The panel beside the picture: one VIP, server or router, kept fresh while it is open.
// What it shows is in the address (#vip=…), so that it can be sent to a colleague.

import { byId, el, icon, show } from './dom.js';
import { routerContent, serverContent, vipContent } from './about.js';

const CONTENT = { vip: vipContent, server: serverContent, router: routerContent };

export class Panel {
  #what = null;
  #opener = null;
  #view = null;

  constructor(tools) {
    this.root = byId('panel');
    this.tools = tools; // what contents may call
    addEventListener('hashchange', () => this.#followAddress());
  }

  // choose opens {vip}, {server} or {router}; the focus returns to opener.
  choose(what, opener = null) {
    this.#opener = opener;
    const [[kind, name]] = Object.entries(what);
    const hash = `#${kind}=${encodeURIComponent(name)}`;
    if (location.hash === hash) this.#followAddress();
    else location.hash = hash;
  }

  close() {
    if (this.root.hidden) return false;
    history.pushState(null, '', location.pathname);
    this.#followAddress();
    return true;
  }

  #followAddress() {
    const match = location.hash.match(/^#(vip|server|router)=(.+)$/);
    this.#view?.stop?.();
    this.#what = match ? [match[1], decode(match[2])] : null;
    show(this.root, Boolean(this.#what));
    document.body.classList.toggle('paneled', Boolean(this.#what));
    if (!this.#what) {
      this.#view = null;
      this.root.replaceChildren();
      if (this.#opener?.isConnected) this.#opener.focus();
      this.#opener = null;
      return;
    }
    if (this.site) this.#build();
  }

  #build() {
    const [kind, name] = this.#what;
    const title = el('h2', { id: 'panel-title', tabindex: '-1' }, name);
    const shut = el('button', { type: 'button', class: 'plain square', 'aria-label': 'Close', title: 'Close (Esc)', onclick: () => this.close() }, icon('close'));
    const body = el('div', { class: 'body' });
    this.root.replaceChildren(el('header', {}, el('p', { class: 'kind' }, { vip: 'VIP', server: 'Server', router: 'Router' }[kind]), title, shut), body);
    this.#view = CONTENT[kind](name, body, title, this.tools);
    this.#view.draw(this.site);
    this.root.scrollTop = 0;
    title.focus();
  }

  draw(site) {
    const first = !this.site;
    this.site = site;
    if (first) this.#followAddress();
    else this.#view?.draw(site);
  }
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

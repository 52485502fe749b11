// The dialog in which an operator asks for a change: it shows what would come of it
// before it is asked for, and then what did, in the controller's own words.

import * as api from './api.js';
import { attribute, el, write } from './dom.js';
import { preview } from './preview.js';
import { askToken } from './signin.js';
import { list, plural, servers as names, span } from './words.js';

const VERBS = {
  drain: { title: (o) => `Drain ${o.label}`, say: 'Its VIPs go to other servers; connections end in peace where the router can keep them.', reason: true, until: true, reboot: true, force: 'Even if a VIP is left without a server', cut: true },
  undrain: { title: (o) => `Undrain ${o.label}`, say: 'It is put back in service, and gets its traffic by the failback policy.' },
  pin: { title: (o) => `Pin ${o.label}`, say: 'Its traffic goes to one server for as long as that can carry it.', reason: true, until: true, server: true, force: 'Though it is down, and whatever becomes of it' },
  unpin: { title: (o) => `Unpin ${o.label}`, say: 'Traffic returns by the failback policy.' },
  failback: { title: (o) => (o.label ? `Fail back ${o.label}` : 'Fail back all'), say: 'Traffic goes back to better servers that are well, without waiting any longer.' },
  resume: { title: () => 'Resume', say: 'Failures that came together until now are believed, and may move traffic.' },
};

// What has just appeared has been read by nobody: a key that is held down, or pressed
// twice, confirms nothing.
const READ = 400; // ms

export class Wish {
  // verb is one of VERBS; of is {server} or {vip}, with a label; done is called after a change.
  constructor(verb, of, site, done) {
    this.verb = verb;
    this.of = of;
    this.site = site;
    this.done = done;
    this.kind = VERBS[verb];
    this.gone = new AbortController();
    this.#build();
  }

  #build() {
    const { kind } = this;
    this.preview = el('div', { class: 'preview', 'aria-live': 'polite' });
    this.go = el('button', { type: 'submit', class: 'strong' }, kind.title(this.of));
    this.cancel = el('button', { type: 'button', onclick: () => this.dialog.close() }, 'Cancel');
    this.title = el('h2', { id: 'wish-title', tabindex: '-1' }, kind.title(this.of));
    this.form = el('form', { method: 'dialog', onsubmit: (e) => this.#ask(e) }, this.title, el('p', {}, kind.say),
      kind.server && this.#servers(), el('h3', {}, 'What would happen'), this.preview,
      kind.reason && el('label', { class: 'field' }, 'Reason', el('input', { name: 'reason', maxlength: '200', placeholder: 'kernel update, ticket 1234 …', autocomplete: 'off' })),
      kind.until && this.#until(), kind.force && check('force', kind.force, () => this.#allow()), kind.cut && check('cut', 'Cut connections that are left, once routers have confirmed'),
      el('div', { class: 'acts' }, this.go, this.cancel));
    this.dialog = el('dialog', { class: 'wish', 'aria-labelledby': 'wish-title', onclose: () => this.#closed() }, this.form);
    document.body.append(this.dialog);
    this.opener = document.activeElement;
    this.dialog.showModal();
    this.#focus();
    this.#look();
  }

  // focus is on what is to be filled in, or else on the button, once that can be pressed.
  #focus() {
    const { server, reason } = this.form.elements;
    (server ?? reason ?? (this.go.disabled ? this.title : this.go)).focus();
  }

  #servers() {
    const vip = this.site.vips.find((v) => v.prefix === this.of.vip);
    const options = vip.tiers.flatMap((tier) => tier.servers.map((name) => {
      const fit = vip.eligible.includes(name) ? '' : ' – cannot carry it now';
      return el('option', { value: name, selected: vip.wanted[0] !== name && vip.eligible.includes(name) }, `${name} (${tier.name})${fit}`);
    }));
    const select = el('select', { name: 'server', onchange: () => this.#look() }, options);
    const first = options.find((option) => option.hasAttribute('selected'));
    if (first) select.value = first.value;
    return el('label', { class: 'field' }, 'To', select);
  }

  #until() {
    const choices = [['', 'I end it'], ['30', 'for 30 minutes'], ['120', 'for 2 hours'], ['480', 'for 8 hours']];
    if (this.kind.reboot) choices.push(['reboot', 'it has rebooted and is well']);
    return el('label', { class: 'field' }, 'Until', el('select', { name: 'until' }, choices.map(([value, text]) => el('option', { value }, text))));
  }

  #closed() {
    this.gone.abort();
    clearInterval(this.clock);
    this.dialog.remove();
    const opener = this.opener?.isConnected ? this.opener : document.querySelector('#panel .acts button');
    opener?.focus();
  }

  // step is the wish as a simulation takes it.
  get #step() {
    const { verb, of } = this;
    if (verb === 'pin') return `pin ${of.vip} ${this.form.elements.server.value}`;
    return [verb, of.server ?? of.vip ?? ''].join(' ').trim();
  }

  async #look() {
    this.gone.abort();
    this.gone = new AbortController();
    this.refused = false;
    delete this.form.dataset.judged;
    attribute(this.go, 'disabled', true);
    this.preview.replaceChildren(el('p', { class: 'busy' }, 'Checking the servers that would take over…'));
    try {
      const simulation = await api.simulate([this.#step], this.gone.signal);
      this.refused = simulation.steps.some((step) => step.refused.length > 0);
      this.preview.replaceChildren(...preview(simulation));
      setTimeout(() => this.#allow(), READ);
      if (document.activeElement === this.title || document.activeElement === document.body) this.#focus();
    } catch (error) {
      if (error.name === 'AbortError') return;
      if (await this.#token(error)) return this.#look();
      // What cannot be foreseen can be asked for all the same: the controller judges.
      this.preview.replaceChildren(words(error));
      if (!error.wantsToken) setTimeout(() => this.#allow(), READ);
    }
  }

  // allow lets ask for what would not be refused, or is to be forced.
  #allow() {
    attribute(this.go, 'disabled', this.refused && !this.form.elements.force?.checked);
    this.form.dataset.judged = '';
  }

  // token asks for one where it is wanted, and reports whether there is one now.
  async #token(error) {
    return error.wantsToken ? askToken(error) : false;
  }

  get #body() {
    const { verb, of, form } = this;
    const body = {};
    if (verb === 'drain' || verb === 'undrain') body.servers = [of.server];
    if (verb === 'pin' || verb === 'unpin') body.vip = of.vip;
    if (verb === 'failback') body.of = of.server || of.vip ? [of.server ?? of.vip] : [];
    if (verb === 'pin') body.server = form.elements.server.value;
    for (const name of ['force', 'cut']) if (form.elements[name]?.checked) body[name] = true;
    const reason = form.elements.reason?.value.trim();
    if (reason) body.reason = reason;
    const until = form.elements.until?.value;
    if (until === 'reboot') body.until_reboot = true;
    else if (until) body.until = new Date(Date.now() + until * 60e3).toISOString();
    return body;
  }

  async #ask(event) {
    event.preventDefault();
    const body = this.#body;
    this.#wait();
    try {
      const moved = await api.wish(this.verb, body);
      this.#tell(...outcome(moved));
      this.done();
    } catch (error) {
      clearInterval(this.clock);
      if (await this.#token(error)) return this.#again();
      this.#tell(words(error));
      this.done();
    }
  }

  // again shows the form as it was, after a token was given.
  #again() {
    this.dialog.replaceChildren(this.form);
    this.#focus();
  }

  #wait() {
    const began = Date.now();
    const text = el('p', { class: 'busy', role: 'status' }, 'Waiting for the routers to confirm…');
    this.dialog.replaceChildren(el('h2', { id: 'wish-title', tabindex: '-1' }, this.kind.title(this.of)), text);
    this.clock = setInterval(() => write(text, `Waiting for the routers to confirm… ${span(Date.now() - began)}`), 1000);
  }

  #tell(...nodes) {
    clearInterval(this.clock);
    const shut = el('button', { type: 'button', class: 'strong', onclick: () => this.dialog.close() }, 'Close');
    this.dialog.replaceChildren(el('h2', { id: 'wish-title' }, this.kind.title(this.of)), el('div', { role: 'status' }, nodes), el('div', { class: 'acts' }, shut));
    shut.focus();
  }
}

function check(name, text, changed) {
  return el('label', { class: 'check' }, el('input', { type: 'checkbox', name, onchange: changed ?? (() => {}) }), text);
}

// words are the controller's, of a refusal or failure.
function words(error) {
  return el('div', { class: 'refusal' }, el('p', {}, el('b', {}, error.message)), error.details?.length > 0 && el('ul', {}, error.details.slice(0, 12).map((text) => el('li', {}, text))), error.hint && el('p', {}, error.hint));
}

// outcome tells what a wish did: whether every router has confirmed, and what was cut.
function outcome(moved) {
  const open = moved.routers.filter((router) => !router.in_sync);
  const what = moved.unchanged ? 'It was so already; nothing changed.' : moved.vips.length === 0 ? 'Done. No traffic had to move.' : `${plural(moved.vips.reduce((sum, vip) => sum + (vip.vips || 1), 0), 'VIP')} concerned.`;
  const head = moved.confirmed ? el('p', { class: 'good' }, el('b', {}, 'Every router has confirmed. '), what)
    : el('p', { class: 'bad' }, el('b', {}, 'Accepted, but not every router has confirmed. '), what);
  const ways = Map.groupBy(moved.vips, (vip) => `${names(vip.from)} → ${names(vip.to)}`);
  return [head,
    el('ul', { class: 'moves' }, [...ways].slice(0, 10).map(([way, vips]) => el('li', {}, el('b', {}, way), ` ${list(vips.map((vip) => vip.name || vip.vip), 5)}`, el('span', { class: 'fine' }, ` ${vips[0].reason}`)))),
    ...open.map((router) => el('p', { class: 'bad' }, `${router.name}: ${router.error || 'not confirmed yet'}`)),
    ...moved.cut.map((text) => el('p', { class: 'bad' }, `Connections were cut. ${text}`))];
}


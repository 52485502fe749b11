// The top of the page: is all well, and if not, what is the matter.

import { attribute, byId, el, keyed, reshape, show, write } from './dom.js';
import { verdict } from './state.js';
import { list, plural } from './words.js';

const FEW = 5; // warnings that are shown at once
const TITLES = { trouble: 'Trouble', note: 'Well, with notes', well: 'All is well', start: 'Finding out' };
const QUIET = 4000; // ms between words to who listens

export class Headline {
  #all = false;
  #said = '';
  #timer = 0;

  // wish is called with what an operator asks for.
  constructor(wish) {
    for (const verb of ['resume', 'failback']) byId(verb).addEventListener('click', () => wish(verb));
    byId('more-warnings').addEventListener('click', () => {
      this.#all = !this.#all;
      this.#warn(this.warnings);
    });
  }

  draw(site, past) {
    const v = verdict(site);
    const { status } = site;
    document.body.dataset.verdict = v.kind;
    reshape(byId('verdict-icon'), v.kind);
    write(byId('headline'), titleOf(v));
    const parts = [...further(v).map((part) => [part, v.kind]), ...v.notes.map((part) => [part, 'note'])];
    keyed(byId('parts'), parts, ([part]) => part.what ?? part.text, () => el('li'), (li, [part, kind]) => {
      write(li, textOf(part));
      attribute(li, 'class', kind);
    });
    write(byId('census'), census(site));
    write(byId('file'), status.config.file);
    document.title = `${v.kind === 'well' ? '' : v.kind === 'trouble' ? '▲ ' : '· '}${titleOf(v)} – routesteer`;
    show(byId('resume'), Boolean(status.frozen));
    show(byId('failback'), site.vips.some((vip) => vip.state === 'waiting'));
    this.#warn(past ? [] : [...status.warnings, ...refused(status)]);
    if (!past) this.#say(v);
  }

  #warn(warnings) {
    this.warnings = warnings;
    const shown = this.#all ? warnings : warnings.slice(0, FEW);
    keyed(byId('warnings'), shown, (text) => text, (text) => el('li', {}, text), () => {});
    show(byId('warnings'), warnings.length > 0);
    const button = byId('more-warnings');
    show(button, warnings.length > FEW);
    write(button, this.#all ? 'Show fewer' : `Show all ${warnings.length} warnings`);
    attribute(button, 'aria-expanded', String(this.#all));
  }

  // say tells a screen reader when the verdict is another one, once for a while.
  #say(v) {
    const text = [titleOf(v), ...further(v).map(textOf)].join('; ');
    if (text === this.#said) return;
    const first = this.#said === '';
    this.#said = text;
    clearTimeout(this.#timer);
    if (!first) this.#timer = setTimeout(() => write(byId('urgent'), text), QUIET / 4);
  }
}

// titleOf leads with the most urgent thing.
function titleOf(v) {
  if (v.kind === 'trouble') return capital(textOf(v.parts[0]));
  return TITLES[v.kind];
}

// further are the parts that the title does not tell.
const further = (v) => (v.kind === 'trouble' ? v.parts.slice(1) : v.parts);

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const textOf = (part) => part.text ?? (part.what === 'in transition' ? `${plural(part.n, part.noun)} ${part.what}` : `${plural(part.n, part.noun)} ${part.what}: ${list(part.names)}`);

function census(site) {
  const up = [...site.servers.values()].filter((s) => s.health === 'up').length;
  const synced = [...site.routers.values()].filter((r) => r.state === 'well').length;
  const vips = site.vips.reduce((sum, vip) => sum + vip.count, 0);
  const served = site.vips.reduce((sum, vip) => sum + (vip.state === 'unserved' || vip.wanted.length === 0 ? 0 : vip.count), 0);
  return `${up} of ${plural(site.servers.size, 'server')} up · ${served === vips ? plural(vips, 'VIP') : `${served} of ${plural(vips, 'VIP')}`} served · ${synced} of ${plural(site.routers.size, 'router')} in sync · version ${site.status.version}`;
}

// refused are the problems of a file that was not loaded.
const refused = ({ config }) => (config.failed ? config.problems.slice(1) : []);

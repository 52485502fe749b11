// The picture of the site: what of it is shown, as a drawing or as a table.

import { attribute, byId, el, keyed, show, write } from './dom.js';
import { Drawing } from './drawing.js';
import { foldServers, matcher, rows as rowsOf } from './flows.js';
import { Table } from './table.js';
import { plural } from './words.js';

export class Picture {
  #open = new Set(); // groups shown one by one
  #only = 'all';
  #view = 'drawing';
  #site = null;

  constructor(choose) {
    this.drawing = new Drawing(byId('drawing'), byId('legend'), (what, from) => (what.group ? this.#unfold(what.group) : choose(what, from)));
    this.table = new Table(byId('table'), choose);
    byId('by').addEventListener('change', () => this.redraw());
    byId('lens').addEventListener('change', () => this.redraw());
    byId('search').addEventListener('input', () => this.redraw());
    this.#choices('only', (value) => (this.#only = value));
    this.#choices('view', (value) => (this.#view = value));
    new ResizeObserver(() => this.redraw()).observe(byId('drawing'));
  }

  // choices are buttons of which one is pressed.
  #choices(name, set) {
    const buttons = [...document.querySelectorAll(`button[data-${name}]`)];
    for (const button of buttons) {
      button.addEventListener('click', () => {
        for (const other of buttons) attribute(other, 'aria-pressed', String(other === button));
        set(button.dataset[name]);
        this.redraw();
      });
    }
  }

  #unfold(group) {
    if (!this.#open.delete(group)) this.#open.add(group);
    this.redraw();
  }

  // lookAt shows the picture as one router routes.
  lookAt(router) {
    byId('lens').value = router;
    this.redraw();
  }

  draw(site) {
    this.#site = site;
    keyed(byId('lens'), ['', ...site.routers.keys()], (name) => name, (name) => el('option', { value: name }, name || 'all routers'), () => {});
    write(byId('attention'), String(site.vips.filter((vip) => vip.state !== 'well').length));
    this.redraw();
  }

  redraw() {
    const site = this.#site;
    if (!site) return;
    const found = matcher(byId('search').value);
    const troubled = this.#only === 'attention' ? (vip) => vip.state !== 'well' : null;
    const only = found || troubled ? (vip) => (!found || found(vip)) && (!troubled || troubled(vip)) : null;
    const drawn = this.#view === 'drawing';
    show(byId('drawing'), drawn);
    show(byId('legend'), drawn);
    show(byId('table'), !drawn);
    if (drawn) this.#draw(site, only);
    else this.table.draw(site, only ? site.vips.filter(only) : site.vips);
    this.#tell(site, only);
  }

  #draw(site, only) {
    const router = byId('lens').value;
    const by = byId('by').value;
    const found = rowsOf(site, { by, open: this.#open, router, only });
    this.left = found.left;
    const shown = this.#servers(site, found.rows, only);
    const { rows, servers } = by === 'auto' ? foldServers(shown, found.rows, this.#open) : { rows: found.rows, servers: shown };
    this.drawing.draw(site, rows, { router, servers });
  }

  // servers are all, or of a part of the VIPs those that have to do with them.
  #servers(site, rows, only) {
    const all = [...site.servers.values()];
    if (!only) return all;
    const met = new Set(rows.flatMap((row) => row.flows.map((flow) => flow.to)));
    return all.filter((server) => met.has(server.name) || (this.#only === 'attention' && server.state !== 'well'));
  }

  #tell(site, only) {
    const text = only ? `${plural(site.vips.filter(only).length, 'VIP')} of ${site.vips.length} shown` : '';
    const left = this.#view === 'drawing' && this.left ? `${text ? '; ' : ''}${this.left} more than are drawn: group them, or search` : '';
    write(byId('found'), text + left);
  }
}


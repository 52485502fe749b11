// The same as the drawing, as tables: for screen readers, and for who likes rows.

import { attribute, el, icon, keyed, reshape, show, write } from './dom.js';
import { routerWords, serverWords, vipWords } from './state.js';
import { ago, number, plural, servers as names, vipName } from './words.js';

const PAGE = 200; // rows that are shown at once

export class Table {
  #most = PAGE;

  constructor(root, choose) {
    this.choose = choose;
    this.vips = table('VIPs', ['VIP', 'State', 'Wanted on', 'Routed to', 'Why', 'Since']);
    this.servers = table('Servers', ['Server', 'State', 'VIPs', 'Address', 'What is known']);
    this.routers = table('Routers', ['Router', 'State', 'Routes', 'Driver', 'What is known']);
    this.more = el('button', { type: 'button', class: 'plain', onclick: () => this.#grow() });
    root.append(this.vips.root, this.more, this.servers.root, this.routers.root);
  }

  #grow() {
    this.#most += 5 * PAGE;
    this.draw(this.site, this.shown);
  }

  draw(site, vips) {
    this.site = site;
    this.shown = vips;
    const shown = vips.slice(0, this.#most);
    this.#fill(this.vips, shown, (vip) => vip.prefix, (vip) => ({ vip: vip.prefix }), (vip) => [
      [vip.state, vip.name ? `${vip.name} (${vip.prefix})` : vip.prefix, vip.count > 1 ? ` and ${number(vip.count - 1)} more` : ''],
      vipWords[vip.state] + (vip.pin && vip.state !== 'pinned' ? ', pinned' : ''), names(vip.wanted), routed(vip), vip.why, ago(vip.since, site.now),
    ]);
    show(this.more, vips.length > shown.length);
    write(this.more, `Show more of ${plural(vips.length, 'VIP')}`);
    this.#fill(this.servers, [...site.servers.values()], (s) => s.name, (s) => ({ server: s.name }), (s) => [
      [s.state, s.name, ''], serverWords[s.state], number(s.load), s.addresses.join(', '), about(s),
    ]);
    this.#fill(this.routers, [...site.routers.values()], (r) => r.name, (r) => ({ router: r.name }), (r) => [
      [r.state, r.name, ''], routerWords[r.state], number(r.routes), r.driver, r.error || [...r.problems, ...r.foreign].join('; '),
    ]);
  }

  #fill({ body }, items, key, what, cells) {
    keyed(body, items, key, (item) => this.#row(what(item), cells(item).length), (row, item) => {
      const [[state, name, more], ...rest] = cells(item);
      const [button] = row.firstChild.children;
      attribute(row, 'class', state);
      reshape(button.firstChild, state);
      write(button.lastChild, name);
      write(row.firstChild.lastChild, more);
      rest.forEach((text, i) => write(row.children[i + 1], text));
    });
  }

  #row(what, width) {
    const button = el('button', { type: 'button', class: 'plain name' }, icon('well'), el('span'));
    button.addEventListener('click', () => this.choose(what, button));
    return el('tr', {}, el('th', { scope: 'row' }, button, el('span')), ...Array.from({ length: width - 1 }, () => el('td')));
  }
}

function table(caption, titles) {
  const body = el('tbody');
  const head = el('thead', {}, el('tr', {}, titles.map((title) => el('th', { scope: 'col' }, title))));
  return { body, root: el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': `Table of ${caption}` }, el('table', {}, el('caption', {}, caption), head, body)) };
}

// routed says where routers send a VIP: once, if all do the same.
function routed(vip) {
  const to = (route) => (route.servers.length ? route.servers.join(', ') : route.next_hops.join(', ') || 'no route') + (route.foreign ? ' (foreign)' : '');
  const places = new Set(vip.routes.map(to));
  if (places.size === 1) return [...places][0];
  return vip.routes.map((route) => `${route.router}: ${to(route)}`).join('; ');
}

function about(server) {
  const { admin } = server;
  const words = [];
  if (admin.state !== 'ready') words.push(`${admin.state}${admin.by ? ` by ${admin.by}` : ''}${admin.reason ? `: ${admin.reason}` : ''}`);
  if (server.why) words.push(server.why);
  if (server.echo !== 'answers' && server.echo !== 'off') words.push(`echo: ${server.echo}`);
  return words.join('; ');
}

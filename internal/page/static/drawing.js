// The drawing: routers, VIPs and servers as buttons in three columns, and ribbons
// between them. Elements are kept and moved, never drawn anew.

import { attribute, el, icon, keyed, reshape, svg, write } from './dom.js';
import { ELSEWHERE } from './flows.js';
import { layout } from './layout.js';
import { routerWords, serverWords, vipWords } from './state.js';
import { number, plural, servers as serverNames, vipName } from './words.js';

// Ribbons of these kinds are told in the legend, as they are drawn.
const LEGEND = [
  ['well', 'as it should be'],
  ['failover', 'failed over'],
  ['drained', 'drained away'],
  ['held', 'held back by a guard'],
  ['pinned', 'pinned by an operator'],
  ['waiting', 'waits to go back'],
  ['leaving', 'old connections that are ending'],
  ['wanted', 'wanted, and not routed yet'],
  ['astray', 'routed elsewhere than wanted'],
  ['lost', 'to a server that cannot carry it'],
];

export class Drawing {
  // open is called with what is chosen: {vip}, {server}, {router} or {group}.
  constructor(root, legend, open) {
    this.root = root;
    this.legend = legend;
    this.open = open;
    this.ribbons = svg('g', {});
    this.labels = svg('g', { class: 'labels' });
    this.bar = svg('line', { class: 'bus' });
    this.canvas = svg('svg', { class: 'ribbons', 'aria-hidden': 'true' }, this.bar, this.ribbons, this.labels);
    this.columns = ['routers', 'vips', 'servers'].map((name) => el('ul', { class: `nodes ${name}` }));
    const titled = this.columns.map((list, i) => el('div', { class: 'column' }, el('h3', { class: 'visually-hidden' }, ['Routers', 'VIPs', 'Servers'][i]), list));
    root.append(this.canvas, ...titled);
    for (const type of ['pointerover', 'focusin']) root.addEventListener(type, (e) => this.#light(e.target.closest('.node')));
    for (const type of ['pointerleave', 'focusout']) root.addEventListener(type, () => this.#light(null));
  }

  draw(site, rows, options) {
    const width = this.root.clientWidth;
    if (width === 0) return;
    const l = layout(site, rows, { ...options, width });
    this.root.style.height = `${l.height}px`;
    this.#bus(l.bus);
    keyed(this.ribbons, l.ribbons, (r) => r.key, makeRibbon, updateRibbon);
    keyed(this.labels, l.ribbons.filter((r) => r.kind === 'leaving' && r.n > 0), (r) => r.key, () => svg('text', {}), updateLabel);
    const node = (choose) => () => this.#node(choose);
    keyed(this.columns[0], l.routers, (r) => r.id, node((item) => ({ router: item.id })), updateRouter);
    keyed(this.columns[1], l.rows, (r) => r.key, node(chooseRow), updateRow);
    keyed(this.columns[2], l.servers, (s) => s.id, node((item) => (item.server?.rest ? { group: item.id } : item.server && { server: item.id })), updateServer);
    this.#tellKinds(new Set(l.ribbons.map((r) => r.kind)));
  }

  #bus(bar) {
    attribute(this.bar, 'visibility', bar ? null : 'hidden');
    if (!bar) return;
    for (const [name, value] of [['x1', bar.x], ['x2', bar.x], ['y1', bar.y], ['y2', bar.end]]) attribute(this.bar, name, value);
  }

  #node(choose) {
    const button = el('button', { type: 'button', class: 'node' }, icon('well'), el('span', { class: 'title' }), el('span', { class: 'note' }), el('span', { class: 'figure' }));
    const item = el('li', {}, button);
    button.addEventListener('click', () => {
      const what = choose(item.item);
      if (what) this.open(what, button);
    });
    return item;
  }

  // light lets what belongs to a node stand out.
  #light(node) {
    const id = node?.closest('li').item?.light ?? null;
    if (id === this.lit) return;
    this.lit = id;
    this.root.classList.toggle('lit', id !== null);
    for (const path of this.ribbons.children) path.classList.toggle('on', id !== null && path.ends.includes(id));
  }

  #tellKinds(kinds) {
    const told = LEGEND.filter(([kind]) => kinds.has(kind));
    keyed(this.legend, told.length > 1 || !kinds.has('well') ? told : [], ([kind]) => kind, ([kind, text]) => {
      const sample = svg('svg', { class: 'sample', viewBox: '0 0 30 12', 'aria-hidden': 'true' });
      sample.append(paint(svg('path', { class: `ribbon ${kind}`, d: kind === 'leaving' ? 'M0 6L30 6' : 'M0 1L30 1L30 11L0 11Z' }), kind));
      return el('li', {}, sample, text);
    }, () => {});
  }
}

// Kinds that have a pattern are told apart without colours.
const PATTERNS = new Set(['failover', 'drained', 'held', 'waiting', 'astray', 'lost', 'pinned']);

function paint(path, kind) {
  path.style.fill = PATTERNS.has(kind) ? `url(#p-${kind})` : '';
  return path;
}

function makeRibbon() {
  return svg('path', {});
}

const CAN_MOVE = CSS.supports('d', 'path("M0 0")');

function updateRibbon(path, ribbon) {
  path.ends = ribbon.ends;
  const lit = path.classList.contains('on') ? ' on' : '';
  attribute(path, 'class', `ribbon ${ribbon.kind}${lit}`);
  paint(path, ribbon.kind);
  if (path.way === ribbon.path) return;
  path.way = ribbon.path;
  attribute(path, 'd', ribbon.path);
  if (CAN_MOVE) path.style.setProperty('d', `path("${ribbon.path}")`); // moves there, as drawing.css says
}

function updateLabel(text, ribbon) {
  attribute(text, 'x', ribbon.label[0]);
  attribute(text, 'y', ribbon.label[1]);
  write(text, `${number(ribbon.n)} left`);
}

function place(li, { x, y, w, h }) {
  const box = `${x} ${y} ${w} ${h}`;
  if (li.box === box) return;
  li.box = box;
  li.style.transform = `translate(${x}px, ${Math.round(y)}px)`;
  li.style.width = `${w}px`;
  li.style.height = `${Math.round(h)}px`;
}

// put writes a node: what it is, how it is, and a figure.
function put(li, item, { light, shape, state, title, note, figure = '', label, extra = '' }) {
  li.item = { ...item, light };
  place(li, item);
  const [button] = li.children;
  const [symbol, name, words, count] = button.children;
  reshape(symbol, shape ?? state);
  attribute(button, 'class', `node ${state} ${item.h < 40 ? 'flat' : ''} ${extra}`.trim());
  attribute(button, 'aria-label', label);
  write(name, title);
  write(words, note);
  write(count, figure);
  attribute(button, 'title', item.w < 160 || item.h < 40 ? label : null);
}

function updateRouter(li, item) {
  const { router } = item;
  const note = router.state === 'well' ? `${router.driver} · in sync` : routerWords[router.state];
  put(li, item, { light: `r:${item.id}`, state: router.state, title: router.name, note, label: `Router ${router.name}, ${router.driver}: ${routerWords[router.state]}, ${plural(router.routes, 'route')}` });
}

const chooseRow = (row) => (row.group ? { group: row.group } : { vip: row.vip.prefix });

function updateRow(li, row) {
  if (row.group) return updateGroup(li, row);
  const { vip } = row;
  const where = serverNames(vip.wanted);
  const note = vip.state === 'well' ? (vip.name ? vip.prefix : '') : vipWords[vip.state];
  const pinned = vip.pin && vip.state !== 'pinned' ? ', pinned' : '';
  put(li, row, {
    light: row.key, state: vip.state, title: vipName(vip), note, figure: vip.count > 1 ? `×${number(vip.count)}` : '', extra: row.inside ? 'inside' : '',
    label: `VIP ${vipName(vip)}, ${vip.prefix}: ${vipWords[vip.state]}${pinned}, wanted on ${where}: ${vip.why}`,
  });
}

function updateGroup(li, row) {
  const states = Object.entries(row.states).filter(([state]) => state !== 'well');
  const note = states.length ? states.map(([state, n]) => `${number(n)} ${vipWords[state]}`).join(', ') : 'all well';
  put(li, row, {
    light: row.key, shape: row.opened ? 'opened' : row.state === 'well' ? 'closed' : row.state, state: row.state, title: row.title, note, figure: number(row.count), extra: 'group',
    label: `${row.title}: ${plural(row.count, 'VIP')}, ${note}; ${row.opened ? 'fold' : 'show one by one'}`,
  });
  attribute(li.firstChild, 'aria-expanded', String(row.opened));
}

function updateServer(li, item) {
  if (item.none) {
    const title = item.none === ELSEWHERE ? 'elsewhere' : 'no route';
    const note = item.none === ELSEWHERE ? 'a next hop that is no server of the site' : item.early ? 'nothing is decided yet' : 'packets are dropped';
    put(li, item, { light: `s:${item.id}`, shape: item.early ? 'unknown' : 'unserved', state: item.early ? 'unknown' : 'down', title, note, label: `${title}: ${note}` });
    return;
  }
  const { server } = item;
  if (server.rest) return updateRest(li, item);
  const down = server.state === 'drained' && server.health !== 'up' ? `, ${server.health}` : '';
  const words = serverWords[server.state] + down;
  put(li, item, {
    light: `s:${item.id}`, state: server.state, title: server.name, note: words, figure: server.load ? number(server.load) : '–', extra: server.load ? '' : 'idle',
    label: `Server ${server.name}: ${words}, carries ${plural(Math.round(server.load * 10) / 10, 'VIP')}${server.why ? `: ${server.why}` : ''}`,
  });
}

// updateRest is for servers that are well, and stand as one.
function updateRest(li, item) {
  const { rest, opened } = item.server;
  const load = rest.reduce((sum, server) => sum + server.load, 0);
  const title = plural(rest.length, 'server');
  put(li, item, { light: `s:${item.id}`, shape: opened ? 'opened' : 'closed', state: 'well', title, note: 'all up', figure: number(load), extra: 'group', label: `${title}, all up, carry ${plural(Math.round(load), 'VIP')}; ${opened ? 'fold' : 'show one by one'}` });
  attribute(li.firstChild, 'aria-expanded', String(opened));
}

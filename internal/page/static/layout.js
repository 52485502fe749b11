// Where everything of the drawing is: numbers from rows and the width at hand. Pure.

import { ELSEWHERE, NOWHERE, feeds } from './flows.js';

const PAD = 12; // above the first and below the last
const NARROW = 640; // less than that has no column of routers

// layout returns {width, height, columns, routers, rows, servers, ribbons}. Each of
// the things has x, y, w, h; each ribbon has key, kind, n, path, and whom it joins.
export function layout(site, rows, { width, router, servers: shown }) {
  const columns = columnsFor(width);
  const dense = shown.length > 20;
  const servers = place(targets(shown, rows), columns.servers, (item) => (dense ? 30 : item.server?.rest && !item.server.opened ? 70 : 46), dense ? 4 : 10);
  const list = place(rows.map((row) => ({ ...row, id: row.key })), columns.vips, rowHeight(rows), rows.length > 24 ? 4 : 8);
  const routers = columns.routers ? place([...site.routers.values()].map((r) => ({ id: r.name, router: r })), columns.routers, () => 54, 14) : [];
  const height = Math.max(bottom(servers), bottom(list), bottom(routers)) + PAD;
  // Few of one beside many of the other are spread over the same height.
  [servers, list, routers].forEach((items) => spread(items, height, items === list ? 1.6 : 3));
  const ribbons = flowRibbons(list, servers, columns);
  const bus = routers.length ? feedRibbons(site, routers, list, columns, router) : { ribbons: [], bar: null };
  return { width, height, columns, routers, rows: list, servers, ribbons: [...bus.ribbons, ...ribbons], bus: bus.bar };
}

function columnsFor(width) {
  if (width < NARROW) {
    const vips = Math.round(width * 0.46);
    const servers = Math.round(width * 0.31);
    return { vips: { x: 0, w: vips }, servers: { x: width - servers, w: servers } };
  }
  const w = Math.min(250, Math.round(width * 0.235));
  const r = Math.min(180, Math.round(width * 0.17));
  const gap = (width - r - 2 * w) / 5;
  return { routers: { x: 0, w: r }, vips: { x: r + 2 * gap, w }, servers: { x: width - w, w } };
}

// targets are the servers that are shown, and what is none where rows lead there.
function targets(servers, rows) {
  const all = servers.map((server) => ({ id: server.name, server }));
  for (const id of [ELSEWHERE, NOWHERE]) {
    const flows = rows.flatMap((row) => row.flows).filter((flow) => flow.to === id);
    if (flows.length) all.push({ id, none: id, early: flows.every((flow) => flow.kind === 'unknown') });
  }
  return all;
}

const rowHeight = (rows) => {
  const most = Math.max(1, ...rows.map((row) => row.count));
  const dense = rows.length > 24;
  return (row) => (dense ? (row.group ? 34 : 30) : row.group && !row.opened ? 46 + 24 * Math.sqrt(row.count / most) : 46);
};

function place(items, column, height, gap) {
  let y = PAD;
  return items.map((item) => {
    const h = height(item);
    const placed = { ...item, x: column.x, y, w: column.w, h };
    y += h + gap;
    return placed;
  });
}

const bottom = (items) => (items.length ? items.at(-1).y + items.at(-1).h : 0);

// spread puts items farther apart, up to so many times, and in the middle.
function spread(items, height, most) {
  if (items.length === 0) return;
  const free = height - PAD - bottom(items);
  const extra = items.length > 1 ? Math.min(free / (items.length - 1), most * 16) : 0;
  const top = (free - extra * (items.length - 1)) / 2;
  items.forEach((item, i) => (item.y += Math.min(top, 90) + extra * i));
}

// A ribbon is as thick at a row as its part of the row's packets, and at a server as
// its part of the server's.
function flowRibbons(rows, servers, columns) {
  const at = new Map(servers.map((server) => [server.id, server]));
  const flows = rows.flatMap((row) =>
    row.flows
      .filter((flow) => at.has(flow.to))
      .map((flow) => ({ ...flow, row, server: at.get(flow.to), key: `${row.key}>${flow.to}>${flow.kind}`, ends: [row.key, `s:${flow.to}`] })),
  );
  stack(flows, (f) => f.row, (f) => f.server.y, 'start');
  stack(flows, (f) => f.server, (f) => f.row.y, 'end');
  const x0 = columns.vips.x + columns.vips.w;
  const x1 = columns.servers.x;
  return flows.map((flow) => ({ ...flow, ...(flow.kind === 'leaving' ? thread(x0, x1, flow) : band(x0, x1, flow)) }));
}

// stack gives each flow its part of a side of the box at one of its ends.
function stack(flows, box, order, end) {
  for (const side of Map.groupBy(flows, box).values()) {
    const { y, h } = box(side[0]);
    const moving = side.reduce((sum, flow) => sum + (flow.kind === 'leaving' ? 0 : flow.n), 0) || 1;
    const size = (flow) => (flow.kind === 'leaving' ? 0.12 * moving : flow.n);
    const whole = side.reduce((sum, flow) => sum + size(flow), 0);
    const room = Math.min(h - 8, h * 0.66);
    let top = y + (h - room) / 2;
    for (const flow of side.sort((a, b) => order(a) - order(b))) {
      const part = Math.max(1.5, (room * size(flow)) / whole);
      flow[end] = [top, top + part];
      top += part;
    }
  }
}

const tenth = (n) => Math.round(n * 10) / 10;

// band is an area from one side to another.
function band(x0, x1, { start, end }) {
  const m = tenth((x0 + x1) / 2);
  const [a, b] = start.map(tenth);
  const [c, d] = end.map(tenth);
  return { path: `M${x0} ${a}C${m} ${a} ${m} ${c} ${x1} ${c}L${x1} ${d}C${m} ${d} ${m} ${b} ${x0} ${b}Z`, label: [m, (a + b + c + d) / 4] };
}

// thread is a line in the middle of that.
function thread(x0, x1, { start, end }) {
  const m = tenth((x0 + x1) / 2);
  const a = tenth((start[0] + start[1]) / 2);
  const b = tenth((end[0] + end[1]) / 2);
  return { path: `M${x0} ${a}C${m} ${a} ${m} ${b} ${x1} ${b}`, label: [m, (a + b) / 2] };
}

// feedRibbons joins the routers to the rows by a bar, because each router routes every
// VIP; only what a router does otherwise than wanted has a line of its own.
function feedRibbons(site, routers, rows, columns, lens) {
  if (rows.length === 0) return { ribbons: [], bar: null };
  const x0 = columns.routers.x + columns.routers.w;
  const x1 = columns.vips.x;
  const x = Math.round((x0 + x1) / 2);
  const boxes = [...routers, ...rows];
  const bar = { x, y: Math.min(...boxes.map((b) => b.y + b.h * 0.3)), end: Math.max(...boxes.map((b) => b.y + b.h * 0.7)) };
  const ribbons = [];
  for (const r of routers) {
    const middle = r.y + r.h / 2;
    const kind = lens && lens !== r.id ? 'faint' : r.router.state === 'well' || r.router.state === 'astray' ? 'feed' : 'nofeed';
    ribbons.push({ key: `${r.id}>bus`, kind, ends: [`r:${r.id}`], ...band(x0, x, { start: [middle - 8, middle + 8], end: [middle - 8, middle + 8] }) });
  }
  for (const row of rows) {
    if (row.opened) continue;
    const middle = row.y + row.h / 2;
    const half = Math.min(row.h - 8, row.h * 0.66) / 2;
    ribbons.push({ key: `bus>${row.key}`, kind: 'feed', ends: [row.key], ...band(x, x1, { start: [middle - half, middle + half], end: [middle - half, middle + half] }) });
    for (const [name, n] of feeds(site, row)) {
      const r = routers.find((item) => item.id === name);
      if (!r || (lens && lens !== name)) continue;
      const from = r.y + r.h / 2;
      ribbons.push({ key: `${name}>${row.key}`, kind: 'wrong', n, ends: [`r:${name}`, row.key], ...thread(x0, x1, { start: [from, from], end: [middle, middle] }) });
    }
  }
  return { ribbons, bar };
}

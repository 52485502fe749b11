// From a site to what is drawn: rows of VIPs, and where the packets of each go.
// Pure.
//
// A flow is {to, kind, n}: of so many prefixes, on average of the routers, packets
// go to a server. Kinds are the states of VIPs, and besides:
//   lost     to a server that cannot carry it
//   wanted   not yet, or not by this router: drawn as an outline
//   leaving  connections of a move that are still there; n counts them
// and servers that are none: NOWHERE without a route, ELSEWHERE by a foreign one.

import { natural, worse } from './state.js';
import { vipName } from './words.js';

export const NOWHERE = '∅';
export const ELSEWHERE = '⤳';
export const REST = '…'; // all that are well, as one

const MANY = 40; // rows, above which VIPs are grouped

// rows returns the rows of the drawing. options: by ("auto", "entry", "server",
// "cohort"), open (names of groups that are shown one by one), router (only as this
// one routes), only (VIPs to be shown; all without it).
export function rows(site, { by, open, router, only }) {
  const moves = movesByVip(site.status.transitions);
  const vips = only ? site.vips.filter(only) : site.vips;
  const way = by === 'auto' ? (vips.length > MANY ? 'server' : 'entry') : by;
  if (way === 'entry') return { way, rows: vips.slice(0, 400).map((vip) => single(site, vip, moves, router)), left: Math.max(0, vips.length - 400) };
  const groups = grouped(site, vips, way, open, moves, router);
  return { way, rows: by === 'auto' ? foldRows(groups, open) : groups, left: 0 };
}

const CROWD = 16; // of servers, or rows, that are well: more are drawn as one
const calm = (row) => row.state === 'well' && !row.opened && !row.inside && row.flows.every((flow) => flow.kind === 'well');

// foldRows draws groups that are well as one, if they are many.
function foldRows(rows, open) {
  const well = rows.filter(calm);
  if (well.length <= CROWD) return rows;
  const key = 'g:rest';
  const sum = { key, group: key, vips: [], title: `VIPs of ${well.length} servers`, state: 'well', states: {}, count: well.reduce((n, row) => n + row.count, 0), opened: open.has(key), flows: [] };
  const others = rows.filter((row) => !calm(row));
  if (sum.opened) return [...others, sum, ...well];
  return [...others, { ...sum, flows: merge(well.flatMap((row) => row.flows)) }];
}

// foldServers has the servers that are well stand as one, if they are many, and rows
// lead there.
export function foldServers(servers, rows, open) {
  const well = servers.filter((server) => server.state === 'well');
  if (well.length <= CROWD) return { servers, rows };
  if (open.has(REST)) return { servers: [...servers.filter((server) => server.state !== 'well'), { name: REST, rest: well, opened: true }, ...well], rows };
  const into = new Set(well.map((server) => server.name));
  const led = rows.map((row) => ({ ...row, flows: merge(row.flows.map((flow) => (into.has(flow.to) ? { ...flow, to: REST } : flow))) }));
  return { servers: [...servers.filter((server) => server.state !== 'well'), { name: REST, rest: well, opened: false }], rows: led };
}

// merge adds up flows of one kind to one place.
function merge(flows) {
  const sum = new Map();
  for (const flow of flows) {
    const id = `${flow.to}|${flow.kind}`;
    const former = sum.get(id);
    if (former) former.n += flow.n;
    else sum.set(id, { ...flow });
  }
  return sortFlows([...sum.values()]);
}

function movesByVip(transitions) {
  const moves = new Map();
  for (const move of transitions) moves.set(move.vip, [...(moves.get(move.vip) ?? []), move]);
  return moves;
}

function single(site, vip, moves, router) {
  return { key: `v:${vip.prefix}`, vip, vips: [vip], title: vipName(vip), state: vip.state, count: vip.count, flows: flowsOf(site, vip, moves, router) };
}

function grouped(site, vips, way, open, moves, router) {
  const groups = new Map();
  for (const vip of vips) {
    const name = way === 'cohort' ? vip.moves_as || vip.prefix : home(vip);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(vip);
  }
  const rows = [];
  for (const [name, members] of [...groups].sort(([a], [b]) => natural.compare(a, b))) {
    const key = `g:${way}:${name}`;
    if (open.has(key) || members.length === 1) {
      if (members.length > 1) rows.push({ ...group(site, key, name, way, members, moves, router, true), flows: [] });
      for (const vip of members.slice(0, 200)) rows.push({ ...single(site, vip, moves, router), inside: members.length > 1 ? key : null });
      continue;
    }
    rows.push(group(site, key, name, way, members, moves, router, false));
  }
  return rows;
}

// home is where a VIP belongs: its first tier.
const home = (vip) => {
  const first = vip.tiers?.[0]?.servers ?? vip.wanted;
  return first.length > 3 ? `${first.slice(0, 2).join(', ')} and ${first.length - 2} more` : first.join(', ');
};

function group(site, key, name, way, vips, moves, router, opened) {
  const states = {};
  const flows = [];
  let state = 'well';
  let count = 0;
  for (const vip of vips) {
    count += vip.count;
    state = worse(state, vip.state);
    states[vip.state] = (states[vip.state] ?? 0) + vip.count;
    if (!opened) flows.push(...flowsOf(site, vip, moves, router));
  }
  const title = way === 'cohort' ? `like ${vipName(vips[0])}` : `VIPs of ${name}`;
  return { key, group: key, vips, title, state, states, count, opened, flows: merge(flows) };
}

const sortFlows = (flows) => flows.sort((a, b) => (a.kind === 'leaving') - (b.kind === 'leaving') || b.n - a.n);

// flowsOf is where the packets of a VIP go, and should.
export function flowsOf(site, vip, moves, router) {
  const seen = vip.routes.filter((route) => (!router || route.router === router) && site.routers.get(route.router)?.looked);
  const flows = new Map();
  const add = (to, kind, n) => {
    const id = `${to}|${kind}`;
    flows.set(id, { to, kind, n: (flows.get(id)?.n ?? 0) + n });
  };
  const routers = new Set(seen.map((route) => route.router)).size;
  for (const route of seen) {
    const n = (route.prefixes || vip.count) / routers;
    const to = route.foreign && !route.servers.length ? [ELSEWHERE] : route.servers.length ? route.servers : route.next_hops.length ? [ELSEWHERE] : [NOWHERE];
    for (const name of to) add(name, kindOf(site, vip, name), n / to.length);
    for (const name of vip.wanted) if (!to.includes(name)) add(name, 'wanted', n / vip.wanted.length);
  }
  if (seen.length === 0) for (const name of vip.wanted) add(name, 'wanted', vip.count / vip.wanted.length);
  for (const move of moves.get(vip.prefix) ?? []) {
    if (router && move.router !== router) continue;
    for (const left of move.left) for (const name of left.servers) add(name, 'leaving', left.connections);
    if (move.left.length === 0) for (const name of move.from) if (!vip.wanted.includes(name)) add(name, 'leaving', 0);
  }
  return sortFlows([...flows.values()]);
}

function kindOf(site, vip, name) {
  if (name === NOWHERE && vip.state === 'unknown') return 'unknown';
  if (name === NOWHERE || name === ELSEWHERE) return vip.wanted.length || name === ELSEWHERE ? 'astray' : 'unserved';
  if (vip.state === 'unserved') return 'lost';
  if (!vip.wanted.includes(name)) return 'astray';
  return vip.state === 'astray' || vip.state === 'unknown' ? 'well' : vip.state;
}

// feeds is what each router does with each row: "well", or "astray" with how many of
// its prefixes are not as wanted.
export function feeds(site, row) {
  const off = new Map();
  for (const vip of row.vips) {
    for (const route of vip.routes) {
      const right = !route.foreign && same(route.servers, vip.wanted);
      if (!right && site.routers.get(route.router)?.looked) off.set(route.router, (off.get(route.router) ?? 0) + (route.prefixes || vip.count));
    }
  }
  return off;
}

const same = (a, b) => a.length === b.length && a.every((name, i) => name === b[i]);

// matcher finds VIPs by name, prefix, address, or the server that they are wanted on.
export function matcher(text) {
  const word = text.trim().toLowerCase();
  if (!word) return null;
  const address = word.match(/^\d+\.\d+\.\d+\.\d+$/) ? toNumber(word) : null;
  return (vip) =>
    (vip.name ?? '').toLowerCase().includes(word) ||
    (vip.prefixes ?? [vip.prefix]).some((prefix) => prefix.includes(word) || (address !== null && holds(prefix, address))) ||
    vip.addresses.some((a) => a.includes(word)) ||
    vip.wanted.some((name) => name.toLowerCase() === word) ||
    vip.state.startsWith(word);
}

const toNumber = (address) => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);

function holds(prefix, address) {
  const [base, bits] = prefix.split('/');
  if (base.includes(':')) return false;
  const size = 2 ** (32 - Number(bits ?? 32));
  const first = toNumber(base);
  return address >= first && address < first + size;
}

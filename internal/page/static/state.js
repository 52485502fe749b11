// What is the matter with servers, VIPs and routers, in one word each. Pure.
//
// A word is a state: it has a shape, a colour and a rank, the most urgent first.

export const VIP_STATES = [
  ['unserved', 'no server can carry it'],
  ['held', 'held back'],
  ['astray', 'not routed as wanted'],
  ['failover', 'failed over'],
  ['drained', 'drained away'],
  ['pinned', 'pinned'],
  ['waiting', 'waits to go back'],
  ['unknown', 'not known yet'],
  ['well', 'well'],
];
export const SERVER_STATES = [
  ['down', 'down'],
  ['mixed', 'partly down'],
  ['doubt', 'in doubt'],
  ['drained', 'drained'],
  ['maintenance', 'in maintenance'],
  ['unknown', 'not known yet'],
  ['well', 'up'],
];
export const ROUTER_STATES = [
  ['error', 'out of sync'],
  ['fighting', 'fighting with another program'],
  ['astray', 'not yet as wanted'],
  ['unknown', 'not looked at yet'],
  ['well', 'in sync'],
];

const wordsOf = (states) => Object.fromEntries(states);
export const vipWords = wordsOf(VIP_STATES);
export const serverWords = wordsOf(SERVER_STATES);
export const routerWords = wordsOf(ROUTER_STATES);

const order = Object.fromEntries(VIP_STATES.map(([state], i) => [state, i]));
export const worse = (a, b) => (order[a] <= order[b] ? a : b);
export const rank = (state) => order[state];

export const natural = new Intl.Collator('en', { numeric: true }); // web9 before web10

// judge returns a status with the state of everything, and maps by name.
export function judge(status) {
  const byName = (a, b) => natural.compare(a.name, b.name);
  const servers = new Map([...status.servers].sort(byName).map((server) => [server.name, { ...server, state: serverState(server), load: 0 }]));
  const routers = new Map(status.routers.map((router) => [router.name, { ...router, state: routerState(router) }]));
  const vips = status.vips.map((vip) => ({ ...vip, state: vipState(vip, servers), count: vip.prefixes?.length || 1 }));
  for (const vip of vips) share(vip, servers);
  const fair = fairShares(servers, vips);
  return { status, now: Date.parse(status.time), servers, routers, vips, fair };
}

export function serverState(server) {
  if (server.admin.state === 'drain') return 'drained';
  if (server.admin.state === 'maintenance') return 'maintenance';
  if (server.health === 'up') return server.targets.some((t) => t.trend) ? 'doubt' : 'well';
  return server.health; // down, mixed, unknown
}

export function routerState(router) {
  if (router.error) return 'error';
  if (router.fighting.length) return 'fighting';
  if (!router.looked) return 'unknown';
  return router.in_sync ? 'well' : 'astray';
}

function vipState(vip, servers) {
  if (vip.eligible.length === 0) return undecided(vip, servers) ? 'unknown' : 'unserved';
  if (vip.held || vip.cause === 'frozen' || vip.cause === 'unproven') return 'held';
  if (vip.cause === 'unclaimed') return 'unknown';
  if (!vip.in_sync) return 'astray';
  if (vip.cause === 'pinned') return vip.pin?.void ? 'failover' : 'pinned';
  if (vip.cause === 'waiting') return 'waiting';
  if (vip.cause === 'failover' || vip.cause === 'drained' || !atFirst(vip)) return blame(vip, servers);
  return 'well';
}

// atFirst reports whether the traffic is with the first tier alone.
const atFirst = (vip) => !vip.tiers?.length || vip.wanted.every((name) => vip.tiers[0].servers.includes(name));

// blame tells a loss of the first tier from a drain.
function blame(vip, servers) {
  const first = (vip.tiers?.[0]?.servers ?? []).map((name) => servers.get(name)).filter(Boolean);
  if (first.some((server) => server.admin.state === 'ready' && server.health !== 'up')) return 'failover';
  if (vip.cause === 'failover') return 'failover';
  return vip.cause === 'drained' || first.some((server) => server.admin.state !== 'ready') ? 'drained' : 'failover';
}

// undecided reports whether a server that is in service has no verdict yet.
function undecided(vip, servers) {
  const judge = vip.judged_as || vip.prefix;
  const names = vip.tiers?.flatMap((tier) => tier.servers) ?? [];
  return names.some((name) => {
    const server = servers.get(name);
    return server?.admin.state === 'ready' && server.targets.some((t) => t.vip === judge && t.health === 'unknown');
  });
}

// share adds a VIP's prefixes to the load of those who are wanted to carry them.
function share(vip, servers) {
  const wanted = vip.wanted.map((name) => servers.get(name)).filter(Boolean);
  const whole = wanted.reduce((sum, server) => sum + (server.weight || 1), 0);
  for (const server of wanted) server.load += (vip.count * (server.weight || 1)) / whole;
}

// fairShares is what each server in service would carry if all shared by weight.
function fairShares(servers, vips) {
  const total = vips.reduce((sum, vip) => sum + vip.count, 0);
  const fit = [...servers.values()].filter((s) => s.admin.state === 'ready' && s.health !== 'down' && s.health !== 'unknown');
  const weight = fit.reduce((sum, server) => sum + server.weight, 0);
  return new Map(fit.map((server) => [server.name, weight ? (total * server.weight) / weight : 0]));
}

// verdict is the headline: "trouble", "note", "well" or "start", and its parts.
export function verdict(site) {
  const of = (items, is, noun, what) => {
    const found = items.filter(is);
    return found.length ? [{ n: found.length, noun, what, names: found.map((x) => x.name || x.prefix) }] : [];
  };
  const { vips } = site;
  const servers = [...site.servers.values()];
  const routers = [...site.routers.values()];
  const failed = site.status.config.failed > site.status.config.loaded;
  const trouble = [
    ...of(vips, (v) => v.state === 'unserved', 'VIP', 'without a server'),
    ...(site.status.frozen ? [{ text: 'frozen: failures move nothing' }] : []),
    ...of(vips, (v) => v.state === 'held', 'VIP', 'held back'),
    ...of(routers, (r) => r.state === 'error', 'router', 'out of sync'),
    ...of(servers, (s) => s.health === 'down' && s.admin.state === 'ready', 'server', 'down'),
    ...of(servers, (s) => s.health === 'mixed' && s.admin.state === 'ready', 'server', 'partly down'),
    ...of(routers, (r) => r.state === 'fighting', 'router', 'fighting with another program'),
    ...of(routers, (r) => r.state === 'astray', 'router', 'not yet as wanted'),
    ...(failed ? [{ text: 'the last reload was refused' }] : []),
  ];
  const notes = [
    ...of(servers, (s) => s.admin.state === 'drain', 'server', 'drained'),
    ...of(servers, (s) => s.admin.state === 'maintenance', 'server', 'in maintenance'),
    ...of(vips, (v) => v.state === 'failover', 'VIP', 'failed over'),
    ...of(vips, (v) => v.pin, 'VIP', 'pinned'),
    ...of(vips, (v) => v.state === 'waiting', 'VIP', 'waiting to go back'),
    ...of(site.status.transitions, () => true, 'move', 'in transition'),
  ];
  const unknown = of(servers, (s) => s.health === 'unknown' && s.admin.state === 'ready', 'server', 'not known yet');
  if (trouble.length) return { kind: 'trouble', parts: trouble, notes: [...notes, ...unknown] };
  if (unknown.length) return { kind: 'start', parts: unknown, notes };
  if (notes.length || site.status.warnings.length) return { kind: 'note', parts: notes, notes: [] };
  return { kind: 'well', parts: [], notes: [] };
}

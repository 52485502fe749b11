// The site at another moment than its status: events played on from it, or back. Pure.
// It knows what events tell: verdicts, drains, guards, and where traffic was wanted and
// routed; what they do not tell is as the status has it.

// play returns the status as it is with the events that are later than it; or, at a
// time, as it was then, with the later ones undone, the latest first.
export function play(status, events, time = null) {
  const back = time !== null;
  const since = back ? time : Date.parse(status.time);
  const later = events.slice(events.findLastIndex((event) => Date.parse(event.time) <= since) + 1);
  if (!back && later.length === 0) return status;
  const then = structuredClone(status);
  const site = {
    then,
    back,
    servers: new Map(then.servers.map((server) => [server.name, server])),
    vips: Map.groupBy(then.vips, (vip) => vip.moves_as || vip.prefix),
    judges: judgesOf(then.vips),
  };
  if (back) Object.assign(then, { time: new Date(time).toISOString(), transitions: [], warnings: [] });
  for (const event of back ? later.reverse() : later) change[event.kind]?.(site, event, (back ? event.from : event.to) ?? '');
  then.servers.forEach((server) => settleServer(server, site));
  then.vips.forEach((vip) => settleVIP(vip, site));
  return then;
}

// judgesOf counts the targets of each server: those that are up are not told.
function judgesOf(vips) {
  const of = new Map();
  for (const vip of vips) {
    for (const tier of vip.tiers ?? []) {
      for (const name of tier.servers) {
        if (!of.has(name)) of.set(name, new Set());
        of.get(name).add(vip.judged_as || vip.prefix);
      }
    }
  }
  return new Map([...of].map(([name, judges]) => [name, judges.size]));
}

const names = (text) => (text ? text.split(',') : []);

// What a kind of event changes; word is what it was, or became.
const change = {
  verdict({ servers, back }, event, word) {
    const server = servers.get(event.server);
    if (!server || !word) return;
    server.ill ??= new Map(server.targets.map((target) => [target.vip, target]));
    if (word === 'up') server.ill.delete(event.vip);
    else server.ill.set(event.vip, { vip: event.vip, check: '', health: word, trend: '', why: back ? '' : event.reason });
    server.why = back ? '' : event.reason;
  },
  admin({ servers, back }, event, word) {
    const server = servers.get(event.server);
    if (!server || event.vip || !word) return;
    server.admin = back ? { state: word } : { state: word, by: event.by, reason: event.reason, since: event.time };
  },
  assignment({ vips, back }, event, word) {
    const { reason = '', cause = '', time } = back ? {} : event;
    for (const vip of vips.get(event.vip) ?? []) Object.assign(vip, { wanted: names(word), why: reason, cause: cause || 'settled', held: cause === 'frozen', since: time });
  },
  route({ vips }, event, word) {
    for (const vip of vips.get(event.vip) ?? []) {
      for (const route of vip.routes) if (route.router === event.router) Object.assign(route, { servers: names(word), next_hops: names(word), foreign: false });
    }
  },
  guard({ then, back }, event, word) {
    if (event.cause === 'frozen' || word === 'frozen') then.frozen = word === 'frozen' ? (back ? 'failures move nothing' : event.reason) : '';
  },
};

// settle derives what follows from the rest.
function settleServer(server, { judges }) {
  if (!server.ill) return;
  server.targets = [...server.ill.values()];
  const healths = new Set(server.targets.map((target) => target.health));
  if (server.targets.length < judges.get(server.name)) healths.add('up');
  server.health = healths.size === 1 ? [...healths][0] : 'mixed';
}

function settleVIP(vip, { servers }) {
  const judge = vip.judged_as || vip.prefix;
  const fit = (name) => {
    const server = servers.get(name);
    if (server?.admin.state !== 'ready') return false;
    return server.ill ? !server.ill.has(judge) : server.health === 'up' || !server.targets.some((t) => t.vip === judge && t.health !== 'up');
  };
  vip.eligible = (vip.tiers ?? []).flatMap((tier) => tier.servers).filter(fit);
  vip.in_sync = vip.routes.every((route) => !route.foreign && route.servers.join() === vip.wanted.join());
}

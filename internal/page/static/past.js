// The site as it was: its present state, with what happened since undone, the latest
// first. Pure. It knows what events tell: verdicts, drains, and where traffic was
// wanted and routed; what they do not tell is as it is now.

export function past(status, events, time) {
  const undone = events.filter((event) => Date.parse(event.time) > time).reverse();
  const then = structuredClone(status);
  then.time = new Date(time).toISOString();
  then.transitions = [];
  then.warnings = [];
  const index = {
    servers: new Map(then.servers.map((server) => [server.name, server])),
    judges: judgesOf(then.vips),
    vips: Map.groupBy(then.vips, (vip) => vip.moves_as || vip.prefix),
  };
  for (const event of undone) undo[event.kind]?.(then, index, event);
  then.vips.forEach((vip) => settle(vip, index));
  return then;
}

// judgesOf counts the targets of each server: those that are up are not told.
function judgesOf(vips) {
  const of = new Map();
  for (const vip of vips) {
    for (const name of vip.tiers?.flatMap((tier) => tier.servers) ?? []) {
      if (!of.has(name)) of.set(name, new Set());
      of.get(name).add(vip.judged_as || vip.prefix);
    }
  }
  return new Map([...of].map(([name, judges]) => [name, judges.size]));
}

const names = (text) => (text ? text.split(',') : []);

const undo = {
  verdict(_, { servers, judges }, event) {
    const server = servers.get(event.server);
    if (!server || !event.from) return;
    server.targets = server.targets.filter((target) => target.vip !== event.vip);
    if (event.from !== 'up') server.targets.push({ vip: event.vip, health: event.from, trend: '' });
    const healths = new Set(server.targets.map((target) => target.health));
    if (server.targets.length < judges.get(event.server)) healths.add('up');
    server.health = healths.size === 1 ? [...healths][0] : 'mixed';
    server.why = '';
  },
  admin(_, { servers }, event) {
    const server = servers.get(event.server);
    if (server && !event.vip && event.from) server.admin = { state: event.from };
  },
  assignment(_, { vips }, event) {
    for (const vip of vips.get(event.vip) ?? []) Object.assign(vip, { wanted: names(event.from), why: '', cause: '', held: false, undone: true });
  },
  route(_, { vips }, event) {
    for (const vip of vips.get(event.vip) ?? []) {
      for (const route of vip.routes) {
        if (route.router === event.router) Object.assign(route, { servers: names(event.from), next_hops: names(event.from), foreign: false });
      }
    }
  },
  guard(then, _, event) {
    then.frozen = event.from === 'frozen' ? 'failures move nothing' : '';
  },
  controller(then, _, event) {
    if (event.to === 'frozen' || event.from === 'frozen') then.frozen = event.from === 'frozen' ? 'failures move nothing' : '';
  },
};

// settle derives what follows from the rest.
function settle(vip, { servers }) {
  const judge = vip.judged_as || vip.prefix;
  const fit = (name) => {
    const server = servers.get(name);
    return server?.admin.state === 'ready' && !server.targets.some((t) => t.vip === judge && t.health !== 'up');
  };
  vip.eligible = (vip.tiers ?? []).flatMap((tier) => tier.servers).filter(fit);
  vip.in_sync = vip.routes.every((route) => route.servers.join() === vip.wanted.join());
  if (vip.undone) vip.cause = 'settled';
}

// Events that say the same of several at one moment become one line. Pure.

const MOMENT = 2000; // ms

// fold takes events, oldest first, and returns lines: an event and, where it stands
// for several, whom they are about.
export function fold(events) {
  const lines = [];
  const open = new Map();
  for (const event of events) {
    const moves = event.kind === 'assignment' || event.kind === 'route'; // which may be to several places
    const key = [event.kind, event.from, moves && event.from ? '' : event.to, event.by, event.cause, reason(event)].join('\n');
    const at = Date.parse(event.time);
    const line = open.get(key);
    if (line && at - line.at < MOMENT) {
      add(line, event);
      continue;
    }
    const fresh = { event, at, n: 0, servers: new Set(), routers: new Set(), vips: new Map(), tos: new Set() };
    add(fresh, event);
    open.set(key, fresh);
    lines.push(fresh);
  }
  return lines;
}

// What a check failed with is told once, however the numbers in it differ, and to whom
// VIPs were moved besides.
const reason = (event) => (event.reason ?? '').replace(/: moved to .*$/, '').replace(/\d+/g, '#');

function add(line, event) {
  line.n++;
  if (event.to) line.tos.add(event.to);
  if (event.server) line.servers.add(event.server);
  if (event.router) line.routers.add(event.router);
  if (event.vip) line.vips.set(event.vip, event.vips || 1);
}

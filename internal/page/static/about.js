// All that is known of one VIP, server or router, and what can be done about it.

import * as api from './api.js';
import { el, icon, write } from './dom.js';
import { feeds } from './flows.js';
import { routerWords, serverWords, vipWords } from './state.js';
import { ago, clock, list, number, plural, servers as names, took, vipName, within } from './words.js';

// facts is a list of names and values; those without a value are left out.
export function facts(...pairs) {
  return el('dl', { class: 'facts' }, pairs.filter(([, value]) => value).map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));
}

const badge = (state, text) => el('p', { class: `badge ${state}` }, icon(state), el('span', {}, text));
const section = (title, ...content) => el('section', {}, el('h3', {}, title), ...content);
const act = (text, go, strong) => el('button', { type: 'button', class: strong ? 'strong' : null, onclick: (e) => go(e.currentTarget) }, text);
const link = (text, go) => el('button', { type: 'button', class: 'link', onclick: (e) => go(e.currentTarget) }, text);

// replace changes those parts of the content that are others, and keeps the focus in
// them.
function replace(body, nodes) {
  const now = nodes.filter(Boolean);
  now.forEach((node, i) => {
    const old = body.children[i];
    if (!old) return body.append(node);
    if (old.isEqualNode(node)) return;
    const at = old.contains(document.activeElement) ? buttons(old).indexOf(document.activeElement) : -1;
    old.replaceWith(node);
    if (at >= 0) buttons(node)[Math.min(at, buttons(node).length - 1)]?.focus({ preventScroll: true });
  });
  while (body.children.length > now.length) body.lastElementChild.remove();
}

const buttons = (node) => [...node.querySelectorAll('button')];

const OFTEN = 700; // ms between questions about one VIP, each of which looks at the whole site

// vipContent tells the whole story of a VIP: why its traffic is where it is, and not elsewhere.
export function vipContent(name, body, title, tools) {
  let gone = null;
  let last = null;
  let asked = 0;
  let timer = 0;
  const tell = (e, site) => {
    const { vip } = e;
    const known = site.vips.find((v) => v.prefix === vip.prefix) ?? { ...vip, state: 'unknown', count: 1 };
    write(title, vipName(vip));
    replace(body, [
      badge(known.state, `${vipWords[known.state]} · wanted on ${names(vip.wanted)}`),
      el('p', { class: 'lead' }, vip.why),
      vipActs(vip, known, tools),
      section('What comes next', next(e)),
      section('Servers, tier by tier', ...tiersOf(e, tools)),
      section('Routers', routersOf(e, tools)),
      e.transitions.length > 0 && section('Connections that are ending', transitions(e.transitions, e)),
      section('Of the file', vipFacts(e)),
      el('p', {}, link('What happened to it', () => tools.narrow(vip.prefix))),
    ]);
  };
  const ask = async () => {
    asked = Date.now();
    timer = 0;
    gone = new AbortController();
    try {
      tell(await api.explain(name, gone.signal), last);
    } catch (error) {
      if (error.name !== 'AbortError') replace(body, [el('p', { class: 'refusal' }, error.message, error.hint && ` ${error.hint}`)]);
    }
  };
  return {
    draw(site) {
      last = site;
      timer ||= setTimeout(ask, Math.max(0, asked + OFTEN - Date.now()));
    },
    stop() {
      clearTimeout(timer);
      gone?.abort();
    },
  };
}

function vipActs(vip, known, tools) {
  const of = { vip: vip.prefix, label: vipName(vip) };
  return el('div', { class: 'acts' },
    act(vip.pin ? 'Pin elsewhere…' : 'Pin…', (from) => tools.wish('pin', of, from)),
    vip.pin && act('Unpin…', (from) => tools.wish('unpin', of, from)),
    known.state === 'waiting' && act('Fail back…', (from) => tools.wish('failback', of, from)));
}

function next(e) {
  if (!e.next.length) return el('p', {}, 'Nothing, as long as all stays as it is.');
  return el('ul', {}, e.next.map(({ at, what }) => el('li', {}, at ? el('b', {}, `${clock(at)} (${within(at, Date.parse(e.time))}): `) : el('b', {}, 'Not by itself: '), what)));
}

function tiersOf(e, tools) {
  return e.vip.tiers.map((tier) => el('div', { class: 'tier' }, el('h4', {}, tier.name), el('ul', { class: 'standings' },
    e.servers.filter((s) => s.tier === tier.name).map((s) => standing(s, e, tools)))));
}

function standing(s, e, tools) {
  const state = s.admin.state === 'drain' ? 'drained' : s.admin.state !== 'ready' ? s.admin.state : s.target.health === 'up' ? 'well' : s.target.health;
  const known = [`${s.target.health} for ${ago(s.target.since, Date.parse(e.time)).replace(' ago', '')}`, s.target.trend, s.target.why, `weight ${s.weight}`, `carries ${number(s.vips)}, fair share ${number(s.fair)}`];
  if (s.target.damping) known.push(`flapped: needs ${s.target.rise} passes`);
  if (s.due) known.push(`due ${within(s.due, Date.parse(e.time))}`);
  return el('li', { class: s.chosen ? 'chosen' : null }, icon(state, s.target.health), el('div', {},
    el('p', {}, link(s.server, (from) => tools.choose({ server: s.server }, from)), ' ', el('b', {}, s.role), s.chosen && el('span', { class: 'tag' }, 'has the traffic')),
    el('p', {}, s.why), el('p', { class: 'fine' }, known.filter(Boolean).join(' · '))));
}

function routersOf(e, tools) {
  return el('ul', { class: 'standings' }, e.routers.map((r) => el('li', {}, icon(r.in_sync ? 'well' : 'astray', r.in_sync ? 'in sync' : 'not in sync'), el('div', {},
    el('p', {}, link(r.router, (from) => tools.choose({ router: r.router }, from)), ' sends it to ', el('b', {}, r.routes.map((route) => names(route.servers)).join(' and ') || 'no server')),
    el('p', { class: 'fine' }, r.routes.map((route) => [route.next_hops.join(', ') || 'no route', route.foreign && 'foreign route', route.detail].filter(Boolean).join(' · ')).join('; ')),
    r.problem && el('p', { class: 'bad' }, r.problem)))));
}

function transitions(all, { time }) {
  const now = Date.parse(time);
  return el('ul', {}, all.map((move) => el('li', {}, el('b', {}, `${move.router}: `), `${move.from.join(', ') || 'nothing'} → ${move.to.join(', ') || 'nothing'}: `,
    move.left.map((left) => `${plural(left.connections, 'connection')} at ${left.servers.join(', ')}`).join('; ') || 'none has spoken since', ` · ends by ${clock(move.until)} (${within(move.until, now)})`)));
}

function vipFacts(e) {
  const { vip } = e;
  return facts(['Prefix', list(vip.prefixes ?? [vip.prefix], 12)], ['Addresses checked', list(vip.addresses, 8)], ['Since', vip.since ? `${clock(vip.since)} (${ago(vip.since, Date.parse(e.time))})` : 'it was found so'],
    ['Cause', e.cause], ['Check', vip.check], ['Mode', vip.mode], ['Home', e.home], ['Failback', e.failback], ['When all are down', e.on_all_down], ['Moves with', vip.moves_as], ['Judged as', vip.judged_as],
    ['Pin', vip.pin && `${vip.pin.server}${vip.pin.by ? ` by ${vip.pin.by}` : ''}${vip.pin.reason ? `: ${vip.pin.reason}` : ''}${vip.pin.until ? ` until ${clock(vip.pin.until)}` : ''}`],
    ['Drained here of', vip.off && vip.off.map((off) => off.server).join(', ')], ['Frozen', e.frozen]);
}

// serverContent tells what checks say of a server, what people say, and what it carries.
export function serverContent(name, body, _title, tools) {
  let all = null; // the server with all its checks, once somebody asked for them
  let last = null;
  const show = async () => {
    const status = await api.fullStatus();
    all = status.servers.find((server) => server.name === name);
    view.draw(last);
  };
  const view = {
    draw(site) {
      last = site;
      const server = site.servers.get(name);
      if (!server) return replace(body, [el('p', { class: 'refusal' }, `There is no server ${name} any more.`)]);
      const moves = site.status.transitions.filter((move) => move.from.includes(name) || move.left.some((left) => left.servers.includes(name)));
      const of = { server: name, label: name };
      const drained = server.admin.state === 'drain';
      replace(body, [
        badge(server.state, `${serverWords[server.state]}${server.state === 'drained' ? ` · ${server.health}` : ''}`),
        server.why && el('p', { class: 'lead' }, server.why),
        server.admin.state !== 'ready' && el('p', { class: 'lead' }, adminText(server.admin, site.now)),
        el('div', { class: 'acts' },
          drained ? act('Undrain…', (from) => tools.wish('undrain', of, from), true) : act('Drain…', (from) => tools.wish('drain', of, from), true),
          drained && act('Drain again…', (from) => tools.wish('drain', of, from)),
          act('Fail back…', (from) => tools.wish('failback', of, from))),
        facts(['Addresses', server.addresses.join(', ')], ['Weight', String(server.weight)], ['Echo', server.echo], ['Health since', server.since && `${clock(server.since)} (${ago(server.since, site.now)})`],
          ['Carries', `${plural(Math.round(server.load * 10) / 10, 'VIP')}${site.fair.get(name) ? `, fair share ${number(site.fair.get(name))}` : ''}`]),
        moves.length > 0 && section('Connections that are ending', transitions(moves, site.status)),
        section('Checks', ...checks(all ?? server, site, tools), !all && el('p', {}, act('All its checks', show))),
        section(`Carries (${number(server.serving.length)})`, serving(server, site, tools)),
        el('p', {}, link('What happened to it', () => tools.narrow(name))),
      ]);
    },
  };
  return view;
}

function adminText(admin, now) {
  const words = [admin.state === 'drain' ? 'Drained' : 'In maintenance'];
  if (admin.by) words.push(`by ${admin.by}`);
  if (admin.since) words.push(ago(admin.since, now));
  if (admin.reason) words.push(`for: ${admin.reason}`);
  if (admin.until) words.push(`until ${clock(admin.until)}`);
  if (admin.reboot) words.push(admin.reboot === 'seen' ? 'the reboot was seen; it returns once it is well' : 'until it has rebooted');
  return words.join(' ');
}

const urgency = { down: 0, unknown: 1, up: 2 };
const MOST = 60;

function checks(server, site, tools) {
  const targets = [...server.targets].sort((a, b) => urgency[a.health] - urgency[b.health] || Boolean(b.trend) - Boolean(a.trend));
  const rows = targets.slice(0, MOST).map((t) => el('li', {}, icon(t.trend ? 'doubt' : t.health === 'up' ? 'well' : t.health, t.health), el('div', {},
    el('p', {}, link(t.vip, (from) => tools.choose({ vip: t.vip }, from)), t.vips ? ` and ${t.vips - 1} more` : '', ` · ${t.check} · `, el('b', {}, t.trend || t.health)),
    t.why && el('p', { class: 'bad' }, t.why), t.notice && el('p', {}, t.notice),
    t.members?.map((m) => el('p', { class: 'fine' }, `${m.check}: ${m.trend || m.health}${m.why ? `: ${m.why}` : ''}`)),
    t.word && el('p', {}, t.word.leave ? 'It asks for no new traffic' : `It asks for ${t.word.percent}% of its weight`, t.word.text && `: ${t.word.text}`),
    el('p', { class: 'fine' }, [t.since && `since ${clock(t.since)}`, t.took_ms && `last check took ${took(t.took_ms)}`, t.damping && `flapped: needs ${t.rise} passes`, t.up_at && `up ${within(t.up_at, site.now)} at the earliest`].filter(Boolean).join(' · ')))));
  if (!rows.length) return [el('p', {}, 'All of them pass.')];
  return [el('ul', { class: 'standings' }, rows), targets.length > MOST && el('p', { class: 'fine' }, `and ${targets.length - MOST} more that are no worse`)];
}

function serving(server, site, tools) {
  if (!server.serving.length) return el('p', {}, 'No traffic is wanted there.');
  return el('ul', { class: 'chips' }, server.serving.slice(0, MOST).map((vip) => el('li', {}, link(vip, (from) => tools.choose({ vip }, from)))),
    server.serving.length > MOST && el('li', {}, `and ${server.serving.length - MOST} more`));
}

// routerContent tells how a router is steered, and what of it is not as wanted.
export function routerContent(name, body, _title, tools) {
  return {
    draw(site) {
      const router = site.routers.get(name);
      if (!router) return replace(body, [el('p', { class: 'refusal' }, `There is no router ${name} any more.`)]);
      const wrong = site.vips.filter((vip) => feeds(site, { vips: [vip] }).has(name));
      const troubles = [router.error, router.cuts && `Planned moves cut connections: ${router.cuts}`, ...router.problems, ...router.foreign].filter(Boolean);
      replace(body, [
        badge(router.state, routerWords[router.state]),
        ...troubles.map((text) => el('p', { class: 'bad' }, text)),
        el('div', { class: 'acts' }, act('Show as it routes', () => tools.lookAt(name))),
        facts(['Driver', router.driver], ['Routes of ours', number(router.routes)], ['Changes since the start', number(router.changes)], ['Of them repairs', number(router.repairs)],
          ['Last read', router.looked ? router.last_look && ago(router.last_look, site.now) : 'never'], ['Last changed', router.last_change && ago(router.last_change, site.now)], ['Tried again', router.retry && within(router.retry, site.now)]),
        router.sessions.length > 0 && section('Sessions', el('ul', { class: 'standings' }, router.sessions.map((s) => el('li', {}, icon(s.well ? 'well' : 'down', s.state), el('div', {},
          el('p', {}, s.peer, ' ', el('b', {}, s.state)), el('p', { class: 'fine' }, [s.since && `since ${clock(s.since)}`, s.detail].filter(Boolean).join(' · '))))))),
        router.fighting.length > 0 && section('Left alone, because another program changes them', el('ul', {}, router.fighting.slice(0, MOST).map((prefix) => el('li', {}, prefix)))),
        wrong.length > 0 && section(`Not as wanted (${wrong.length})`, el('ul', { class: 'chips' }, wrong.slice(0, MOST).map((vip) => el('li', {}, link(vipName(vip), (from) => tools.choose({ vip: vip.prefix }, from)))))),
        el('p', {}, link('What happened to it', () => tools.narrow(name))),
      ]);
    },
  };
}


// What happened: a strip that shows when, a list that says what, by whom and why, and
// a slider that takes the whole page back to any moment of it.

import { attribute, byId, el, icon, keyed, show, svg, write } from './dom.js';
import { fold } from './fold.js';
import { natural } from './state.js';
import { clock, list, number, plural, span, took } from './words.js';

const BARS = 96;
const PAGE = 30; // lines that are listed at once
const SEVERITIES = ['info', 'notice', 'warning', 'critical'];

export class Timeline {
  #events = [];
  #held = null; // the events when paused
  #most = PAGE;

  // back is called with a time to show, or null for now; choose with a server or VIP.
  constructor(back, choose) {
    this.back = back;
    this.choose = choose;
    for (const id of ['span', 'severity']) byId(id).addEventListener('change', () => this.draw());
    byId('about').addEventListener('input', () => this.draw());
    byId('pause').addEventListener('click', () => this.#pause());
    byId('older').addEventListener('click', () => {
      this.#most += 4 * PAGE;
      this.draw();
    });
    byId('scrubber').addEventListener('input', () => this.#scrub());
  }

  update(events) {
    this.#events = events;
    if (this.#held) write(byId('pause'), `Go on (${events.length - this.#held.length} new)`);
    else this.draw();
  }

  // narrow lists what is about a server, a VIP or a router.
  narrow(word) {
    byId('about').value = word;
    this.draw();
    byId('timeline-title').scrollIntoView({ block: 'start' });
  }

  #pause() {
    this.#held = this.#held ? null : this.#events;
    attribute(byId('pause'), 'aria-pressed', String(this.#held !== null));
    write(byId('pause'), this.#held ? 'Go on' : 'Pause');
    this.draw();
  }

  get #window() {
    const to = this.#until ?? Date.now();
    return [to - Number(byId('span').value) * 1000, to];
  }

  // The end of the strip stands still while somebody looks back.
  #until = null;

  #scrub() {
    const slider = byId('scrubber');
    const live = slider.value === slider.max;
    if (live) this.#until = null;
    else this.#until ??= Date.now();
    const [from, to] = this.#window;
    this.at = live ? null : from + ((to - from) * slider.value) / slider.max;
    this.draw();
    this.back(this.at);
  }

  // now returns to the present.
  now() {
    byId('scrubber').value = byId('scrubber').max;
    this.#scrub();
  }

  draw() {
    const [from, to] = this.#window;
    const chosen = (this.#held ?? this.#events).filter(this.#filter());
    const inside = chosen.filter((event) => Date.parse(event.time) >= from && Date.parse(event.time) <= to);
    strip(byId('strip'), inside, from, to);
    write(byId('scale-from'), clock(from));
    write(byId('scale-at'), this.at ? clock(this.at) : inside.length ? plural(inside.length, 'event') : 'nothing happened');
    write(byId('scale-to'), this.#until ? clock(to) : 'now');
    attribute(byId('scrubber'), 'aria-valuetext', this.at ? clock(this.at) : 'now');
    const before = this.at ? chosen.filter((event) => Date.parse(event.time) <= this.at) : chosen;
    const lines = fold(before);
    const listed = lines.slice(-this.#most).reverse();
    keyed(byId('events'), listed, ({ event, n }) => `${event.seq} ${event.time} ${n}`, (line) => this.#line(line), () => {});
    show(byId('older'), lines.length > listed.length);
    write(byId('none'), listed.length ? '' : before.length === this.#events.length ? 'Nothing has happened yet.' : 'No event is like that.');
  }

  #filter() {
    const least = SEVERITIES.indexOf(byId('severity').value);
    const word = byId('about').value.trim().toLowerCase();
    return (event) => SEVERITIES.indexOf(severity(event)) >= least && (!word || about(event, word));
  }

  #line(line) {
    const { event } = line;
    const kind = severity(event);
    return el('li', { class: kind }, el('time', { datetime: event.time, title: event.time }, clock(event.time)), icon(kind, kind), el('p', {}, el('span', { class: 'kind' }, event.kind), ' ', el('span', {}, this.#sentence(line), ' ', background(event, line.tos.size > 1))));
  }

  // sentence says of whom or what, and from what to what.
  #sentence({ event, servers, routers, vips, tos }) {
    const parts = [];
    for (const [names, kind] of [[[...routers].sort(natural.compare), 'router'], [[...servers].sort(natural.compare), 'server']]) {
      names.slice(0, 3).forEach((name) => parts.push(name.includes(',') ? name : this.#link(name, { [kind]: name }), ' '));
      if (names.length > 3) parts.push(`and ${names.length - 3} more `);
    }
    const prefixes = [...vips.values()].reduce((sum, n) => sum + n, 0);
    if (event.vip) parts.push(this.#link(event.vip, { vip: event.vip }), prefixes > 1 ? ` and ${number(prefixes - 1)} more ` : ' ');
    if (event.from && event.from === event.to && tos.size === 1) parts.push(el('b', {}, `stays at ${event.to}`));
    else if (event.from || event.to) parts.push(el('b', {}, `${event.from ?? ''} → ${list([...tos]) || 'nothing'}`));
    return parts;
  }

  #link(text, what) {
    const button = el('button', { type: 'button', class: 'link' }, text);
    button.addEventListener('click', () => this.choose(what, button));
    return button;
  }
}

// severity is as the controller says, or else as it looks.
export function severity(event) {
  if (event.severity) return event.severity;
  if (event.to === 'frozen') return 'critical';
  if (event.to === 'down' || event.to === 'out of sync' || event.to === 'lost') return 'warning';
  return event.kind === 'route' || event.kind === 'echo' ? 'info' : 'notice';
}

const about = (event, word) => [event.server, event.vip, event.router, event.from, event.to, event.by, event.kind].some((text) => text?.toLowerCase().includes(word));

function background(event, several) {
  const reason = several ? event.reason?.replace(/: moved to .*$/, '') : event.reason;
  const words = [event.by && `by ${event.by}`, reason].filter(Boolean).join(': ');
  const times = [event.took_ms && `took ${took(event.took_ms)}`, event.lasted_ms && `after ${span(event.lasted_ms)}`].filter(Boolean).join(', ');
  return el('span', { class: 'why' }, words, times ? el('span', { class: 'took' }, ` ${times}`) : '');
}

// strip draws how many events there were when, the severe ones below.
function strip(root, events, from, to) {
  const bars = Array.from({ length: BARS }, () => [0, 0, 0, 0]);
  for (const event of events) {
    const at = Math.min(BARS - 1, Math.floor((BARS * (Date.parse(event.time) - from)) / (to - from)));
    bars[at][SEVERITIES.indexOf(severity(event))]++;
  }
  const most = Math.max(4, ...bars.map((bar) => bar.reduce((sum, n) => sum + n, 0)));
  const height = (n) => (n ? 3 + (37 * Math.sqrt(n)) / Math.sqrt(most) : 0);
  attribute(root, 'viewBox', `0 0 ${BARS * 10} 44`);
  const pieces = [];
  bars.forEach((bar, i) => {
    let y = 44;
    for (const level of [3, 2, 1, 0]) {
      const h = Math.min(y, height(bar[level]));
      if (h) pieces.push({ key: `${i} ${level}`, level, x: i * 10 + 1, y: (y -= h), h });
    }
  });
  keyed(root, pieces, (piece) => piece.key, () => svg('rect', { width: 8 }), (rect, piece) => {
    for (const [name, value] of [['x', piece.x], ['y', piece.y], ['height', piece.h], ['class', SEVERITIES[piece.level]]]) attribute(rect, name, value);
  });
}


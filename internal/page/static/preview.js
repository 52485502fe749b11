// What would become of the site by a wish: the moves, and what each server would carry.

import { el, icon } from './dom.js';
import { number, plural, servers as names } from './words.js';

// preview tells of a simulation of one step.
export function preview(simulation) {
  const step = simulation.steps.at(-1);
  if (!step) return [el('p', {}, 'Nothing would change.')];
  return [refusal(step), moves(step), stranded(step), loads(simulation.start.load, step.load)].filter(Boolean);
}

function refusal(step) {
  if (!step.refused.length) return null;
  return el('div', { class: 'refusal', role: 'alert' }, el('p', {}, el('b', {}, 'The controller would refuse this:')), el('ul', {}, step.refused.slice(0, 8).map((text) => el('li', {}, text))));
}

// moves are told together where they go from and to the same.
function moves(step) {
  if (!step.moves.length) return el('p', { class: 'sum' }, 'No traffic moves.');
  const groups = Map.groupBy(step.moves, (move) => `${names(move.from)} → ${names(move.to)}`);
  const lines = [...groups].map(([way, all]) => {
    const count = all.reduce((sum, move) => sum + (move.vips || 1), 0);
    const few = all.length <= 4 ? all.map((move) => move.name || move.vip).join(', ') : '';
    return el('li', {}, el('b', {}, way), ` ${plural(count, 'VIP')}`, few && el('span', { class: 'fine' }, ` ${few}`));
  });
  return el('div', {}, el('p', { class: 'sum' }, `${plural(step.moved, 'VIP')} would move`, step.at !== '0s' && ` within ${step.at}`), el('ul', { class: 'moves' }, lines.slice(0, 10)),
    lines.length > 10 && el('p', { class: 'fine' }, `and ${lines.length - 10} more ways`));
}

function stranded(step) {
  if (!step.unserved.length && !step.frozen) return null;
  return el('div', { class: 'refusal' }, step.frozen && el('p', {}, step.frozen),
    step.unserved.slice(0, 6).map((vip) => el('p', {}, `${vip.name || vip.vip} would have no server: ${vip.why}`)));
}

// loads are those that would be others, as bars: what is carried now, and then.
function loads(before, after) {
  const was = new Map(before.map((load) => [load.server, load]));
  const changed = after.filter((load) => Math.abs(load.vips - (was.get(load.server)?.vips ?? 0)) > 0.05 || load.overloaded);
  if (!changed.length) return null;
  const most = Math.max(1, ...after.map((load) => Math.max(load.vips, load.most, was.get(load.server)?.vips ?? 0)));
  const rows = changed.slice(0, 12).map((load) => {
    const then = was.get(load.server)?.vips ?? 0;
    const bar = el('span', { class: 'bars' }, el('span', { class: 'was' }), el('span', { class: load.overloaded ? 'will over' : 'will' }));
    bar.firstChild.style.width = `${(100 * then) / most}%`;
    bar.lastChild.style.width = `${(100 * load.vips) / most}%`;
    return el('tr', {}, el('th', { scope: 'row' }, load.server), el('td', {}, `${number(then)} → ${number(load.vips)}`), el('td', {}, bar), el('td', {}, load.overloaded ? [icon('warning'), ` more than ${number(load.most)}`] : ''));
  });
  return el('table', { class: 'loads' }, el('caption', {}, 'VIPs that servers carry, now and then'),
    el('thead', { class: 'visually-hidden' }, el('tr', {}, ['Server', 'VIPs', 'Bar', 'Note'].map((text) => el('th', { scope: 'col' }, text)))), el('tbody', {}, rows));
}

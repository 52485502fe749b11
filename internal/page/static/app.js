// The page: what the controller tells goes to the headline and the picture, and then
// to the desk, which comes a moment later: time line, panel, dialogs and keys.

import { byId, show, write } from './dom.js';
import { Headline } from './headline.js';
import { Live } from './live.js';
import { Picture } from './picture.js';
import { judge } from './state.js';
import { clock, span } from './words.js';

const LATE = 35000; // ms without a word after which the picture is not to be trusted

const live = new Live();
const headline = new Headline((verb) => withDesk((desk) => desk.wish(verb, {})));
const picture = new Picture((what, from) => withDesk((desk) => desk.choose(what, from)));
const page = { live, picture, site: null, time: null, play: null, goTo };

let desk = null; // a promise of it, once it is asked for
let frame = 0;

// withDesk brings the desk, if it is not here yet, and does something with it.
function withDesk(use) {
  desk ??= import('./desk.js').then(({ Desk }) => new Desk(page));
  desk.then(use, () => (desk = null)); // it could not be fetched: at the next word, again
}

// goTo shows the site as it was at a time, or, with null, as it is.
function goTo(time) {
  page.time = time;
  schedule();
}

// schedule draws once a frame at most, however much is told.
function schedule() {
  if (!frame) frame = requestAnimationFrame(draw);
}

function draw() {
  frame = 0;
  if (!live.status) return;
  const began = performance.now();
  const back = page.time !== null;
  page.site = judge(page.play ? page.play(live.status, live.events, page.time) : live.status);
  document.body.classList.toggle('past', back);
  show(byId('past'), back);
  if (back) write(byId('past'), `As it was at ${clock(page.time)}. Press n for now.`);
  tellAge();
  headline.draw(page.site, back);
  picture.draw(page.site);
  live.cost = performance.now() - began;
  document.body.dataset.drawn = live.status.time;
  withDesk((desk) => desk.draw());
}

live.addEventListener('status', schedule);
live.addEventListener('events', schedule);
live.addEventListener('link', tellLink);
setInterval(tellLink, 1000);

// tellLink says how fresh the picture is.
function tellLink() {
  const quiet = live.heard ? Date.now() - live.heard : 0;
  const lost = live.trouble !== null || quiet > LATE;
  const wantsToken = live.trouble?.wantsToken;
  document.body.dataset.link = lost ? 'lost' : live.heard ? 'live' : 'new';
  write(byId('link-text'), !live.heard ? 'connecting' : lost ? `last heard ${span(quiet)} ago` : 'live');
  show(byId('lost'), lost);
  tellAge();
  write(byId('lost-text'), lost ? lostText(wantsToken) : '');
  write(byId('lost-age'), lost && !wantsToken ? `${live.heard ? `Last heard ${span(quiet)} ago. ` : ''}Traffic flows as it was routed. Trying again…` : '');
  if (wantsToken) withDesk((desk) => desk.askToken(live.trouble));
}

// tellAge says of what time the headline is, if not of now.
function tellAge() {
  const lost = document.body.dataset.link === 'lost';
  const text = page.time !== null ? `At ${clock(page.time)}, as events tell it:` : lost && live.status ? `When last heard, at ${clock(live.status.time)}:` : '';
  show(byId('as-of'), text !== '');
  write(byId('as-of'), text);
}

function lostText(wantsToken) {
  if (wantsToken) return 'The controller shows this page only to who has a token.';
  return live.heard ? 'No word from the controller: what is below may be out of date.' : 'The controller does not answer.';
}

document.body.dataset.link = 'new';
live.start();

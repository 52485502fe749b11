// The page: what the controller tells goes to the headline, the picture, the time
// line and the panel; what an operator asks for goes to a dialog.

import { Live } from './live.js';
import { attribute, byId, show, write } from './dom.js';
import { Headline } from './headline.js';
import { listen } from './keys.js';
import { Panel } from './panel.js';
import { past } from './past.js';
import { Picture } from './picture.js';
import { askToken, showSigned } from './signin.js';
import { judge } from './state.js';
import { Timeline } from './timeline.js';
import { Wish } from './wish.js';
import { clock, span } from './words.js';

const LATE = 35000; // ms without a word after which the picture is not to be trusted

const live = new Live();
const headline = new Headline();
const choose = (what, from) => panel.choose(what, from);
const picture = new Picture(choose);
const timeline = new Timeline((time) => goTo(time), choose);
const panel = new Panel({
  choose,
  wish: (verb, of) => new Wish(verb, of, judge(live.status), () => live.refresh()),
  narrow: (word) => timeline.narrow(word),
  lookAt: (router) => picture.lookAt(router),
});

let time = null; // that is shown; null for now
let site = null;
let frame = 0;

// goTo shows the site as it was at a time, or as it is.
function goTo(at) {
  time = at;
  schedule();
}

// schedule draws once a frame at most, however much is told.
function schedule() {
  if (!frame) frame = requestAnimationFrame(draw);
}

function draw() {
  frame = 0;
  if (!live.status) return;
  site = judge(time === null ? live.status : past(live.status, live.events, time));
  document.body.classList.toggle('past', time !== null);
  show(byId('past'), time !== null);
  if (time !== null) write(byId('past'), `As events tell it for ${clock(time)}. Press n for now.`);
  headline.draw(site, time !== null);
  picture.draw(site);
  panel.draw(time === null ? site : judge(live.status));
  document.body.dataset.drawn = live.status.time;
}

live.addEventListener('status', schedule);
live.addEventListener('events', () => timeline.update(live.events));
live.addEventListener('link', tellLink);
setInterval(tellLink, 1000);

let asked = false;

// tellLink says how fresh the picture is.
function tellLink() {
  const quiet = live.heard ? Date.now() - live.heard : 0;
  const lost = live.trouble !== null || quiet > LATE;
  const wantsToken = live.trouble?.wantsToken;
  document.body.dataset.link = lost ? 'lost' : live.heard ? 'live' : 'new';
  write(byId('link-text'), !live.heard ? 'connecting' : lost ? `last heard ${span(quiet)} ago` : 'live');
  show(byId('lost'), lost);
  write(byId('lost-text'), lost ? (wantsToken ? 'The controller shows this page only to who has a token.' : live.heard ? 'No word from the controller: what is below may be out of date.' : 'The controller does not answer.') : '');
  write(byId('lost-age'), lost && !wantsToken ? `${live.heard ? `Last heard ${span(quiet)} ago. ` : ''}Traffic flows as it was routed. Trying again…` : '');
  if (wantsToken && !asked) {
    asked = true;
    askToken(live.trouble).then((given) => given && retry());
  }
}

function retry() {
  asked = false;
  live.retry();
}

byId('sign').addEventListener('click', () => askToken().then((given) => given && retry()));
byId('resume').addEventListener('click', () => new Wish('resume', {}, site, () => live.refresh()));
byId('failback').addEventListener('click', () => new Wish('failback', {}, site, () => live.refresh()));
byId('search').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || !site) return;
  const word = event.target.value.trim();
  if (site.servers.has(word)) choose({ server: word }, event.target);
  else document.querySelector('#drawing .vips .node:not(.group)')?.click();
});
listen({ closePanel: () => panel.close(), now: () => timeline.now() });
showSigned();
attribute(document.body, 'data-link', 'new');
live.start();

// What is done at the page, and what is not needed to see whether all is well.

import { byId } from './dom.js';
import { listen } from './keys.js';
import { Panel } from './panel.js';
import { play } from './play.js';
import { askToken, showSigned } from './signin.js';
import { judge } from './state.js';
import { Timeline } from './timeline.js';
import { Wish } from './wish.js';

export class Desk {
  #asking = false;

  constructor(page) {
    this.page = page;
    page.play = play;
    const choose = (what, from) => this.choose(what, from);
    this.timeline = new Timeline(page.goTo, choose);
    this.panel = new Panel({ choose, wish: (verb, of) => this.wish(verb, of), narrow: (word) => this.timeline.narrow(word), lookAt: (router) => page.picture.lookAt(router) });
    page.live.addEventListener('events', () => this.timeline.update(page.live.events));
    this.timeline.update(page.live.events);
    listen({ closePanel: () => this.panel.close(), now: () => this.timeline.now() });
    byId('sign').addEventListener('click', () => this.askToken());
    byId('search').addEventListener('keydown', (event) => event.key === 'Enter' && this.#openFound(event.target));
    showSigned();
    document.body.dataset.desk = 'here';
  }

  // draw freshens what is open, which is always of now.
  draw() {
    const { site, time, live } = this.page;
    if (site) this.panel.draw(time === null ? site : judge(live.status));
  }

  choose(what, from) {
    this.panel.choose(what, from);
  }

  wish(verb, of) {
    new Wish(verb, of, judge(this.page.live.status), () => this.page.live.refresh());
  }

  // askToken asks once at a time.
  async askToken(refusal) {
    if (this.#asking) return;
    this.#asking = true;
    const given = await askToken(refusal);
    this.#asking = refusal !== undefined && !given; // who wants none is not asked again
    if (given) this.page.live.retry();
  }

  #openFound(field) {
    const word = field.value.trim();
    if (this.page.site.servers.has(word)) this.choose({ server: word }, field);
    else document.querySelector('#drawing .vips .node:not(.group)')?.click();
  }
}

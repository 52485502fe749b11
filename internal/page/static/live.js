// Keeps the page's picture of the site fresh: the status, read again whenever the
// controller tells that something changed, and the events.

import * as api from './api.js';
import { first } from './first.js';
import { follow } from './sse.js';

const SOON = 15; // ms after news, so that what comes together is read once
const SLOW = 15000; // ms between looks while the stream says that nothing changes
const FAST = 3000; // while connections end, a check is in doubt, or there is no stream
const SILENT = 40000; // ms without a word after which a stream is given up
const MOST = 5000; // events kept here

export class Live extends EventTarget {
  status = null;
  events = []; // oldest first
  heard = 0; // when the controller last said anything
  trouble = null; // why it is not heard
  cost = 0; // ms that it takes to draw a status, as whoever draws it says
  #timer = 0;
  #reading = false;
  #again = false;
  #streaming = false;
  #first = first;

  start() {
    this.#read();
    this.#streamForever();
    document.addEventListener('visibilitychange', () => document.hidden || this.refresh());
    addEventListener('online', () => this.refresh());
  }

  // refresh reads the status soon. What takes long to draw is read less often.
  refresh(after = SOON) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#read(), Math.max(after, this.cost));
  }

  // retry is for a new token: all is asked for again.
  retry() {
    this.#wake?.();
    this.refresh();
  }

  async #read() {
    if (this.#reading) {
      this.#again = true;
      return;
    }
    this.#reading = true;
    try {
      this.status = await (this.#first ?? api.status());
      this.#hear();
      this.#emit('status');
    } catch (error) {
      this.#lose(error);
    }
    this.#first = null;
    this.#reading = false;
    this.refresh(this.#again ? SOON : this.#pause());
    this.#again = false;
  }

  // pause is how long nothing needs to be read if nothing is told.
  #pause() {
    if (document.hidden) return 4 * SLOW;
    const s = this.status;
    const moving = !s || this.trouble || s.transitions.length > 0 || s.servers.some((server) => server.targets.some((t) => t.trend));
    return Math.max(moving || !this.#streaming ? FAST : SLOW, 20 * this.cost);
  }

  // wait ends a pause between tries early when it is called.
  #wake = null;
  #sleep(ms) {
    return new Promise((done) => {
      this.#wake = done;
      setTimeout(done, ms);
    });
  }

  async #streamForever() {
    for (let tries = 0; ; tries++) {
      const began = Date.now();
      try {
        await this.#history();
        await this.#stream();
      } catch (error) {
        // Its end alone is no loss: whether the controller is there, the status tells.
        if (error instanceof api.Refusal && !error.wantsToken) this.dispatchEvent(new CustomEvent('nostream', { detail: error }));
      }
      this.#streaming = false;
      this.refresh();
      if (Date.now() - began > 10000) tries = 0;
      await this.#sleep(Math.min(10000, 250 * 2 ** Math.min(tries, 6)));
    }
  }

  // history reads what happened before, or while nobody listened.
  async #history() {
    const after = new Date(Date.now() - 24 * 3600e3).toISOString();
    const last = this.events.at(-1)?.seq;
    const events = await api.events(last ? { since: last } : { after }).catch((error) => {
      // A controller that knows no "after" tells all that it keeps.
      if (error.status === 400) return api.events({ since: 0 });
      throw error;
    });
    this.#keep(events);
  }

  async #stream() {
    const end = new AbortController();
    let timer = 0;
    const heard = () => {
      this.#streaming = true;
      this.#hear();
      clearTimeout(timer);
      timer = setTimeout(() => end.abort(), SILENT);
    };
    const last = this.events.at(-1)?.seq;
    try {
      await follow('/v1/events/stream', { last: last && String(last), signal: end.signal, heard, tell: (news) => this.#news(news) });
    } finally {
      clearTimeout(timer);
    }
  }

  // news is an event, or the word that something else changed.
  #news({ data }) {
    let value = null;
    try {
      value = JSON.parse(data);
    } catch {
      // A word without a value: the status has what it is about.
    }
    if (value?.seq && value.kind && value.time) this.#keep([value]);
    this.refresh();
  }

  #keep(events) {
    const last = this.events.at(-1)?.seq ?? 0;
    const restarted = events.length > 0 && events.at(-1).seq < last; // of a controller that forgot
    const fresh = restarted ? events : events.filter((event) => event.seq > last);
    if (fresh.length === 0) return;
    this.events = (restarted ? [] : this.events).concat(fresh).slice(-MOST);
    this.#emit('events');
  }

  #hear() {
    this.heard = Date.now();
    if (this.trouble === null) return;
    this.trouble = null;
    this.#emit('link');
  }

  #lose(error) {
    this.trouble = error;
    this.#emit('link');
  }

  #emit(name) {
    this.dispatchEvent(new Event(name));
  }
}

// How times, numbers and names are written.

// plural counts things: "1 server", "2 servers".
export const plural = (n, noun) => `${number(n)} ${noun}${n === 1 ? '' : 's'}`;

// number writes 12,345 and, of what is no whole number, one decimal.
export const number = (n) => n.toLocaleString('en', { maximumFractionDigits: 1 });

// span writes a length of time: "12 s", "4 min", "3 h 20 min", "5 d".
export function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  const min = Math.floor(s / 60);
  if (min < 60) return `${min} min`;
  const h = Math.floor(min / 60);
  if (h < 24) return min % 60 && h < 10 ? `${h} h ${min % 60} min` : `${h} h`;
  return `${Math.floor(h / 24)} d`;
}

// took writes how long something took, finely.
export function took(ms) {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

// ago and within say how far a time is from now.
export const ago = (time, now) => (time ? `${span(now - Date.parse(time))} ago` : 'always');
export const within = (time, now) => `in ${span(Date.parse(time) - now)}`;

const today = (date) => date.toDateString() === new Date().toDateString();

// clock writes a time of day, and the day if it is another one.
export function clock(time) {
  const date = new Date(time);
  const hours = date.toLocaleTimeString('en-GB');
  return today(date) ? hours : `${date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' })} ${hours}`;
}

// list writes names with commas, at most so many of them.
export function list(names, most = 4) {
  if (names.length <= most) return names.join(', ');
  return `${names.slice(0, most - 1).join(', ')} and ${names.length - most + 1} more`;
}

// servers writes where traffic goes.
export const servers = (names) => (names.length ? list(names, 6) : 'no server');

// vipName is how a VIP is called, and several of one entry.
export const vipName = (vip) => vip.name || vip.prefix;
export const vipCount = (vip) => vip.prefixes?.length || 1;

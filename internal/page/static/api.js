// Asking the controller. An operator's token is kept in memory, or until the tab
// is closed if they ask for it, and is sent as a header alone.

const STORE = 'routesteer-token';
let token = sessionStorage.getItem(STORE) ?? '';

export const signedIn = () => token !== '';

// signIn takes a token, "" for none, and keeps it for this tab if asked.
export function signIn(text, keep) {
  token = text;
  if (keep && text) sessionStorage.setItem(STORE, text);
  else sessionStorage.removeItem(STORE);
}

// Refusal is an answer that is no success: the controller's own words, or those of
// whatever stands in its place.
export class Refusal extends Error {
  constructor(status, answer) {
    super(answer?.message || `the controller answered ${status}`);
    this.status = status;
    this.code = answer?.code ?? '';
    this.details = answer?.details ?? [];
    this.hint = answer?.hint ?? '';
  }

  get wantsToken() {
    return this.status === 401 || this.status === 403;
  }
}

// request makes one request; it rejects with a Refusal, or a TypeError where nobody
// answers.
export async function request(path, { body, signal, headers = {} } = {}) {
  const options = { signal, cache: 'no-cache', credentials: 'same-origin', redirect: 'error', headers: { ...headers } };
  if (token) options.headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) {
    options.method = 'POST';
    options.headers['Content-Type'] = 'application/json';
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(path, options);
  if (!answer.ok) throw new Refusal(answer.status, await answer.json().catch(() => null));
  return answer;
}

const json = async (path, options) => (await request(path, options)).json();
const limit = (ms) => AbortSignal.timeout(ms);

export const status = () => json('/v1/status?brief=true', { signal: limit(15000) });
export const fullStatus = () => json('/v1/status', { signal: limit(30000) });
export const explain = (vip, signal) => json(`/v1/explain?vip=${encodeURIComponent(vip)}`, { signal });
export const simulate = (steps, signal) => json('/v1/simulate', { body: { steps, prove: true }, signal });

// wish asks for a change: drain, undrain, pin, unpin, failback or resume.
export const wish = (verb, body) => json(`/v1/${verb}`, { body });

// events reads what is kept after a sequence number, a JSON value a line.
export async function events(query) {
  const text = await (await request(`/v1/events?${new URLSearchParams(query)}`, { signal: limit(15000) })).text();
  const lines = text.split('\n').filter((line) => line.trim() !== '').map((line) => JSON.parse(line));
  return lines.filter((line) => !line.error);
}

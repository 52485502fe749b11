// Reading a stream of server-sent events with fetch, because EventSource cannot
// send a token. https://html.spec.whatwg.org/multipage/server-sent-events.html

import { request } from './api.js';

// follow reads the stream until it ends, which is an error too. heard is called for
// whatever comes, blank lines of a quiet stream included; tell for each event.
export async function follow(path, { last, signal, heard, tell }) {
  const headers = { Accept: 'text/event-stream' };
  if (last) headers['Last-Event-ID'] = last;
  const answer = await request(path, { headers, signal });
  heard();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  const parse = parser(tell);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error('the stream of events has ended');
    heard();
    parse(value);
  }
}

// parser takes pieces of the stream as they come.
function parser(tell) {
  let rest = '';
  let event = { type: '', data: [], id: '' };
  const line = (text) => {
    if (text === '') {
      if (event.data.length || event.type) tell({ type: event.type || 'message', data: event.data.join('\n'), id: event.id });
      event = { type: '', data: [], id: event.id };
      return;
    }
    const colon = text.indexOf(':');
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? '' : text.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') event.type = value;
    else if (field === 'data') event.data.push(value);
    else if (field === 'id') event.id = value;
  };
  return (piece) => {
    const lines = (rest + piece).split(/\r\n|\n|\r/);
    rest = lines.pop();
    lines.forEach(line);
  };
}

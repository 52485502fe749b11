// The first question to the controller, asked before the rest of the page is here.

import { status } from './api.js';

export const first = status();
first.catch(() => {}); // told to who waits for it

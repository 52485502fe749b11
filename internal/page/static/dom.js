// Making and changing elements. Whatever comes from the controller becomes text or
// an attribute's value, never markup.

const SVG = 'http://www.w3.org/2000/svg';

// el makes an element. Properties that are functions listen ({onclick: f}), data is
// for data-*, the others are attributes; null, undefined and false leave them out.
export function el(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

// svg does the same in the namespace of drawings.
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === 'function') node.addEventListener(name.slice(2), value);
    else if (name === 'data') Object.assign(node.dataset, value);
    else attribute(node, name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// attribute sets an attribute, or takes it away, if that changes anything.
export function attribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
    return;
  }
  const text = value === true ? '' : String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

// write sets an element's text if it is another.
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
  return node;
}

// show hides an element, or not.
export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

// icon is one of the shapes in index.html.
export function icon(name, label = '') {
  const properties = { class: `icon ${name}`, ...(label ? { role: 'img', 'aria-label': label } : { 'aria-hidden': 'true' }) };
  return svg('svg', { ...properties, viewBox: '0 0 16 16' }, svg('use', { href: `#i-${name}` }));
}

// reshape makes an icon another one.
export function reshape(node, name) {
  attribute(node, 'class', `icon ${node.classList.contains('big') ? 'big ' : ''}${name}`);
  attribute(node.firstChild, 'href', `#i-${name}`);
}

// keyed makes parent's children those of items, in their order. Elements stay with
// their key: only what is new is made, and only what is out of place is moved.
export function keyed(parent, items, key, make, update) {
  const former = parent.keyed ?? new Map();
  const now = new Map();
  let at = parent.firstChild;
  for (const item of items) {
    const name = key(item);
    const node = former.get(name) ?? make(item);
    former.delete(name);
    now.set(name, node);
    update(node, item);
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
  }
  for (const node of former.values()) node.remove();
  parent.keyed = now;
}

// byId is an element of index.html.
export const byId = (id) => document.getElementById(id);

// Elements made of plain values. Texts only ever become text nodes: nothing is read as HTML.

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; `on…` are listeners, and empty values leave out. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false && child !== ""));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element with attributes. */
export function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Say something to screen readers. */
export function announce(text) {
  const at = byId("announcer");
  at.textContent = "";
  setTimeout(() => (at.textContent = text), 50);
}

/** The last part of a source's name: the file, or what is inside an archive. */
export function fileName(source) {
  return source.replace(/\/+$/, "").split(/[/!]/).pop() || source;
}

/** A number of things in words. */
export function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** What was kept under a name; nothing where the browser keeps nothing. */
export function kept(storage, name) {
  try {
    return globalThis[storage].getItem(name);
  } catch {
    return null;
  }
}

/** Keep a text under a name, where the browser lets us. */
export function keep(storage, name, text) {
  try {
    globalThis[storage].setItem(name, text);
  } catch {
    // then it lasts as long as the page
  }
}

/** An address that is safe to link to, or nothing. */
export function webAddress(text) {
  try {
    const url = new URL(text);
    return ["http:", "https:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

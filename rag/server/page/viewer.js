// The source beside the answer: a page as a picture or as text, with the quote marked on it.

import { get, ServerGone } from "./api.js";
import { announce, byId, el, fileName, svg, webAddress } from "./dom.js";

const wide = matchMedia("(min-width: 60rem)");

let shown = null; // { source, start, end, number, view, and of a web page: url, quote }
let asText = false;
let turn = 0; // of several pages asked for, the last one counts

/** Make the buttons and keys of the source work. */
export function startViewer() {
  const dialog = byId("viewer");
  byId("viewer-close").addEventListener("click", close);
  byId("viewer-back").addEventListener("click", () => go(-1));
  byId("viewer-on").addEventListener("click", () => go(1));
  byId("viewer-jump").addEventListener("submit", (event) => {
    event.preventDefault();
    const field = byId("viewer-page");
    go(Number.parseInt(field.value, 10) - (shown?.view?.number ?? 0));
    field.value = "";
  });
  byId("viewer-to-quote").addEventListener("click", () => load({ ...shown, number: undefined }));
  byId("viewer-as-text").addEventListener("click", () => {
    asText = !asText;
    load(shown);
  });
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.preventDefault();
      close();
    }
    if (event.target === byId("viewer-page")) return;
    if (event.key === "ArrowLeft") go(-1);
    if (event.key === "ArrowRight") go(1);
  });
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    close();
  });
  addEventListener("popstate", () => {
    if (dialog.open && !history.state?.source) shut();
  });
  wide.addEventListener("change", () => {
    if (!dialog.open) return;
    dialog.close();
    open();
  });
}

/** Open a document where `start` to `end` stands; beside the answers, or over them on a phone. */
export function openSource({ source, start = 0, end = 0, url, quote, text }) {
  open();
  byId("viewer-title").textContent = fileName(source);
  byId("viewer-place").textContent = "";
  byId("viewer-body").replaceChildren(el("p", { class: "thinking" }, "Opening…"));
  byId("viewer-title").focus({ preventScroll: true });
  return load({ source, start, end, url, quote: quote ?? text });
}

function open() {
  const dialog = byId("viewer");
  if (!dialog.open) wide.matches ? dialog.show() : dialog.showModal();
  if (!history.state?.source) history.pushState({ source: true }, ""); // so that "back" closes it
  document.body.classList.add("viewing");
}

function close() {
  if (history.state?.source) history.back();
  else shut();
}

function shut() {
  byId("viewer").close(); // which gives the focus back to what had it
  document.body.classList.remove("viewing");
  turn += 1;
}

function go(step) {
  const number = (shown?.view?.number ?? 0) + step;
  if (shown?.view && number >= 1 && number <= shown.view.count) load({ ...shown, number });
}

async function load(wanted) {
  const mine = (turn += 1);
  shown = wanted;
  const { source, start, end, number } = wanted;
  try {
    const view = await get("/v1/documents/view", { source, start, end, number });
    if (mine !== turn) return;
    shown = { ...wanted, view };
    about(view);
    const drawn = view.drawn && !asText ? await picture(wanted, view) : null;
    if (mine !== turn) return;
    byId("viewer-body").replaceChildren(drawn ?? text(view));
    byId("viewer-body").dataset.view = drawn ? "picture" : "text";
    toQuote(view);
  } catch (error) {
    if (mine !== turn) return;
    if (error.status === 404 && wanted.quote) return elsewhere(wanted);
    const words = error instanceof ServerGone ? error.message : `This source cannot be shown: ${error.message}`;
    byId("viewer-body").replaceChildren(el("p", { class: "problem", role: "alert" }, words));
  }
}

/** What is in no index, a page of the web: what was read of it, and the way to it. */
function elsewhere({ source, url, quote }) {
  const address = webAddress(url ?? source);
  for (const id of ["viewer-back", "viewer-on", "viewer-jump", "viewer-as-text", "viewer-to-quote"]) byId(id).hidden = true;
  byId("viewer-number").textContent = "As it was read";
  byId("viewer-place").replaceChildren(el("bdi", {}, source));
  note("This is not in the index; below is what was read of it for the answer.");
  const way = address && el("p", {}, el("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, "Open it on the web"));
  byId("viewer-body").replaceChildren(el("div", { class: "text" }, el("p", { dir: "auto" }, el("mark", {}, quote)), way));
  byId("viewer-body").dataset.view = "text";
}

/** The lines around the page: its name, where it is, what can be done. */
function about(view) {
  const unit = view.paged ? "Page" : "Part";
  byId("viewer-title").textContent = view.title || fileName(view.source);
  byId("viewer-title").dir = "auto";
  byId("viewer-place").replaceChildren(el("bdi", {}, view.source));
  byId("viewer-number").textContent = view.count > 1 || view.paged ? `${unit} ${view.number} of ${view.count}` : "As it was read";
  for (const [id, step] of [["viewer-back", -1], ["viewer-on", 1]]) {
    const to = view.number + step;
    byId(id).disabled = to < 1 || to > view.count;
    byId(id).hidden = view.count === 1;
  }
  byId("viewer-jump").hidden = view.count < 4;
  byId("viewer-as-text").hidden = !view.drawn;
  byId("viewer-as-text").setAttribute("aria-pressed", String(asText));
  const quoted = view.lines.some((line) => line.pieces.some((piece) => piece.quoted));
  byId("viewer-to-quote").hidden = quoted || shown.end <= shown.start;
  note("");
}

function note(text) {
  byId("viewer-note").textContent = text;
  byId("viewer-note").hidden = !text;
}

/** The page's picture with the quote's lines on it; null, with a note, when there is none. */
async function picture({ source, start, end }, view) {
  let page;
  try {
    page = await get("/v1/documents/picture", { source, start, end, number: view.number });
  } catch (error) {
    if (error instanceof ServerGone) throw error;
    note(`Shown as text: ${error.message}.`);
    return null;
  }
  const { width, height } = page;
  const image = el("img", { src: `data:image/png;base64,${page.png}`, width, height, alt: `Page ${view.number} as a picture; its text follows.` });
  const marks = page.marks.map(([x, y, wide, high]) => svg("rect", { class: "quoted", x: x - 4, y: y - 4, width: wide + 8, height: high + 8, rx: 3 }));
  const layer = svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, ...marks);
  if (!marks.length && byId("viewer-to-quote").hidden && end > start) note("The quote could not be found on the picture; “Text” shows it marked.");
  return el("figure", {}, image, layer, el("figcaption", { class: "unseen" }, text(view)));
}

/** The text as it was extracted, with headings, and the quote marked. */
function text(view) {
  const lines = view.lines.filter((line) => line.pieces.some((piece) => piece.text.trim())).map((line) => {
    const pieces = line.pieces.map((piece) => (piece.quoted ? el("mark", {}, piece.text) : piece.text));
    if (!line.level) return el("p", { dir: "auto" }, pieces);
    return el("p", { dir: "auto", class: "heading", role: "heading", "aria-level": Math.min(line.level + 2, 6) }, pieces);
  });
  return el("div", { class: "text" }, lines.length ? lines : el("p", { class: "fine" }, "There is no text on this page."));
}

async function toQuote(view) {
  const body = byId("viewer-body");
  const image = body.querySelector("img");
  if (image) await image.decode().catch(() => {});
  const mark = body.querySelector("rect.quoted") ?? body.querySelector(".text:not(.unseen *) mark");
  if (mark) mark.scrollIntoView({ block: "center" });
  else body.scrollTop = 0;
  announce(`${byId("viewer-number").textContent} of ${fileName(view.source)}${mark ? ", with the quote marked" : ""}.`);
}

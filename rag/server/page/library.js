// What is in the index and what is not; files and folders added to it, and how far that is.

import { get, post, remove, upload } from "./api.js";
import { announce, byId, count, el, fileName } from "./dom.js";
import { onlyIn, typeName } from "./filters.js";
import { openSource } from "./viewer.js";

const MOST = 500; // rows that are drawn; the field above finds the others
const PAUSE = 400; // milliseconds between two looks at a run

let site;
let refresh;
let watching = false;
let folder = null; // the one that is shown to be chosen

/** Make the list, the drop zone and the folders work. */
export function startLibrary(shared, refreshed) {
  site = shared;
  refresh = refreshed;
  byId("find").addEventListener("input", list);
  byId("files").addEventListener("change", (event) => {
    send([...event.target.files]);
    event.target.value = "";
  });
  byId("folder").addEventListener("click", () => {
    byId("folders").showModal();
    browse(site.status.roots.length === 1 ? site.status.roots[0] : null);
  });
  byId("folders-close").addEventListener("click", () => byId("folders").close());
  byId("folders-take").addEventListener("click", () => {
    byId("folders").close();
    begin([folder]);
  });
  startDropping();
}

function startDropping() {
  const zone = byId("drop");
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    zone.classList.add("over");
  });
  addEventListener("dragleave", () => zone.classList.remove("over"));
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    zone.classList.remove("over");
    location.hash = "documents";
    if (site.status?.index) send([...event.dataTransfer.files]);
  });
}

/** Show what there is. */
export function loadLibrary() {
  const { status, documents, skipped } = site;
  byId("adding").hidden = !status.index;
  byId("folder").hidden = !status.roots.length;
  byId("library-none").hidden = Boolean(status.index && documents.length);
  byId("library-none").textContent = status.index
    ? "Nothing is indexed yet."
    : "This server was started without an index: rag serve --root DOCUMENTS makes one.";
  byId("listing").hidden = !documents.length && !skipped.length;
  list();
  byId("gaps").hidden = !skipped.length;
  byId("gap-list").replaceChildren(...skipped.slice(0, MOST).map(gap));
  if (status.index) watch();
}

function gap({ source, reason }) {
  return el("li", {}, el("bdi", { class: "name" }, source), el("span", { class: "fine" }, reason));
}

function list() {
  const wanted = byId("find").value.trim().toLowerCase();
  const found = site.documents.filter((each) => `${each.source} ${each.title ?? ""}`.toLowerCase().includes(wanted));
  byId("documents").replaceChildren(...found.slice(0, MOST).map(row));
  const more = found.length > MOST ? `, the first ${MOST} shown` : "";
  byId("found").textContent = wanted ? `${found.length} of ${count(site.documents.length, "document")}${more}` : more && count(found.length, "document") + more;
}

function row(document) {
  const { source, title } = document;
  const facts = [typeName(document.media_type), document.pages && count(document.pages, "page"), count(document.chunks, "passage"), document.date?.slice(0, 10)];
  const about = [title !== fileName(source) && title, source.slice(0, -fileName(source).length)];
  return el(
    "li",
    {},
    el(
      "button",
      { class: "document", type: "button", onclick: () => openSource({ source }) },
      el("bdi", { class: "name" }, fileName(source)),
      ...about.filter(Boolean).map((text) => el("bdi", { class: "about" }, text)),
    ),
    el("span", { class: "facts" }, facts.filter(Boolean).join(" · ")),
    el(
      "button",
      { class: "link", type: "button", "aria-label": `Ask only this: ${fileName(source)}`, onclick: () => askOnly(source) },
      "Ask only this",
    ),
  );
}

function askOnly(source) {
  onlyIn(source);
  location.hash = "ask";
}

// Adding

async function send(files) {
  const paths = [];
  const refused = [];
  for (const [at, file] of files.entries()) {
    job(el("p", {}, `Sending ${file.name}`), bar(at, files.length));
    try {
      paths.push((await upload("/v1/uploads", file.name, file)).path);
    } catch (error) {
      refused.push({ source: file.name, reason: error.message });
    }
  }
  if (paths.length) await begin(paths, refused);
  else job(problem("None of these files could be sent."), gaps(refused));
}

async function begin(paths, refused = []) {
  try {
    await post("/v1/index", { paths });
    await watch(refused, true);
  } catch (error) {
    job(problem(error.message));
  }
}

/** Show how far indexing is, until it is done. */
async function watch(refused = [], ours = false) {
  if (watching) return;
  watching = true;
  let seen = ours;
  try {
    for (;;) {
      const at = await get("/v1/index");
      if (!at.running && !at.waiting) {
        if (seen) finished(at, refused);
        break;
      }
      seen = true;
      progress(at);
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  } catch (error) {
    job(problem(error.message));
  } finally {
    watching = false;
  }
  if (seen) refresh();
}

function progress(at) {
  const stop = el("button", { class: "link", type: "button", onclick: () => remove("/v1/index") }, "Stop");
  const far = at.total ? `${at.done} of ${count(at.total, "file")}` : "Looking for files";
  job(
    el("p", {}, el("strong", {}, "Indexing "), el("bdi", {}, at.name)),
    bar(at.done, at.total),
    el("p", { class: "fine" }, far, at.source && " · ", at.source && el("bdi", {}, fileName(at.source)), " ", stop),
  );
}

function finished(at, refused) {
  if (at.error) return job(problem(at.error));
  const changes = [[at.added, "added"], [at.updated, "updated"], [at.unchanged, "unchanged"]];
  const told = changes.filter(([number]) => number).map(([number, word]) => `${number} ${word}`);
  const all = [...refused, ...at.skipped];
  if (all.length) told.push(`${all.length} left out`);
  const head = at.stopped ? `Stopped after ${at.done} of ${count(at.total, "file")}; what was indexed stays.` : `Done: ${told.join(", ") || "there was nothing to read"}.`;
  job(el("p", {}, head), gaps(all));
  announce(head);
}

function gaps(list) {
  return list.length ? el("ul", { class: "gaps" }, list.slice(0, 20).map(gap)) : "";
}

function job(...parts) {
  const box = byId("job");
  box.replaceChildren(...parts.filter(Boolean));
  box.hidden = false;
}

function bar(done, total) {
  return el("progress", { "aria-label": "Progress", max: Math.max(total, 1), value: total ? done : null });
}

function problem(text) {
  return el("p", { class: "problem", role: "alert" }, text);
}

// Choosing a folder

async function browse(path) {
  const rows = byId("folders-list");
  try {
    const found = await get("/v1/folders", { path });
    folder = found.path;
    byId("folders-path").replaceChildren(el("bdi", {}, found.path ?? "Folders that this server may read:"));
    byId("folders-take").disabled = !found.path;
    const above = found.parent ?? (site.status.roots.length > 1 ? null : undefined);
    const up = path && above !== undefined && el("li", {}, el("button", { type: "button", onclick: () => browse(above) }, "‹ Back"));
    const inner = found.folders.map((each) => el("li", {}, el("button", { type: "button", onclick: () => browse(each.path) }, el("bdi", {}, each.name))));
    const files = found.path && el("li", { class: "fine" }, `${count(found.files, "file")} directly in it`);
    rows.replaceChildren(...[up, ...inner, files].filter(Boolean));
    (rows.querySelector("button") ?? byId("folders-take")).focus();
  } catch (error) {
    rows.replaceChildren(el("li", {}, problem(error.message)));
  }
}

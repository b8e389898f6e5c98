// Starts the page: which of its views is shown, light or dark, the token, a server that is gone.

import { connect, get, ServerGone } from "./api.js";
import { showSite, startAsking, toQuestion } from "./ask.js";
import { byId, el, keep, kept } from "./dom.js";
import { loadLibrary, startLibrary } from "./library.js";
import { startViewer } from "./viewer.js";

const site = { status: null, documents: [], skipped: [] };
let waiting = false;

connect({ askForToken, onGone });
startTheme();
startViewer();
startAsking(site);
startLibrary(site, refresh);
addEventListener("hashchange", show);
show();
refresh();

/** Ask what there is, and show it. */
async function refresh() {
  try {
    site.status = await get("/v1/status");
    const known = site.status.index ? await get("/v1/documents") : { documents: [], skipped: [] };
    Object.assign(site, known);
  } catch (error) {
    if (!(error instanceof ServerGone)) byId("gone").replaceChildren(error.message);
    byId("gone").hidden = false;
    return;
  }
  byId("document-count").textContent = site.status.index ? String(site.documents.length) : "";
  showSite();
  loadLibrary();
}

function show() {
  const documents = location.hash === "#documents";
  byId("asking").hidden = documents;
  byId("library").hidden = !documents;
  mark(byId("to-ask"), !documents);
  mark(byId("to-documents"), documents);
  document.title = documents ? "Documents · ragbone" : "ragbone";
  scrollTo(0, documents ? 0 : document.body.scrollHeight);
  if (documents) byId("library-title").focus({ preventScroll: true });
  else toQuestion();
}

function mark(link, here) {
  if (here) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
}

/** Say that the server cannot be reached, and look for it until it can. */
function onGone() {
  if (waiting) return;
  waiting = true;
  const gone = byId("gone");
  gone.replaceChildren(
    el("strong", {}, "The server cannot be reached. "),
    "Is ", el("code", {}, "rag serve"), " still running? This page goes on by itself when it is back.",
  );
  gone.hidden = false;
  const timer = setInterval(async () => {
    const reply = await fetch("/health").catch(() => null);
    if (!reply?.ok || !waiting) return;
    clearInterval(timer);
    waiting = false;
    gone.hidden = true;
    refresh();
  }, 1500);
}

function askForToken(wrong) {
  const dialog = byId("token");
  byId("token-wrong").hidden = !wrong;
  byId("token-value").value = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.oncancel = (event) => event.preventDefault(); // nothing here works without
    byId("token-form").onsubmit = (event) => {
      event.preventDefault();
      dialog.close();
      resolve(byId("token-value").value);
    };
  });
}

/** As the system has it, until someone chooses. */
function startTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = byId("theme");
  let chosen = kept("localStorage", "theme");
  const apply = () => {
    if (chosen) document.documentElement.dataset.theme = chosen;
    button.setAttribute("aria-pressed", String(chosen ? chosen === "dark" : system.matches));
  };
  button.addEventListener("click", () => {
    chosen = button.getAttribute("aria-pressed") === "true" ? "light" : "dark";
    keep("localStorage", "theme", chosen);
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}

// The question and its answers: sends the one, shows the others as they come.

import { events, Refused, ServerGone } from "./api.js";
import { showAnswer, showSentence } from "./answer.js";
import { announce, byId, count, el } from "./dom.js";
import { offerFilters, startFilters, where } from "./filters.js";

let site;
let running = null; // what stops the question that is being answered
const history = []; // the questions and answers so far, which the next question may refer to
const REMEMBERED = 12;

/** Make the question's field work. */
export function startAsking(shared) {
  site = shared;
  startFilters();
  const field = byId("question");
  field.addEventListener("input", grow);
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault(); // an Enter that ends a word of Japanese is none
    byId("form").requestSubmit();
  });
  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const question = field.value.trim();
    if (!question || running) return;
    field.value = "";
    grow();
    ask({ question, where: where(), web: byId("web").checked && site.status.web });
  });
  byId("stop").addEventListener("click", () => running?.abort());
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, dialog");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (byId("asking").hidden) location.hash = "ask"; // which gives the field the focus, once it shows
    else field.focus();
  });
}

/** Show what can be asked, or what is missing to ask. */
export function showSite() {
  const { status, documents } = site;
  byId("form").hidden = !documents.length;
  byId("web-switch").hidden = !status.web;
  byId("welcome").replaceChildren(...welcome(status, documents.length));
  byId("welcome").hidden = byId("thread").hasChildNodes();
  offerFilters(documents);
  if (location.hash !== "#documents" && document.activeElement === document.body) toQuestion();
}

/** Let the next words typed be a question; on a phone that would raise the keyboard unasked. */
export function toQuestion() {
  if (matchMedia("(hover: hover)").matches) byId("question").focus({ preventScroll: true });
}

function welcome(status, documents) {
  if (!status.index) {
    return [
      el("h1", {}, "There is no index here yet"),
      el("p", { class: "lead" }, "Stop the server and start it again with a folder of documents:"),
      el("pre", { class: "command" }, "rag serve --root DOCUMENTS"),
      el("p", { class: "fine" }, "or make an index first, with ", el("code", {}, "rag index DOCUMENTS"), "."),
    ];
  }
  if (!documents) {
    return [
      el("h1", {}, "Nothing is indexed yet"),
      el("p", { class: "lead" }, "Add a few documents, and ask them anything they say."),
      el("p", { class: "actions" }, el("a", { class: "button", href: "#documents" }, "Add documents")),
    ];
  }
  return [
    el("h1", {}, "Ask your documents"),
    el("p", { class: "lead" }, `${count(documents, "document")} on this machine. Every quote in an answer is verbatim, and opens at its place in the source.`),
  ];
}

async function ask(asked) {
  const body = el("div", { class: "answer", "aria-busy": "true" }, el("p", { class: "thinking" }, "Reading…"));
  const turn = el("article", { class: "turn" }, el("h2", { class: "question", dir: "auto" }, asked.question), body);
  byId("asking").classList.remove("empty");
  byId("welcome").hidden = true;
  byId("thread").append(turn);
  turn.scrollIntoView({ block: "start" });
  running = new AbortController();
  busy(true);
  try {
    await follow(asked, body, running.signal);
  } catch (error) {
    failed(error, asked, turn, body);
  } finally {
    running = null;
    busy(false);
    body.removeAttribute("aria-busy");
    if (document.activeElement === document.body) toQuestion();
  }
}

async function follow(asked, body, signal) {
  const said = el("div", { class: "said" });
  let whole = false;
  const request = { question: asked.question, stream: true };
  if (asked.where) request.where = asked.where;
  if (asked.web) request.web = true;
  if (history.length) request.history = history.slice(-REMEMBERED);
  for await (const [name, value] of events("/v1/ask", request, signal)) {
    if (name === "sentence") {
      if (!said.isConnected) body.replaceChildren(said);
      said.append(showSentence(value, []));
    } else if (name === "answer") {
      body.replaceChildren(...showAnswer(value));
      announce(value.answered ? `Answered, with ${count(value.citations.length, "source")}.` : "The documents do not contain the answer.");
      history.push({ role: "user", content: asked.question });
      if (value.answered) history.push({ role: "assistant", content: value.text });
      whole = true;
    } else if (name === "error") {
      throw new Refused(value.error.message, 0, value.error.code);
    }
  }
  if (!whole) throw new Refused("The answer ended before it was complete.", 0);
}

function failed(error, asked, turn, body) {
  body.querySelector(".thinking")?.remove();
  if (error.name === "AbortError") {
    body.append(el("p", { class: "fine" }, "Stopped."));
    return;
  }
  const known = error instanceof Refused || error instanceof ServerGone;
  const again = el("button", { class: "link", type: "button", onclick: () => { turn.remove(); ask(asked); } }, "Ask again");
  body.append(el("div", { class: "problem", role: "alert" }, el("p", {}, known ? error.message : "The page failed: " + error.message), again));
}

function busy(on) {
  byId("submit").hidden = on;
  byId("stop").hidden = !on;
}

function grow() {
  const field = byId("question");
  field.style.height = "auto";
  field.style.height = `${Math.min(field.scrollHeight, 200)}px`;
}

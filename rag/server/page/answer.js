// An answer as elements: its sentences, what they quote, and why there is none.

import { count, el, fileName, webAddress } from "./dom.js";
import { openSource } from "./viewer.js";

const REASONS = {
  nothing_found: ["Nothing was found", "No passage of the documents has to do with this question."],
  not_in_passages: ["The documents do not contain the answer", "The passages nearest to the question were read, and none of them says it."],
  below_threshold: ["The documents do not contain the answer", "The passages nearest to the question were read, and none of them says it clearly enough to quote."],
};
const NEAREST = 3;

/** A sentence with the numbers of its citations, which open their places. */
export function showSentence(sentence, citations) {
  const marks = sentence.citations.map((number) => {
    const citation = citations.find((each) => each.number === number);
    return el(
      "button",
      {
        class: "mark", type: "button", disabled: !citation,
        "aria-label": citation ? `Source ${number}: ${fileName(citation.source)}${onPage(citation)}` : `Source ${number}`,
        onclick: () => openSource(citation),
      },
      String(number),
    );
  });
  const doubt = sentence.doubt && el("span", { class: "doubt" }, sentence.doubt);
  return el("p", { dir: "auto", class: sentence.supported ? "" : "unsupported" }, sentence.text, " ", ...marks, doubt);
}

/** All of an answer. */
export function showAnswer(answer) {
  const supported = answer.sentences.filter((sentence) => sentence.supported || sentence.citations.length);
  const parts = [];
  if (answer.answered) {
    parts.push(el("div", { class: "said" }, supported.map((each) => showSentence(each, answer.citations))));
    parts.push(sources(answer, supported));
  } else {
    parts.push(...declined(answer));
  }
  parts.push(...leftOut(answer), ...disagreement(answer), ...notes(answer), read(answer));
  return parts.filter(Boolean);
}

function sources(answer, sentences) {
  const told = new Set(sentences.map((sentence) => plain(sentence.text)));
  const cards = answer.citations.map((citation) => {
    const quote = told.has(plain(citation.quote)) ? null : citation.quote; // else it stands above
    return el("li", {}, card(citation, String(citation.number), quote));
  });
  return el("ol", { class: "sources", "aria-label": "Sources" }, cards);
}

function card(place, number, text) {
  const address = webAddress(place.url ?? place.source);
  return el(
    "div",
    { class: "card" },
    el(
      "button",
      { class: "source", type: "button", onclick: () => openSource(place) },
      number && el("span", { class: "number", "aria-hidden": "true" }, number),
      el("span", { class: "name" }, el("bdi", {}, fileName(place.source))),
      el("span", { class: "place" }, el("bdi", {}, placeText(place))),
      text && el("span", { class: "quote", dir: "auto" }, shortened(text)),
    ),
    address && el("a", { class: "out", href: address, target: "_blank", rel: "noopener noreferrer" }, new URL(address).host),
  );
}

function declined(answer) {
  const [title, why] = REASONS[answer.reason] ?? REASONS.not_in_passages;
  const nearest = answer.passages.slice(0, NEAREST);
  return [
    el("div", { class: "declined" }, el("p", { class: "headline" }, title), el("p", {}, why)),
    nearest.length > 0 && el("p", { class: "label" }, nearest.length > 1 ? "Nearest passages" : "Nearest passage"),
    nearest.length > 0 && el("ul", { class: "sources" }, nearest.map((each) => el("li", {}, card(each, "", each.text)))),
  ];
}

function leftOut(answer) {
  const out = answer.sentences.filter((sentence) => !sentence.supported && !sentence.citations.length);
  if (!out.length) return [];
  return [
    el("p", { class: "label" }, "Left out of the answer: no passage holds it"),
    el("div", { class: "left-out" }, out.map((each) => el("p", { dir: "auto" }, each.text, each.doubt && el("span", { class: "doubt" }, each.doubt)))),
  ];
}

/** Passages that contradict each other, side by side. */
function disagreement(answer) {
  return (answer.conflicts ?? []).flatMap((conflict) => {
    const numbers = Array.isArray(conflict) ? conflict : (conflict.passages ?? []);
    const quotes = Array.isArray(conflict) ? [] : (conflict.quotes ?? []);
    const sides = numbers.map((number) => answer.passages[number - 1]);
    if (sides.length < 2 || sides.some((side) => !side)) return [];
    return [
      el("p", { class: "label" }, "The documents disagree"),
      el("ul", { class: "sources sides" }, sides.map((side, at) => el("li", {}, card(side, "", quoteText(quotes[at]) ?? side.text)))),
    ];
  });
}

function quoteText(quote) {
  return typeof quote === "string" ? quote : (quote?.text ?? quote?.quote);
}

function notes(answer) {
  return (answer.notes ?? []).map((note) => el("p", { class: "note" }, note));
}

/** What the answer was made from, folded away. */
function read(answer) {
  const about = [`${answer.timings.total.toFixed(1)} s`, answer.model].filter(Boolean).join(" · ");
  if (!answer.passages.length) return el("p", { class: "about" }, about);
  return el(
    "details",
    { class: "read" },
    el("summary", {}, `${count(answer.passages.length, "passage")} read · ${about}`),
    el("ol", { class: "sources" }, answer.passages.map((each, at) => el("li", {}, card(each, String(at + 1), each.text)))),
  );
}

function placeText(place) {
  const parts = [place.page && `page ${place.page}`, place.heading?.replaceAll(" > ", " › "), place.date?.slice(0, 10)];
  return parts.filter(Boolean).join(" · ");
}

const onPage = (citation) => (citation.page ? `, page ${citation.page}` : "");
const plain = (text) => text.split(/\s+/).join(" ").trim();

function shortened(text) {
  const line = plain(text);
  return line.length > 320 ? line.slice(0, 320).replace(/\s+\S*$/, "") + " …" : line;
}

// Which documents a question looks at: the fields above it, as the server's filter expression.

import { byId, el, fileName } from "./dom.js";

const TYPES = {
  "application/pdf": "PDF",
  "text/html": "HTML",
  "text/markdown": "Markdown",
  "text/plain": "Plain text",
  "text/csv": "CSV",
  "message/rfc822": "Mail",
  "application/epub+zip": "E-book",
  "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "Word",
  "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "Excel",
  "application/vnd.openxmlformats-officedocument.presentationml.presentation": "PowerPoint",
  "application/vnd.oasis.opendocument.text": "OpenDocument",
};

export const typeName = (type) => TYPES[type] ?? type.split("/").pop();

const fields = ["filter-source", "filter-type", "filter-from", "filter-to"];
let known = [];

/** Make the fields work. */
export function startFilters() {
  const toggle = byId("filters-toggle");
  toggle.addEventListener("click", () => {
    const open = byId("filters").hidden;
    byId("filters").hidden = !open;
    toggle.setAttribute("aria-expanded", String(open));
    if (open) byId("filter-source").focus();
  });
  byId("filters-clear").addEventListener("click", () => {
    for (const id of fields) byId(id).value = "";
    label();
    byId("question").focus();
  });
  for (const id of fields) byId(id).addEventListener("input", label);
}

/** Offer what there is to filter by. */
export function offerFilters(documents) {
  known = documents.map((document) => document.source);
  byId("sources").replaceChildren(...known.map((source) => el("option", { value: source })));
  const types = [...new Set(documents.map((document) => document.media_type))].sort();
  const select = byId("filter-type");
  const chosen = select.value;
  select.replaceChildren(
    el("option", { value: "" }, "any"),
    ...types.map((type) => el("option", { value: type }, typeName(type))),
  );
  select.value = types.includes(chosen) ? chosen : "";
  const dated = documents.some((document) => document.date);
  for (const at of document.querySelectorAll(".dates")) at.hidden = !dated;
}

/** Look only into one document. */
export function onlyIn(source) {
  byId("filter-source").value = source;
  label();
}

/** The filter as the server reads it, or nothing. */
export function where() {
  const [source, type, from, to] = fields.map((id) => byId(id).value.trim());
  const parts = [];
  if (source) parts.push(`source=${quoted(pattern(source))}`);
  if (type) parts.push(`media_type=${quoted(type)}`);
  if (from) parts.push(`date>=${from}`);
  if (to) parts.push(`date<=${to}`);
  return parts.join(" and ") || null;
}

/** A part of a name stands for all names that hold it. */
function pattern(text) {
  return known.includes(text) || text.includes("*") ? text : `*${text}*`;
}

function quoted(text) {
  return `"${text}"`;
}

function label() {
  const [source, type, from, to] = fields.map((id) => byId(id).value.trim());
  const parts = [source && fileName(source), type && typeName(type), from && `from ${from}`, to && `to ${to}`];
  const text = parts.filter(Boolean).join(", ");
  byId("filters-label").textContent = text ? `Only ${text}` : "Filter";
  byId("filters-toggle").classList.toggle("on", Boolean(text));
}

// What the server is asked. The token, where there is one, lives in this tab only.

import { keep, kept } from "./dom.js";

export class ServerGone extends Error {}
export class Refused extends Error {
  constructor(message, status, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const KEY = "token";
let token = kept("sessionStorage", KEY) ?? "";
let asking = null; // one question for the token, whoever waits for it
let askForToken = async () => "";
let onGone = () => {};

/** Who asks for the token, and who hears that the server cannot be reached. */
export function connect(hooks) {
  askForToken = hooks.askForToken;
  onGone = hooks.onGone;
}

/** The JSON of a reply. Raises ServerGone and Refused. */
export async function get(path, query = {}, options = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  const text = new URLSearchParams(given).toString();
  return (await send(text ? `${path}?${text}` : path, options)).json();
}

/** The JSON that a posted value is answered with. */
export async function post(path, value) {
  return (await send(path, { method: "POST", ...json(value) })).json();
}

/** Take something back. */
export async function remove(path) {
  return (await send(path, { method: "DELETE" })).json();
}

/** Send the bytes of a file. */
export async function upload(path, name, file) {
  const headers = { "content-type": "application/octet-stream" };
  const where = `${path}?${new URLSearchParams({ name })}`;
  return (await send(where, { method: "POST", body: file, headers })).json();
}

/** The events of a posted question as they come: [name, value]. */
export async function* events(path, value, signal) {
  const reply = await send(path, { method: "POST", ...json(value), signal });
  const reader = reply.body.getReader();
  const decoder = new TextDecoder();
  let waiting = "";
  for (;;) {
    let piece;
    try {
      piece = await reader.read();
    } catch (error) {
      throw signal.aborted ? error : lost();
    }
    waiting += decoder.decode(piece.value, { stream: !piece.done });
    const blocks = waiting.split("\n\n");
    waiting = blocks.pop();
    for (const block of blocks) yield parsed(block);
    if (piece.done) return;
  }
}

function parsed(block) {
  const fields = Object.fromEntries(
    block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]),
  );
  return [fields.event ?? "message", JSON.parse(fields.data)];
}

function json(value) {
  return { body: JSON.stringify(value), headers: { "content-type": "application/json" } };
}

function lost() {
  onGone();
  return new ServerGone("The server cannot be reached.");
}

async function send(path, options = {}) {
  for (;;) {
    const used = token;
    const headers = { ...options.headers, ...(used ? { authorization: `Bearer ${encoded(used)}` } : {}) };
    let reply;
    try {
      reply = await fetch(path, { ...options, headers, credentials: "omit", redirect: "error" });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw lost();
    }
    if (reply.ok) return reply;
    if (reply.status !== 401) throw await refused(reply);
    if (used === token) await renew(Boolean(used));
  }
}

/** Headers carry bytes: a token's letters beyond ASCII go as the bytes of their UTF-8. */
function encoded(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

async function renew(wrong) {
  asking ??= askForToken(wrong).finally(() => (asking = null));
  token = await asking;
  keep("sessionStorage", KEY, token);
}

async function refused(reply) {
  const error = (await reply.json().catch(() => ({}))).error ?? {};
  return new Refused(error.message ?? `The server answered with status ${reply.status}.`, reply.status, error.code);
}

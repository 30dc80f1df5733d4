// The five calls of the timeline.v1 API, as any web client would make them.

const TIMEOUT_MS = 15000;

/** A call that brought no result. `again` says whether the same call may still succeed. */
export class Failure extends Error {
  constructor(status, reason, message) {
    super(message);
    this.status = status;
    this.reason = reason;
    // 409 and the other 4xx are final; these two 4xx, every 5xx and a lost connection are not.
    this.again = status === 0 || status === 408 || status === 429 || status >= 500;
  }
}

const id = encodeURIComponent;

export const syncUrl = (member, after, count) =>
  `/timeline/sync?member=${id(member)}&last_read=${after}&count=${count}`;

export const directUrl = (from, to, after, count) =>
  `/timeline/history/single/${id(from)}/${id(to)}?last_read=${after}&count=${count}`;

export const groupUrl = (group, after, count) =>
  `/timeline/history/group/${id(group)}?last_read=${after}&count=${count}`;

/** Makes a call and measures it: `{ json, text, status, ms }`, whatever the status is. */
export async function call(url, init = {}) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), TIMEOUT_MS);
  const start = performance.now();
  try {
    const answer = await fetch(url, { cache: "no-store", ...init, signal: abort.signal });
    const text = await answer.text();
    let json = null;
    try {
      json = JSON.parse(text);
    } catch { /* A proxy's page, perhaps; the status says enough. */ }
    return { json, text, status: answer.status, ms: performance.now() - start };
  } catch (error) {
    throw new Failure(0, "", String(error.message || error));
  } finally {
    clearTimeout(timer);
  }
}

async function result(url, init) {
  const { json, status } = await call(url, init);
  if (status === 200 && json) return json;
  throw new Failure(status === 200 ? 502 : status, json?.reason || "", json?.message || `HTTP ${status}`);
}

const entries = (json) =>
  (json.entrySet || []).map((entry) => ({ seq: Number(entry.sequence), raw: entry.message }));

/** One page of an inbox. */
export async function sync(member, after, count) {
  const json = await result(syncUrl(member, after, count));
  return { latest: Number(json.latestSeq), entries: entries(json) };
}

/** One page of a conversation, oldest first. */
export async function history(conversation, me, after, count) {
  const { kind, name } = conversation;
  const url = kind === "g" ? groupUrl(name, after, count) : directUrl(me, name, after, count);
  return entries(await result(url));
}

/** The request that sends `raw`; the same key makes a repeat harmless. */
export function sendRequest({ kind, name, members, raw, id: key }, me) {
  const body = kind === "g"
    ? { group_name: name, group_members: members, message: raw }
    : { from: me, to: name, message: raw };
  return {
    url: kind === "g" ? "/timeline/sendGroup" : "/timeline/send",
    init: {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": key },
      body: JSON.stringify(body),
    },
  };
}

/** Sends; resolves when the server has acknowledged. */
export function send(item, me) {
  const { url, init } = sendRequest(item, me);
  return result(url, init);
}

/** A random UUID, also where the page is not served over TLS and `randomUUID` is missing. */
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

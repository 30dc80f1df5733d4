// A member's inbox, followed by sync, and the conversations that can be told from it.
//
// The cursor only moves over entries that were applied, and each entry is the cursor plus one
// or something is missing: that is all a device needs to neither lose nor repeat a message.

import { sync } from "./api.js";
import { keyOf, parse, placeOf } from "./message.js";
import { load, save } from "./storage.js";

const PAGE_ENTRIES = 1000;
const POLL_MS = 1000;
const POLL_HIDDEN_MS = 5000;
const POLL_BROKEN_MS_MAX = 15000;

export class Inbox extends EventTarget {
  constructor(me) {
    super();
    this.me = me;
    this.conversations = new Map();
    this.read = load(`read.${me}`, {});
    this.clear();
    const started = load(`started.${me}`, {});
    for (const [id, members] of Object.entries(started)) {
      this.ensure(id[0], id.slice(2), members);
    }
    this.onPoke = () => this.poke();
  }

  clear() {
    this.cursor = 0;
    this.latest = 0;
    this.state = "loading";
    this.broken = 0;
    for (const conversation of this.conversations.values()) reset(conversation);
  }

  start() {
    addEventListener("online", this.onPoke);
    document.addEventListener("visibilitychange", this.onPoke);
    this.poke();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    removeEventListener("online", this.onPoke);
    document.removeEventListener("visibilitychange", this.onPoke);
  }

  /** Syncs at once instead of at the next beat. */
  poke() {
    if (this.stopped) return;
    clearTimeout(this.timer);
    if (this.running) {
      this.soon = true;
      return;
    }
    this.step();
  }

  async step() {
    this.running = true;
    this.soon = false;
    let more = false;
    try {
      const page = await sync(this.me, this.cursor, PAGE_ENTRIES);
      if (this.stopped) return;
      more = this.apply(page);
      this.broken = 0;
    } catch (error) {
      if (this.stopped) return;
      this.broken += 1;
      this.error = error.message;
      this.become("offline");
    } finally {
      this.running = false;
    }
    this.timer = setTimeout(() => this.poke(), more || this.soon ? 0 : this.pause());
  }

  pause() {
    if (this.broken) return Math.min(POLL_MS * 2 ** (this.broken - 1), POLL_BROKEN_MS_MAX);
    return document.hidden ? POLL_HIDDEN_MS : POLL_MS;
  }

  /** Takes a page in. Returns whether the inbox holds more. */
  apply({ latest, entries }) {
    if (latest < this.cursor) {
      // The server has forgotten what this page has seen: it lost or changed its data.
      this.clear();
      this.dispatchEvent(new Event("restart"));
      return true;
    }
    this.latest = latest;
    const fresh = [];
    for (const entry of entries) {
      if (entry.seq <= this.cursor) continue;
      fresh.push(this.place(entry));
      this.cursor = entry.seq;
    }
    const more = this.cursor < latest && entries.length > 0;
    const caughtUp = !more && this.state !== "live";
    if (fresh.length || caughtUp) {
      const live = this.state === "live";
      if (!more) this.state = "live";
      this.dispatchEvent(new CustomEvent("change", { detail: { fresh, live } }));
    }
    if (caughtUp) this.dispatchEvent(new Event("live"));
    return more;
  }

  become(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent("change", { detail: { fresh: [], live: false } }));
  }

  place({ seq, raw }) {
    const message = parse(raw);
    const [kind, name] = placeOf(message, this.me);
    const conversation = this.ensure(kind, name);
    const mine = message.from === this.me;
    conversation.items.push({ seq, raw });
    const key = keyOf(message);
    // Two entries of the same text cannot be told apart, so neither gets a number.
    conversation.seqs.set(key, conversation.seqs.has(key) ? 0 : seq);
    conversation.last = message;
    conversation.lastSeq = seq;
    if (kind === "g") this.learnMembers(conversation, message);
    if (mine) this.mark(conversation, seq);
    else if (seq > (this.read[conversation.id] || 0)) conversation.unread += 1;
    return { conversation, message, mine };
  }

  learnMembers(conversation, message) {
    if (message.members) {
      conversation.members = message.members;
      conversation.listed = true;
    } else if (!conversation.listed && message.from && !conversation.members.includes(message.from)) {
      // Nobody has said who belongs to the group; who speaks in it surely does.
      conversation.members = [...conversation.members, message.from];
    }
  }

  /** The conversation of this kind and name, made if it is not there yet. */
  ensure(kind, name, members) {
    const id = `${kind}:${name}`;
    let conversation = this.conversations.get(id);
    if (!conversation) {
      conversation = reset({ id, kind, name, members: members || [this.me] });
      this.conversations.set(id, conversation);
    }
    return conversation;
  }

  /** Remembers a conversation that has no message yet, and who belongs to it. */
  begin(kind, name, members) {
    const conversation = this.ensure(kind, name, members);
    if (members) {
      conversation.members = members;
      conversation.listed = true;
    }
    const started = load(`started.${this.me}`, {});
    started[conversation.id] = conversation.members;
    save(`started.${this.me}`, started);
    this.dispatchEvent(new CustomEvent("change", { detail: { fresh: [], live: false } }));
    return conversation;
  }

  /** Everything in this conversation has been seen. */
  markRead(conversation) {
    if (!conversation.unread && (this.read[conversation.id] || 0) >= conversation.lastSeq) return;
    this.mark(conversation, conversation.lastSeq);
    save(`read.${this.me}`, this.read);
    this.dispatchEvent(new CustomEvent("change", { detail: { fresh: [], live: false } }));
  }

  mark(conversation, seq) {
    this.read[conversation.id] = Math.max(seq, this.read[conversation.id] || 0);
    conversation.unread = 0;
  }

  unread() {
    let sum = 0;
    for (const conversation of this.conversations.values()) sum += conversation.unread;
    return sum;
  }

  /** Conversations, newest message first; those just begun on top. */
  sorted() {
    const rank = (c) => (c.lastSeq ? c.lastSeq : Infinity);
    return [...this.conversations.values()]
      .filter((c) => c.kind !== "o" || c.items.length)
      .sort((a, b) => (rank(a) === rank(b) ? 0 : rank(b) - rank(a)));
  }
}

function reset(conversation) {
  return Object.assign(conversation, {
    items: [], seqs: new Map(), last: null, lastSeq: 0, unread: 0,
  });
}

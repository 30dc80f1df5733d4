// Where a conversation's messages come from: its history timeline, page by page, or, where a
// message does not say which conversation it belongs to, the inbox itself.

import { history } from "./api.js";
import { keyOf, parse } from "./message.js";

const CACHE_ENTRIES_MAX = 5000;
const PROBES = 6;

/** The history timeline of a direct or group conversation. */
export class HistorySource {
  constructor(conversation, me) {
    this.conversation = conversation;
    this.me = me;
    this.cache = new Map();
    this.tail = 0;
    this.first = 1;
  }

  /**
   * Finds the newest seq. The API only pages forward, so ask whether anything stands at or above
   * some positions at once and narrow down: a few rounds even among millions.
   */
  async newest(hint) {
    let low = this.tail;
    let high = Infinity;
    let points = [0, 1, 16, 256, 4096, 65536].map((step) => Math.max(hint, low, 1) + step);
    while (high - low > 1) {
      const found = await Promise.all(points.map(async (seq) => {
        const [entry] = await history(this.conversation, this.me, seq - 1, 1);
        return { seq, entry };
      }));
      for (const { seq, entry } of found) {
        if (entry) low = Math.max(low, entry.seq);
        else high = Math.min(high, seq);
      }
      points = high === Infinity ? spread(low, low * 1000 + 1e6) : spread(low, high);
    }
    this.tail = low;
    return low;
  }

  /** Reads what came after the newest known entry. Returns whether there was any. */
  async grow() {
    const before = this.tail;
    for (;;) {
      const entries = await history(this.conversation, this.me, this.tail, 200);
      if (!entries.length) return this.tail > before;
      for (const entry of entries) this.keep(entry);
      this.tail = entries[entries.length - 1].seq;
    }
  }

  /** Makes the entries from `from` to `to` available to `at`, as far as they exist. */
  async load(from, to) {
    let after = from - 1;
    while (after < to) {
      if (this.cache.has(after + 1)) {
        after += 1;
        continue;
      }
      const entries = await history(this.conversation, this.me, after, to - after);
      if (!entries.length) return;
      if (entries[0].seq > after + 1) this.first = Math.max(this.first, entries[0].seq);
      for (const entry of entries) this.keep(entry);
      after = entries[entries.length - 1].seq;
    }
  }

  keep({ seq, raw }) {
    const message = parse(raw);
    this.cache.set(seq, { seq, message, key: keyOf(message) });
  }

  at(seq) {
    return this.cache.get(seq);
  }

  /** Lets go of what lies far from the window that is shown. */
  trim(from, to) {
    if (this.cache.size <= CACHE_ENTRIES_MAX) return;
    for (const seq of this.cache.keys()) {
      if (seq < from - 500 || seq > to + 500) this.cache.delete(seq);
    }
  }
}

/** Up to six positions strictly between `low` and `high`, evenly spread. */
function spread(low, high) {
  const step = (high - low) / (PROBES + 1);
  const points = new Set();
  for (let i = 1; i <= PROBES; i++) {
    const seq = Math.floor(low + step * i);
    if (seq > low && seq < high) points.add(seq);
  }
  if (!points.size && high - low > 1) points.add(low + 1);
  return [...points];
}

/** The entries of the inbox that were sorted into one conversation. Positions are 1, 2, 3, … */
export class InboxSource {
  constructor(conversation) {
    this.conversation = conversation;
    this.first = 1;
    this.tail = conversation.items.length;
  }

  async newest() {
    await this.grow();
    return this.tail;
  }

  async grow() {
    const before = this.tail;
    this.tail = this.conversation.items.length;
    return this.tail > before;
  }

  async load() {}

  at(position) {
    const item = this.conversation.items[position - 1];
    if (!item) return undefined;
    const message = parse(item.raw);
    return { seq: position, inbox: item.seq, message, key: keyOf(message) };
  }

  trim() {}
}

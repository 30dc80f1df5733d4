// Messages on their way. Each carries its idempotency key and its exact text from the first
// attempt on, also across reloads, so that nothing is sent twice however often it is tried.

import { send, uuid } from "./api.js";
import { drop, keys, load, save } from "./storage.js";

const WAIT_MS_MAX = 15000;

export class Outbox extends EventTarget {
  constructor(me) {
    super();
    this.me = me;
    this.items = [];
    this.busy = new Set();
    this.stopped = false;
    this.prefix = `outbox.${JSON.stringify(me)}.`;
    for (const key of keys(this.prefix)) {
      const item = load(key, null);
      if (item && item.id && item.raw) this.items.push({ ...item, state: "sending", tries: 0 });
    }
    this.items.sort((a, b) => a.at - b.at);
  }

  start() {
    this.retryAll();
  }

  stop() {
    this.stopped = true;
  }

  /** Puts a message behind those of its conversation that are still on their way. */
  add(conversation, text) {
    const { kind, name } = conversation;
    const id = uuid();
    const at = Date.now();
    const members = kind === "g" ? [...conversation.members] : undefined;
    const place = kind === "g" ? { group: name, members } : { to: name };
    const raw = JSON.stringify({ id, from: this.me, ...place, text, at });
    const item = { id, conversation: conversation.id, kind, name, members, raw, text, at };
    save(this.prefix + id, item);
    this.items.push(Object.assign(item, { state: "sending", tries: 0 }));
    this.changed(item);
    this.pump(item.conversation);
  }

  of(conversation) {
    return this.items.filter((item) => item.conversation === conversation);
  }

  retry(item) {
    item.state = "sending";
    item.tries = 0;
    this.changed(item);
    clearTimeout(item.timer);
    this.pump(item.conversation);
  }

  retryAll() {
    for (const item of this.items.filter((i) => i.state === "waiting")) item.state = "sending";
    for (const place of new Set(this.items.map((i) => i.conversation))) this.pump(place);
  }

  discard(item) {
    clearTimeout(item.timer);
    this.remove(item);
    this.changed(item);
    this.pump(item.conversation);
  }

  /** Forgets an acknowledged message that now shows up in a timeline. */
  settle(item) {
    if (item.state === "sent") this.items = this.items.filter((other) => other !== item);
  }

  remove(item) {
    drop(this.prefix + item.id);
    this.items = this.items.filter((other) => other !== item);
  }

  /** One at a time and in order: what was typed first is numbered first. */
  async pump(conversation) {
    if (this.busy.has(conversation)) return;
    this.busy.add(conversation);
    try {
      for (;;) {
        const open = this.of(conversation).filter((i) => i.state !== "sent" && i.state !== "failed");
        if (this.stopped || !open.length || open[0].state !== "sending") return;
        await this.attempt(open[0]);
      }
    } finally {
      this.busy.delete(conversation);
    }
  }

  async attempt(item) {
    try {
      const reply = await send(item, this.me);
      item.state = "sent";
      item.missed = reply.failedMembers?.length ? reply.failedMembers : undefined;
      drop(this.prefix + item.id);
    } catch (error) {
      item.error = error.message;
      if (error.again) {
        item.state = "waiting";
        const wait = Math.min(1000 * 2 ** item.tries++, WAIT_MS_MAX);
        item.timer = setTimeout(() => this.again(item), wait);
      } else {
        item.state = "failed";
      }
    }
    this.changed(item);
  }

  again(item) {
    if (this.stopped || item.state !== "waiting") return;
    item.state = "sending";
    this.pump(item.conversation);
  }

  changed(item) {
    this.dispatchEvent(new CustomEvent("change", { detail: item }));
  }
}

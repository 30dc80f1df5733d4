// One conversation: a window over its history that follows the newest message or scrolls back.
//
// Only the rows near what is seen are in the page, however long the history is.

import { HistorySource, InboxSource } from "./history.js";
import { announce, avatar, h, icon, iconButton, reconcile } from "./dom.js";
import { goDialog, membersDialog } from "./dialogs.js";
import { lang, number, t } from "./i18n.js";
import { preview } from "./message.js";
import { continues, dayAbove, divider, emptyRow, messageRow, newestButton, pendingRow } from "./rows.js";
import { address, subtitle, title } from "./titles.js";

const STEP = 60;
const WINDOW_MAX = 240;
const NEAR_PX = 500;

export class Chat {
  constructor(session, conversation) {
    this.session = session;
    this.conversation = conversation;
    this.source = null;
    this.low = 1;
    this.high = 0;
    this.fresh = 0;
    this.marked = 0;
    this.readBefore = session.inbox.read[conversation.id] || 0;
    this.stick = true;
    this.build();
    this.onInput();
    // A keyboard that opens, a line that is added: the newest message stays in sight.
    this.sizes = new ResizeObserver(() => this.stick && this.toBottom());
    this.sizes.observe(this.log);
  }

  close() {
    this.sizes.disconnect();
  }

  get me() {
    return this.session.me;
  }

  build() {
    const { conversation, me } = this;
    const group = conversation.kind === "g";
    this.subtitle = h("span", { class: "subtitle" }, subtitle(conversation, me));
    this.list = h("ol", { class: "rows" });
    this.log = h("div", {
      class: "log", tabindex: "0", role: "region", "aria-label": title(conversation),
      onscroll: () => this.onScroll(),
    }, this.list);
    this.newest = newestButton(() => this.toNewest());
    this.problem = h("p", { class: "banner", role: "alert", hidden: true });
    this.element = h("section", { class: "chat", "aria-label": title(conversation) },
      h("header", { class: "bar" },
        h("a", { class: "icon-button back", href: address(me), "aria-label": t("back"), title: t("back") }, icon("back")),
        avatar(conversation.name, conversation.kind),
        h("div", { class: "titles" }, h("h2", {}, title(conversation)), this.subtitle),
        group && iconButton("group", t("members"), () => this.editMembers()),
        iconButton("hash", t("goto"), () => this.askWhere())),
      this.problem,
      h("div", { class: "log-frame" }, this.log, this.newest),
      conversation.kind !== "o" && this.composer());
  }

  composer() {
    const { conversation, session } = this;
    this.input = h("textarea", {
      rows: "1", id: "message", placeholder: t("write"), autocomplete: "off", enterkeyhint: "send",
      "aria-label": t("writeTo", title(conversation)),
      onkeydown: (event) => this.onKey(event),
      oninput: () => this.onInput(),
    });
    this.input.value = session.drafts.get(conversation.id) || "";
    this.sendButton = h("button", {
      type: "submit", class: "send", "aria-label": t("send"), title: t("send"),
    }, icon("send"));
    return h("form", {
      class: "composer",
      onsubmit: (event) => {
        event.preventDefault();
        this.send();
      },
    }, this.input, this.sendButton);
  }

  /** Finds the newest message and shows the end of the conversation. */
  async open() {
    await this.guarded(async () => {
      const source = await this.find();
      this.source = source;
      await this.show(source.tail - STEP + 1, source.tail);
    });
    this.render();
    this.toBottom();
    this.seen();
  }

  async find() {
    const { conversation, me } = this;
    // A browser cannot ask for these two names: it takes them for steps in a path.
    const names = conversation.kind === "d" ? [conversation.name, me] : [conversation.name];
    const reachable = conversation.kind !== "o" && !names.some((n) => n === "." || n === "..");
    if (reachable) {
      const source = new HistorySource(conversation, me);
      await source.newest(conversation.items.length);
      if (source.tail || !conversation.items.length) return source;
    }
    // What the messages say does not fit where they were sent: show what the inbox has of them.
    const source = new InboxSource(conversation);
    await source.newest();
    return source;
  }

  /** Shows the messages `low` to `high`, as far as they exist. */
  async show(low, high) {
    low = Math.max(low, 1);
    high = Math.min(high, this.source.tail);
    await this.source.load(low, high);
    this.low = Math.max(low, this.source.first);
    this.high = high;
    this.source.trim(this.low, this.high);
  }

  /** Runs one piece of reading at a time and shows why it failed. */
  async guarded(work) {
    if (this.reading) return;
    this.reading = true;
    try {
      await work();
      this.problem.hidden = true;
      // Somebody may have scrolled on meanwhile.
      setTimeout(() => (this.stale ? this.refresh() : this.fill()));
    } catch (error) {
      this.problem.textContent = t("historyBroken", error.message);
      this.problem.hidden = false;
    } finally {
      this.reading = false;
    }
  }

  get atEnd() {
    return !this.source || this.high >= this.source.tail;
  }

  get distance() {
    return this.log.scrollHeight - this.log.clientHeight - this.log.scrollTop;
  }

  onScroll() {
    this.stick = this.atEnd && this.distance < 60;
    this.newest.hidden = this.stick || !this.source?.tail;
    if (this.stick) this.seen();
    this.fill();
  }

  /** Reads on in the direction that is scrolled to, until enough is there. */
  async fill() {
    if (this.reading || !this.source) return;
    const older = this.log.scrollTop < NEAR_PX && this.low > this.source.first;
    const newer = !older && this.distance < NEAR_PX && !this.atEnd;
    if (!older && !newer) return;
    await this.guarded(() => (older
      ? this.show(this.low - STEP, Math.min(this.high, this.low - STEP + WINDOW_MAX))
      : this.show(Math.max(this.low, this.high + STEP - WINDOW_MAX), this.high + STEP)));
    this.render();
  }

  /** Takes in what arrived. Called after every sync that brought something, and now and then. */
  async refresh() {
    this.stale = this.reading;
    if (this.reading) return;
    if (!this.source || (!this.high && this.conversation.items.length)) {
      await this.open();
      return;
    }
    const { source } = this;
    const before = source.tail;
    const wasAtEnd = this.atEnd;
    await this.guarded(async () => {
      await source.grow();
      if (!wasAtEnd) return;
      if (this.stick) await this.show(Math.max(this.low, source.tail - WINDOW_MAX + 1), source.tail);
      else await this.show(this.low, Math.min(source.tail, this.low + WINDOW_MAX));
    });
    if (source.tail > before) this.arrived(before);
    this.render();
  }

  arrived(before) {
    for (let seq = Math.max(before + 1, this.source.tail - 20); seq <= this.source.tail; seq++) {
      const message = this.source.at(seq)?.message;
      if (!message || message.from === this.me) continue;
      if (!this.stick) this.fresh += 1;
      announce(t("newFrom", message.from ?? t("unknown"), preview(message)));
    }
    if (this.stick) this.seen();
  }

  /** What is shown at the end, in a window somebody looks at, has been read. */
  seen() {
    this.fresh = 0;
    if (!document.hidden && this.source) this.session.inbox.markRead(this.conversation);
  }

  async toNewest() {
    if (!this.atEnd) {
      await this.guarded(() => this.show(this.source.tail - STEP + 1, this.source.tail));
    }
    this.stick = true;
    this.render();
    this.toBottom();
    this.seen();
  }

  /** Shows message `seq` with what stands around it. */
  async jump(seq) {
    const at = Math.min(Math.max(Math.floor(seq), this.source.first), this.source.tail);
    await this.guarded(() => this.show(at - STEP / 2, at + STEP));
    this.stick = false;
    this.render();
    const row = this.list.querySelector(`[data-seq="${at}"]`);
    if (row) {
      const middle = (this.log.clientHeight - row.offsetHeight) / 2;
      this.log.scrollTop += row.getBoundingClientRect().top - this.log.getBoundingClientRect().top - middle;
      row.classList.add("found");
    }
    this.onScroll();
  }

  toBottom() {
    this.log.scrollTop = this.log.scrollHeight;
  }

  render() {
    const anchor = this.stick ? null : this.anchor();
    reconcile(this.list, this.rows());
    if (this.stick) this.toBottom();
    else if (anchor) this.log.scrollTop += anchor.node.getBoundingClientRect().top - anchor.top;
    this.subtitle.textContent = subtitle(this.conversation, this.me);
    this.newest.hidden = (this.stick && this.atEnd) || !this.source?.tail;
    this.newest.dataset.fresh = this.fresh ? t("newCount", this.fresh) : "";
  }

  /** The first row that is seen and stays: it must not move when others come above it. */
  anchor() {
    const top = this.log.getBoundingClientRect().top;
    for (const node of this.list.children) {
      const seq = Number(node.dataset.seq || 0);
      const box = node.getBoundingClientRect();
      if (seq >= this.low && seq <= this.high && box.bottom > top) return { node, top: box.top };
    }
    return null;
  }

  rows() {
    const rows = [];
    const { source, conversation, session } = this;
    if (source) this.storedRows(rows);
    const pending = session.outbox.of(conversation.id).filter((item) => !this.shown(item));
    if (this.atEnd) {
      for (const item of pending) {
        rows.push({
          key: `p${item.id}`,
          sig: [item.state, item.error, lang()].join(),
          build: () => pendingRow(item, session.outbox),
        });
      }
    }
    if (!rows.length && source) {
      rows.push({ key: "empty", sig: lang(), build: () => emptyRow(t("noMessages"), t("noMessagesText")) });
    }
    return rows;
  }

  /** Whether an acknowledged message already stands in the history that was read. */
  shown(item) {
    if (item.state !== "sent" || item.missed || !this.source) return false;
    const found = this.known(`id:${item.id}`);
    if (found) this.session.outbox.settle(item);
    return found;
  }

  known(key) {
    for (let seq = this.source.tail; seq > Math.max(0, this.source.tail - 500); seq--) {
      if (this.source.at(seq)?.key === key) return true;
    }
    return false;
  }

  storedRows(rows) {
    const { source, conversation, me } = this;
    const group = conversation.kind === "g";
    const numbered = source instanceof HistorySource;
    const start = this.low <= source.first;
    if (source.tail) {
      const text = start ? t("beginning") : t("loadingOlder");
      rows.push({ key: "top", sig: text, build: () => divider(text, "top") });
    }
    let previous;
    let divided = false;
    for (let seq = this.low; seq <= this.high; seq++) {
      const item = source.at(seq);
      if (!item) continue;
      const inbox = item.inbox ?? conversation.seqs.get(item.key);
      const above = dayAbove(item, previous);
      if (above) rows.push({ key: `d${seq}`, sig: above, build: () => divider(above, "day") });
      const isNew = this.readBefore && inbox > this.readBefore && item.message.from !== me;
      if (isNew && !divided) {
        divided = true;
        rows.push({ key: "new", sig: lang(), build: () => divider(t("unreadHere"), "new") });
      }
      const first = Boolean(above) || !continues(item, previous);
      rows.push({
        key: seq,
        sig: [first, inbox, lang()].join(),
        build: () => messageRow(item, { me, group, first, inbox, numbered }),
      });
      previous = item;
    }
  }

  onKey(event) {
    // While a word is being composed, Enter belongs to the input method.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.send();
  }

  onInput() {
    if (!this.input) return;
    const { input } = this;
    this.session.drafts.set(this.conversation.id, input.value);
    if (!CSS.supports("field-sizing", "content")) {
      input.style.height = "auto";
      if (input.scrollHeight) input.style.height = `${Math.min(input.scrollHeight, 160)}px`;
    }
    this.sendButton.disabled = !input.value.trim();
  }

  send() {
    const text = this.input.value.replace(/\s+$/, "");
    if (!text.trim()) return;
    this.input.value = "";
    this.onInput();
    this.session.outbox.add(this.conversation, text);
    this.input.focus();
    this.toNewest();
  }

  editMembers() {
    membersDialog(this.conversation, this.me, (members) => {
      this.session.inbox.begin("g", this.conversation.name, members);
      this.render();
    });
  }

  askWhere() {
    if (this.source?.tail) goDialog(this.source, number(this.source.tail), (seq) => this.jump(seq));
  }
}

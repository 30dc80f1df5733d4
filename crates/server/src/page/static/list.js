// The left side: who I am, how the sync stands, my conversations.

import { newDialog } from "./dialogs.js";
import { avatar, h, icon, iconButton, reconcile } from "./dom.js";
import { lang, number, short, t } from "./i18n.js";
import { address, conversationAddress, lastLine, title } from "./titles.js";
import { switchDialog } from "./welcome.js";

const SHOWN = 100;

export class List {
  constructor(session, switches) {
    this.session = session;
    this.shown = SHOWN;
    this.filter = "";
    const { me } = session;
    this.rows = h("ul", { class: "conversations" });
    this.state = h("span", { class: "state-text" });
    this.progress = h("progress", { hidden: true, "aria-label": t("sync") });
    this.more = h("button", {
      type: "button", class: "quiet more", hidden: true,
      onclick: () => {
        this.shown += SHOWN;
        this.render();
      },
    }, t("more"));
    this.search = h("input", {
      type: "search", class: "search", placeholder: t("find"), "aria-label": t("find"),
      autocomplete: "off",
      oninput: () => {
        this.filter = this.search.value.trim().toLowerCase();
        this.shown = SHOWN;
        this.render();
      },
    });
    this.element = h("nav", { class: "side", "aria-label": t("chats") },
      h("header", { class: "bar" },
        h("button", {
          type: "button", class: "me", title: t("switch"), "aria-label": `${t("you", me)}. ${t("switch")}`,
          onclick: () => switchDialog(me),
        }, avatar(me), h("span", { class: "titles" }, h("strong", {}, me),
          h("span", { class: "state" }, h("i", { class: "dot" }), this.state))),
        iconButton("plus", t("newChat"), () => this.begin(), { class: "icon-button accent" })),
      this.progress,
      h("div", { class: "find" }, this.search),
      h("div", { class: "scroll" }, this.rows, this.more),
      h("footer", {}, this.developer = h("a", { class: "quiet", href: address(me, "dev") },
        icon("code"), h("span", {}, t("developer"))), h("div", { class: "switches" }, switches)));
  }

  begin() {
    const { me, inbox } = this.session;
    newDialog(me, (kind, name, members) => {
      const known = inbox.conversations.get(`${kind}:${name}`);
      const all = members && known ? [...new Set([...known.members, ...members])] : members;
      location.hash = conversationAddress(me, inbox.begin(kind, name, all));
    });
  }

  render(current = this.current) {
    this.current = current;
    const { inbox, me } = this.session;
    const every = inbox.sorted();
    const found = every.filter((c) => title(c).toLowerCase().includes(this.filter));
    const rows = found.slice(0, this.shown).map((c) => ({
      key: c.id,
      sig: [c.lastSeq, c.unread, c.id === current, lang()].join(),
      build: () => this.row(c, c.id === current),
    }));
    if (!found.length && every.length) {
      rows.push({ key: "", sig: lang(), build: () => h("li", { class: "nothing" }, t("noFind")) });
    }
    const focused = document.activeElement?.closest?.(".conversations a")?.getAttribute("href");
    reconcile(this.rows, rows);
    if (focused && !document.activeElement.closest(".conversations")) {
      this.rows.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    }
    this.more.hidden = found.length <= this.shown;
    this.search.parentElement.hidden = every.length < 2 && !this.filter;
    this.developer.toggleAttribute("aria-current", current === "dev");
    this.renderState(inbox, me);
  }

  renderState(inbox) {
    const behind = inbox.latest - inbox.cursor;
    const syncing = inbox.state !== "offline" && behind > 0;
    const state = inbox.state === "offline" ? "offline" : syncing || inbox.state === "loading" ? "busy" : "live";
    this.element.dataset.state = state;
    this.state.textContent = state === "offline" ? t("offline")
      : syncing ? t("syncing", number(inbox.cursor), number(inbox.latest)) : t("live");
    this.progress.hidden = !syncing;
    if (syncing) {
      this.progress.max = inbox.latest;
      this.progress.value = inbox.cursor;
    }
  }

  row(conversation, current) {
    const { me } = this.session;
    const { unread, last } = conversation;
    return h("li", {},
      h("a", {
        href: conversationAddress(me, conversation), "aria-current": current && "page",
        class: unread ? "unread" : "",
      },
      avatar(conversation.name, conversation.kind),
      h("span", { class: "titles" },
        h("span", { class: "line" }, h("strong", { dir: "auto" }, title(conversation)),
          last?.at !== undefined && h("time", {}, short(last.at))),
        h("span", { class: "line" }, h("span", { class: "last", dir: "auto" }, lastLine(conversation, me)),
          unread > 0 && h("span", { class: "badge" },
            h("span", { "aria-hidden": "true" }, unread > 999 ? "999+" : unread),
            h("span", { class: "hidden" }, t("unread", unread)))))));
  }
}

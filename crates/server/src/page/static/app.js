// Joins the parts: the address says who and what, the session follows the inbox, views show it.

import { Chat } from "./chat.js";
import { Developer } from "./dev.js";
import { announce, h, icon, iconButton } from "./dom.js";
import { chooseLanguage, firstLanguage, lang, t } from "./i18n.js";
import { Inbox } from "./inbox.js";
import { List } from "./list.js";
import { Outbox } from "./outbox.js";
import { load, save } from "./storage.js";
import { address } from "./titles.js";
import { remember, welcome } from "./welcome.js";

const IDLE_REFRESH_MS = 5000;
const root = document.getElementById("app");
let session = null;
let list = null;
let view = null;
let panes = null;

/** Reads `#/me/kind/name`. */
function place() {
  try {
    const parts = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
    return parts[0] ? { me: parts[0], kind: parts[1] || "", name: parts[2] || "" } : null;
  } catch {
    return null;
  }
}

function begin(me) {
  const inbox = new Inbox(me);
  const outbox = new Outbox(me);
  session = { me, inbox, outbox, drafts: new Map() };
  inbox.addEventListener("change", () => {
    list?.render();
    title();
    if (view?.id === "" && view.empty !== isEmpty()) show();
    else view?.refresh?.();
  });
  inbox.addEventListener("live", () => outbox.retryAll());
  inbox.addEventListener("restart", () => {
    announce(t("restarted"));
    rebuild();
  });
  outbox.addEventListener("change", ({ detail }) => {
    if (view?.conversation?.id === detail.conversation) view.render();
    if (detail.state !== "sent") return;
    inbox.poke();
    if (view?.conversation?.id === detail.conversation) view.refresh();
  });
  inbox.start();
  outbox.start();
  remember(me);
}

function end() {
  session?.inbox.stop();
  session?.outbox.stop();
  view?.close?.();
  session = null;
  list = null;
  view = null;
  panes = null;
}

function route() {
  const at = place();
  for (const open of document.querySelectorAll("dialog")) open.close();
  if (session?.me !== at?.me) end();
  if (!at) {
    root.replaceChildren(welcome(switches()));
    root.querySelector("#name").focus();
    document.title = "Seqline";
    return;
  }
  if (!session) begin(at.me);
  if (!list) {
    list = new List(session, switches());
    panes = h("main", { class: "pane" });
    root.replaceChildren(h("div", { class: "frame" }, list.element, panes));
  }
  show();
}

/** Shows what the address names. */
function show() {
  const at = place();
  const chosen = at.kind === "d" || at.kind === "g" ? at.name !== "" : at.kind === "o" || at.kind === "dev";
  const id = chosen && at.kind !== "dev" ? `${at.kind}:${at.kind === "o" ? "" : at.name}` : at.kind === "dev" ? "dev" : "";
  panes.parentElement.classList.toggle("inside", chosen);
  panes.parentElement.classList.toggle("bare", isEmpty());
  list.render(id);
  if (view?.id === id && id !== "") return;
  view?.close?.();
  if (id === "dev") {
    view = new Developer(session);
  } else if (id) {
    view = new Chat(session, session.inbox.ensure(at.kind, at.kind === "o" ? "" : at.name));
  } else {
    view = { element: nothing(), empty: isEmpty() };
  }
  view.id = id;
  panes.replaceChildren(view.element);
  if (id && id !== "dev") {
    view.open();
    // On a phone the keyboard would hide what was opened to be read.
    if (matchMedia("(min-width: 720px)").matches) view.input?.focus();
  }
  title();
}

const isEmpty = () => session.inbox.state !== "loading" && !session.inbox.sorted().length;

/** What stands beside the list while nothing is chosen. */
function nothing() {
  const { me } = session;
  const empty = isEmpty();
  const other = me === "bob" ? "alice" : "bob";
  return h("section", { class: "nothing-chosen" },
    h("div", { class: "art" }, icon("chat")),
    h("h2", {}, empty ? t("emptyTitle", me) : t("pick")),
    h("p", {}, empty ? t("emptyText", me) : t("pickText")),
    h("div", { class: "buttons" },
      h("button", { type: "button", class: "primary", onclick: () => list.begin() }, t("newChat")),
      empty && h("a", { class: "button quiet", href: address(other, "d", me), target: "_blank", rel: "noopener" },
        icon("window"), h("span", {}, t("openAs", other)))));
}

function title() {
  if (!session) return;
  const unread = session.inbox.unread();
  document.title = `${unread ? `(${unread}) ` : ""}${session.me} · Seqline`;
}

/** Builds everything anew in the language and with the data of now. */
function rebuild() {
  list = null;
  view?.close?.();
  view = null;
  route();
}

const THEMES = ["auto", "light", "dark"];
const theme = () => THEMES.find((name) => name === load("theme")) || "auto";

function nextTheme(button) {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  save("theme", next);
  dispatchEvent(new Event("theme"));
  button.replaceWith(themeButton());
  root.querySelector(".theme").focus();
  announce(t("theme", t(next)));
}

function themeButton() {
  const now = theme();
  const button = iconButton(now, t("theme", t(now)), () => nextTheme(button), { class: "icon-button theme" });
  return button;
}

function switches() {
  return [
    h("button", {
      type: "button", class: "language", title: t("languageTitle"), "aria-label": t("languageTitle"),
      lang: lang() === "zh" ? "en" : "zh-CN",
      onclick: () => {
        chooseLanguage(lang() === "zh" ? "en" : "zh");
        rebuild();
        root.querySelector(".language").focus();
      },
    }, t("language")),
    themeButton(),
  ];
}

firstLanguage();
addEventListener("hashchange", route);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && view?.stick) view.seen();
});
// Also what is sent past one's own inbox shows up, such as in a group one only reads.
setInterval(() => !document.hidden && view?.conversation && view.refresh(), IDLE_REFRESH_MS);
route();

// One row of a conversation, and the marks between rows.

import { avatar, h, iconButton } from "./dom.js";
import { clock, day, moment, otherDay, t } from "./i18n.js";

const RUN_MS = 5 * 60 * 1000;

/** Whether `item` continues what its author was saying in `previous`. */
export function continues(item, previous) {
  if (!previous || item.message.from === undefined) return false;
  if (item.message.from !== previous.message.from) return false;
  const [at, before] = [item.message.at, previous.message.at];
  if (at === undefined || before === undefined) return at === before;
  return at - before < RUN_MS && !otherDay(at, before);
}

/** The day to write above `item`, if it is another than that of the message before. */
export function dayAbove(item, previous) {
  const at = item.message.at;
  if (at === undefined) return undefined;
  const before = previous?.message.at;
  return before === undefined || otherDay(at, before) ? day(at) : undefined;
}

export function divider(text, kind) {
  return h("li", { class: `divider ${kind || ""}` }, h("span", {}, text));
}

/** A message that stands in the timeline. */
export function messageRow(item, { me, group, first, inbox, numbered }) {
  const { message } = item;
  const mine = message.from === me;
  const foreign = message.text === undefined || message.from === undefined;
  const who = message.from ?? t("unknown");
  const label = first && (group || message.from === undefined) && !mine;
  const text = message.text === undefined
    ? h("pre", { class: "raw" }, message.raw)
    : h("p", { class: "text", dir: "auto" }, message.text);
  const raw = foreign && message.text !== undefined && h("pre", { class: "raw small" }, message.raw);
  return h("li", {
    class: `row ${mine ? "mine" : "theirs"} ${first ? "first" : ""} ${foreign ? "foreign" : ""}`,
    "data-seq": item.seq,
  },
  !mine && (first ? avatar(who, foreign && message.from === undefined ? "o" : "d") : h("span", { class: "no-avatar" })),
  h("div", { class: "bubble" },
    label ? h("span", { class: "author" }, who) : h("span", { class: "hidden" }, who),
    text, raw,
    h("span", { class: "meta" },
      message.at !== undefined && h("time", {
        datetime: new Date(message.at).toISOString(), title: moment(message.at),
      }, clock(message.at)),
      numbered && h("span", { class: "seq", title: t("seqTitle", item.seq) }, `#${item.seq}`),
      inbox && h("span", { class: "inbox-seq", title: t("inboxTitle", inbox) }, t("inbox", inbox)))));
}

/** A message on its way. */
export function pendingRow(item, outbox) {
  const problem = { waiting: "waiting", failed: "failed" }[item.state];
  const state = h("span", { class: "meta" },
    h("time", { datetime: new Date(item.at).toISOString() }, clock(item.at)),
    h("span", {}, item.state === "sent" ? t("sent") : item.state === "sending" ? t("sending") : ""));
  return h("li", { class: `row mine first pending ${item.state}`, "data-pending": item.id },
    h("div", { class: "bubble" },
      h("p", { class: "text", dir: "auto" }, item.text),
      item.missed && h("p", { class: "problem" }, t("missed", item.missed.join(", "))),
      problem
        ? h("div", { class: "problem", role: "alert" },
          h("span", {}, t(problem, item.error)),
          h("button", { type: "button", class: "link", onclick: () => outbox.retry(item) }, t("retry")),
          h("button", { type: "button", class: "link", onclick: () => outbox.discard(item) }, t("discard")))
        : state));
}

/** What stands where there are no messages. */
export function emptyRow(heading, text) {
  return h("li", { class: "empty" }, h("strong", {}, heading), h("p", {}, text));
}

export const newestButton = (onclick) =>
  iconButton("down", t("newest"), onclick, { class: "newest", hidden: true });

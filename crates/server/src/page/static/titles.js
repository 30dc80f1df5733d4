// What things are called where people see them.

import { t } from "./i18n.js";
import { preview } from "./message.js";

export function title(conversation) {
  return conversation.kind === "o" ? t("other") : conversation.name;
}

export function subtitle(conversation, me) {
  if (conversation.kind === "o") return t("otherNote");
  if (conversation.kind === "d") return conversation.name === me ? t("selfNote") : t("direct");
  const { members } = conversation;
  const count = members.length === 1 ? t("countOne") : t("count", members.length);
  const shown = members.slice(0, 8).join(", ");
  return `${count}: ${shown}${members.length > 8 ? ", …" : ""}`;
}

/** The newest message in one line, with its author where that is not plain. */
export function lastLine(conversation, me) {
  const { last, kind } = conversation;
  if (!last) return t("noMessages");
  const text = preview(last);
  if (last.from === undefined || (kind === "d" && last.from !== me)) return text;
  if (kind === "d" && conversation.name === me) return text;
  return t("newFrom", last.from === me ? t("you2") : last.from, text);
}

/** The address of a place of this page, after the `#`. */
export function address(me, ...parts) {
  return "#/" + [me, ...parts].map(encodeURIComponent).join("/");
}

export function conversationAddress(me, { kind, name }) {
  return kind === "o" ? address(me, "o") : address(me, kind, name);
}

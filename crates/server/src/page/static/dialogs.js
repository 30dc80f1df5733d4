// The small windows: a new conversation, a group's members, a place in the history.

import { h, icon, iconButton } from "./dom.js";
import { t } from "./i18n.js";

/** Opens a modal window; `body(close)` fills it. */
export function dialog(heading, body) {
  const element = h("dialog", { "aria-labelledby": "dialog-title" });
  const close = () => element.close();
  element.append(
    h("header", {}, h("h2", { id: "dialog-title" }, heading), iconButton("close", t("close"), close)),
    ...[body(close)].flat(),
  );
  element.addEventListener("close", () => element.remove());
  element.addEventListener("click", (event) => {
    if (event.target === element) close();
  });
  document.body.append(element);
  element.showModal();
  return element;
}

/** Removes what no id may contain and no person means to type. */
export const cleanName = (text) => (text.toWellFormed ? text.toWellFormed() : text).trim();

/** A list of names to add to and remove from. */
export class Names {
  constructor(names, me) {
    this.names = [...names];
    this.me = me;
    this.list = h("ul", { class: "chips" });
    this.input = h("input", {
      id: "member-input", type: "text", autocomplete: "off", autocapitalize: "off",
      placeholder: t("membersHint"),
      onkeydown: (event) => {
        if (event.isComposing || (event.key !== "Enter" && event.key !== ",")) return;
        // An empty field lets Enter submit the form.
        if (event.key === "Enter" && !this.input.value.trim()) return;
        event.preventDefault();
        this.take();
      },
      onblur: () => this.take(),
    });
    this.element = h("div", { class: "field" },
      h("label", { for: "member-input" }, t("members")), this.list,
      h("div", { class: "joined" }, this.input,
        h("button", { type: "button", class: "quiet", onclick: () => this.take() }, t("addMember"))));
    this.render();
  }

  take() {
    const added = this.input.value.split(/[,，\n]/).map(cleanName).filter(Boolean);
    this.names = [...new Set([...this.names, ...added])];
    this.input.value = "";
    this.render();
  }

  render() {
    this.list.replaceChildren(...this.names.map((name) => h("li", { class: "chip" },
      h("span", {}, name === this.me ? `${name} (${t("you2")})` : name),
      h("button", {
        type: "button", "aria-label": t("removeMember", name), title: t("removeMember", name),
        onclick: () => {
          this.names = this.names.filter((other) => other !== name);
          this.render();
          this.input.focus();
        },
      }, icon("close")))));
  }
}

/** Asks for a new conversation: `begin(kind, name, members)`. */
export function newDialog(me, begin) {
  dialog(t("newChat"), (close) => {
    const names = new Names([me], me);
    const name = h("input", {
      id: "peer", type: "text", required: true, autocomplete: "off", autocapitalize: "off",
      maxlength: "300", autofocus: true,
    });
    const label = h("label", { for: "peer" });
    const group = h("div", { hidden: true }, names.element, h("p", { class: "note" }, t("membersNote")));
    let kind = "d";
    const choose = (to) => {
      kind = to;
      group.hidden = kind !== "g";
      label.textContent = t(kind === "g" ? "groupName" : "to");
    };
    const choice = (value, key) => h("label", {},
      h("input", {
        type: "radio", name: "kind", value, checked: value === "d", onchange: () => choose(value),
      }), h("span", {}, t(key)));
    choose("d");
    return h("form", {
      class: "form",
      onsubmit: (event) => {
        event.preventDefault();
        names.take();
        const chosen = cleanName(name.value);
        if (!chosen) return;
        close();
        begin(kind, chosen, kind === "g" ? (names.names.length ? names.names : [me]) : undefined);
      },
    },
    h("div", { class: "choices", role: "radiogroup", "aria-label": t("newChat") },
      choice("d", "direct"), choice("g", "group")),
    h("div", { class: "field" }, label, name), group,
    h("button", { type: "submit", class: "primary" }, t("start")));
  });
}

/** Shows and changes whom the next message of a group goes to. */
export function membersDialog(conversation, me, change) {
  dialog(t("members"), (close) => {
    const names = new Names(conversation.members, me);
    return h("form", {
      class: "form",
      onsubmit: (event) => {
        event.preventDefault();
        names.take();
        close();
        if (names.names.length) change(names.names);
      },
    }, names.element, h("p", { class: "note" }, t("membersNote")),
    h("button", { type: "submit", class: "primary" }, t("save")));
  });
}

/** Asks for a position in the history. */
export function goDialog(source, latest, go) {
  dialog(t("goto"), (close) => {
    const to = (seq) => {
      close();
      go(seq);
    };
    const input = h("input", {
      id: "seq", type: "number", min: source.first, max: source.tail, required: true,
      inputmode: "numeric", autofocus: true,
    });
    return h("form", {
      class: "form",
      onsubmit: (event) => {
        event.preventDefault();
        to(Number(input.value));
      },
    },
    h("div", { class: "field" }, h("label", { for: "seq" }, t("gotoHint", latest)),
      h("div", { class: "joined" }, input, h("button", { type: "submit", class: "primary" }, t("go")))),
    h("div", { class: "buttons" },
      h("button", { type: "button", class: "quiet", onclick: () => to(source.first) }, t("first")),
      h("button", { type: "button", class: "quiet", onclick: () => to(source.tail) }, t("last"))));
  });
}

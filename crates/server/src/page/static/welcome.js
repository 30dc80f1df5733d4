// Who are you: the first thing to choose, and what the member button opens later.

import { cleanName, dialog } from "./dialogs.js";
import { avatar, h, icon, iconButton } from "./dom.js";
import { t } from "./i18n.js";
import { load, save } from "./storage.js";
import { address } from "./titles.js";

const RECENT_MAX = 8;

/** Puts a name in front of those used before. */
export function remember(name) {
  save("recent", [name, ...load("recent", []).filter((n) => n !== name)].slice(0, RECENT_MAX));
}

function recentList(render, current) {
  const names = load("recent", []).filter((name) => typeof name === "string" && name !== current);
  if (!names.length) return undefined;
  return h("div", { class: "recent" }, h("h3", {}, t("recent")),
    h("ul", {}, names.map((name) => h("li", {},
      h("a", { class: "person", href: address(name) }, avatar(name), h("span", {}, name)),
      h("a", {
        class: "icon-button", href: address(name), target: "_blank", rel: "noopener",
        "aria-label": t("openAs", name), title: t("openAs", name),
      }, icon("window")),
      iconButton("close", t("forget", name), () => {
        save("recent", load("recent", []).filter((n) => n !== name));
        render();
      })))));
}

function chooser(onchosen, current) {
  const box = h("div", { class: "chooser" });
  const render = () => {
    const input = h("input", {
      id: "name", type: "text", required: true, maxlength: "300", autocomplete: "nickname",
      autocapitalize: "off", placeholder: t("nameHint"),
    });
    box.replaceChildren(
      h("form", {
        class: "form",
        onsubmit: (event) => {
          event.preventDefault();
          const name = cleanName(input.value);
          if (!name) return;
          location.hash = address(name);
          onchosen();
        },
      },
      h("div", { class: "field" }, h("label", { for: "name" }, t("name")), input),
      h("button", { type: "submit", class: "primary" }, t("enter"))),
      ...[recentList(render, current)].filter(Boolean),
    );
  };
  render();
  box.addEventListener("click", (event) => {
    if (event.target.closest("a.person")) onchosen();
  });
  return box;
}

/** The page of somebody who has not said who they are. */
export function welcome(switches) {
  return h("main", { class: "welcome" },
    h("div", { class: "card" },
      h("div", { class: "brand" }, h("img", { src: "/page/favicon.svg", alt: "", width: "48", height: "48" }),
        h("div", {}, h("h1", {}, "Seqline"), h("p", {}, t("tagline")))),
      h("h2", {}, t("who")), chooser(() => {}), h("p", { class: "note" }, t("open")),
      h("div", { class: "switches" }, switches)));
}

/** The same choice while somebody is here already. */
export function switchDialog(me) {
  dialog(t("switch"), (close) => chooser(close, me)).querySelector("input").focus();
}

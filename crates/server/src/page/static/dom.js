// Elements without markup: text only ever enters the page as text.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `on…` properties listen, true and false toggle, the rest are attributes. */
export function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((c) => c !== undefined && c !== null && c !== false));
  return element;
}

const ICONS = {
  back: "M15 5l-7 7 7 7",
  plus: "M12 5v14M5 12h14",
  send: "M4 12l16-8-6 16-3-7z",
  down: "M12 5v14M6 13l6 6 6-6",
  close: "M6 6l12 12M18 6L6 18",
  group: "M9 11a3.5 3.5 0 100-7 3.5 3.5 0 000 7zM2.5 20c0-3.6 2.9-6 6.5-6s6.5 2.4 6.5 6"
    + "M16 4.5a3.3 3.3 0 010 6.3M18 14.5c2.2.8 3.5 2.8 3.5 5.5",
  hash: "M9 4L7 20M17 4l-2 16M4 9h16M3.5 15h16",
  code: "M8 7l-5 5 5 5M16 7l5 5-5 5M13.5 5l-3 14",
  chat: "M4 5h16v11H10l-5 4v-4H4z",
  light: "M12 8a4 4 0 100 8 4 4 0 000-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4"
    + "M17.6 17.6L19 19M5 19l1.4-1.4M17.6 6.4L19 5",
  dark: "M20 14.5A8.5 8.5 0 019.5 4 8.5 8.5 0 1020 14.5z",
  auto: "M12 3a9 9 0 100 18 9 9 0 000-18zM12 3v18M12 7h6M12 12h9M12 17h6",
  window: "M14 4h6v6M20 4l-9 9M17 14v6H4V7h6",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
};

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button that shows an icon and is called something. */
export function iconButton(name, label, onclick, properties) {
  return h("button", {
    type: "button", class: "icon-button", "aria-label": label, title: label, onclick, ...properties,
  }, icon(name));
}

const HUES = 8;

/** A round picture of a name: always the same colour for the same name. */
export function avatar(name, kind) {
  let hash = 0;
  for (const char of name) hash = Math.imul(hash ^ char.codePointAt(0), 0x5bd1e995) >>> 0;
  const shown = kind === "g" ? icon("group") : kind === "o" ? icon("code") : initial(name);
  return h("span", { class: `avatar hue-${(hash >>> 13) % HUES} kind-${kind || "d"}`, "aria-hidden": "true" }, shown);
}

function initial(name) {
  const letter = [...name].find((char) => /[\p{L}\p{N}]/u.test(char)) ?? [...name][0] ?? "?";
  return letter.toUpperCase();
}

/**
 * Makes the children of `parent` the rows of `list` with the least change: `{key, sig, build}`;
 * a row is built again only when its signature changed.
 */
export function reconcile(parent, list) {
  const old = parent.rows || new Map();
  const rows = new Map();
  let next = parent.firstChild;
  for (const { key, sig, build } of list) {
    let row = old.get(key);
    if (!row || row.sig !== sig) {
      const node = build();
      if (row) {
        if (row.node === next) next = next.nextSibling;
        row.node.remove();
      }
      row = { node, sig };
    }
    rows.set(key, row);
    if (row.node === next) next = next.nextSibling;
    else parent.insertBefore(row.node, next);
  }
  while (next) {
    const gone = next;
    next = next.nextSibling;
    gone.remove();
  }
  parent.rows = rows;
}

/** Tells people who listen instead of look. */
export function announce(text) {
  document.getElementById("live").textContent = text;
}

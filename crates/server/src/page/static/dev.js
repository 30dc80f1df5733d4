// The developer view: the raw calls, one page at a time, as any client makes them.

import { call, directUrl, groupUrl, sendRequest, syncUrl, uuid } from "./api.js";
import { announce, h, icon } from "./dom.js";
import { number, t } from "./i18n.js";
import { load, save } from "./storage.js";
import { address } from "./titles.js";

const TABS = [
  ["sync", "sync"], ["single", "singleHistory"], ["group", "groupHistory"], ["send", "sendTab"],
];

export class Developer {
  constructor({ me }) {
    this.me = me;
    const used = load("developer", {});
    this.values = {
      tab: "sync", to: "", group: "", members: "", message: '{"text": "hello"}', count: 20,
      kind: "d", ...used, member: me, from: me, after: 0, key: uuid(),
    };
    this.visited = [];
    this.form = h("form", {
      class: "dev-form",
      onsubmit: (event) => {
        event.preventDefault();
        this.run();
      },
    });
    this.result = h("div", { class: "dev-result" });
    this.tabs = h("div", { class: "tabs", role: "tablist", onkeydown: (e) => this.onTabKey(e) });
    this.element = h("section", { class: "dev", "aria-label": t("developer") },
      h("header", { class: "bar" },
        h("a", { class: "icon-button back", href: address(me), "aria-label": t("back"), title: t("back") }, icon("back")),
        h("div", { class: "titles" }, h("h2", {}, t("developer")),
          h("span", { class: "subtitle" }, t("devText")))),
      this.tabs,
      h("div", { class: "dev-body", role: "tabpanel", id: "dev-panel", "aria-labelledby": "dev-tab" },
        this.form, this.result));
    this.choose(this.values.tab);
  }

  onTabKey(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = TABS.findIndex(([tab]) => tab === this.values.tab);
    this.choose(TABS[(at + step + TABS.length) % TABS.length][0]);
    this.tabs.querySelector("[aria-selected=true]").focus();
  }

  choose(tab) {
    this.values.tab = tab;
    this.values.after = 0;
    this.visited = [];
    this.tabs.replaceChildren(...TABS.map(([name, key]) => h("button", {
      type: "button", role: "tab", "aria-selected": String(name === tab), "aria-controls": "dev-panel",
      tabindex: name === tab ? "0" : "-1", id: name === tab ? "dev-tab" : undefined,
      onclick: () => this.choose(name),
    }, t(key))));
    this.renderForm();
    this.result.replaceChildren(h("p", { class: "note" }, t("devWindow")));
  }

  field(name, key, properties = {}) {
    const input = h(properties.rows ? "textarea" : "input", {
      id: `dev-${name}`, name, type: properties.rows ? undefined : "text", autocomplete: "off",
      autocapitalize: "off", spellcheck: "false", value: this.values[name],
      oninput: () => {
        this.values[name] = input.value;
      },
      ...properties,
    });
    return h("div", { class: `field field-${name}` }, h("label", { for: `dev-${name}` }, t(key)), input);
  }

  renderForm() {
    const { tab } = this.values;
    const numeric = { type: "number", inputmode: "numeric", class: "narrow", required: true };
    const fields = [];
    if (tab === "send") fields.push(...this.sendFields());
    else if (tab === "sync") fields.push(this.field("member", "member"));
    else if (tab === "single") fields.push(this.field("from", "from"), this.field("to", "toField"));
    else fields.push(this.field("group", "group"));
    if (tab !== "send") {
      fields.push(this.field("after", "lastRead", numeric),
        this.field("count", "pageSize", { ...numeric, min: 0, max: 2147483647 }));
    }
    const start = tab !== "send" && h("button", {
      type: "button", class: "quiet", onclick: () => this.step(0, []),
    }, t("fromStart"));
    const note = { send: "keyNote", sync: "syncNote" }[tab] || "historyNote";
    this.form.replaceChildren(h("div", { class: "fields" }, fields),
      h("div", { class: "buttons" },
        h("button", { type: "submit", class: "primary" }, t(tab === "send" ? "send" : "read")),
        ...[start].filter(Boolean)),
      h("p", { class: "note" }, t(note)));
  }

  sendFields() {
    const choice = (value, key) => h("label", {},
      h("input", {
        type: "radio", name: "dev-kind", value, checked: this.values.kind === value,
        onchange: () => {
          this.values.kind = value;
          this.renderForm();
        },
      }), h("span", {}, t(key)));
    const key = this.field("key", "key");
    key.append(h("button", {
      type: "button", class: "link",
      onclick: () => {
        this.values.key = uuid();
        key.querySelector("input").value = this.values.key;
      },
    }, t("newKey")));
    return [
      h("div", { class: "choices", role: "radiogroup" }, choice("d", "direct"), choice("g", "group")),
      ...(this.values.kind === "d"
        ? [this.field("from", "from"), this.field("to", "toField")]
        : [this.field("group", "group"), this.field("members", "membersList")]),
      this.field("message", "message", { rows: "3" }), key,
    ];
  }

  request() {
    const v = this.values;
    const [after, count] = [v.after === "" ? 0 : v.after, v.count === "" ? 0 : v.count];
    if (v.tab === "sync") return { url: syncUrl(v.member, after, count) };
    if (v.tab === "single") return { url: directUrl(v.from, v.to, after, count) };
    if (v.tab === "group") return { url: groupUrl(v.group, after, count) };
    const members = v.members.split(/[,，]/).map((name) => name.trim()).filter(Boolean);
    const name = v.kind === "g" ? v.group : v.to;
    return sendRequest({ kind: v.kind, name, members, raw: v.message, id: v.key }, v.from);
  }

  step(after, visited) {
    this.visited = visited;
    this.values.after = after;
    this.form.querySelector("[name=after]").value = after;
    this.run();
  }

  async run() {
    const { tab, to, group, members, message, count, kind } = this.values;
    save("developer", { tab, to, group, members, message, count, kind });
    const request = this.request();
    const after = Number(this.values.after) || 0;
    const head = this.requestLine(request);
    try {
      const answer = await call(request.url, request.init);
      const page = answer.status === 200 && tab !== "send";
      this.result.replaceChildren(head, this.facts(answer, page, after),
        ...(page ? this.page(answer.json, after) : [this.reply(answer)]));
    } catch (error) {
      this.result.replaceChildren(head, h("p", { class: "banner", role: "alert" }, error.message));
    }
  }

  requestLine({ url, init }) {
    const full = location.origin + url;
    const button = h("button", {
      type: "button", class: "link",
      onclick: async () => {
        await copy(curl(full, init));
        button.lastChild.textContent = t("copied");
        announce(t("copied"));
      },
    }, icon("copy"), h("span", {}, t("copy")));
    return h("div", { class: "request" }, h("h3", {}, t("request")),
      h("code", { class: "url" }, `${init?.method || "GET"} ${full}`), button);
  }

  facts({ json, text, status, ms }, page, after) {
    const facts = [
      [t("status"), status], [t("time"), `${ms.toFixed(1)} ms`],
      [t("size"), `${number(new TextEncoder().encode(text).length)} B`],
    ];
    if (page && json) {
      if (json.latestSeq !== undefined) {
        facts.push(["latestSeq", json.latestSeq], ["entrySetLastSeq", json.entrySetLastSeq]);
      }
      facts.push([t("entries"), json.entrySet.length]);
      if (json.entrySet.length) facts.push([t("seq"), range(json.entrySet)]);
    }
    const list = h("dl", { class: "facts", role: "status" }, facts.map(([name, value]) =>
      h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))));
    const first = page && json.entrySet[0];
    if (!first || after < 0 || Number(first.sequence) === after + 1) return list;
    return h("div", {}, list, h("p", { class: "note" }, t("gapText")));
  }

  reply({ json, text }) {
    return h("div", {}, h("h3", {}, t("reply")),
      h("pre", { class: "raw" }, json ? JSON.stringify(json, null, 2) : text));
  }

  page(json, after) {
    const entries = json.entrySet;
    const last = entries.length ? entries[entries.length - 1].sequence : null;
    const visited = this.visited;
    const steps = h("div", { class: "buttons" },
      h("button", {
        type: "button", class: "quiet previous", disabled: !visited.length,
        onclick: () => this.step(visited[visited.length - 1], visited.slice(0, -1)),
      }, t("prevPage")),
      h("button", {
        type: "button", class: "quiet next", disabled: last === null,
        onclick: () => this.step(last, [...visited, after]),
      }, t("nextPage")));
    if (!entries.length) return [h("p", { class: "note" }, t("emptyPage", after)), steps];
    return [steps, h("table", { class: "entries" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("seq")), h("th", { scope: "col" }, t("message")))),
      h("tbody", {}, entries.map((entry) => h("tr", {},
        h("td", {}, entry.sequence), h("td", {}, h("code", {}, entry.message))))))];
  }
}

/** The sequences of a page, and whether one is missing among them. */
function range(entries) {
  const holds = entries.every((entry, i) =>
    i === 0 || Number(entry.sequence) === Number(entries[i - 1].sequence) + 1);
  const [first, last] = [entries[0].sequence, entries[entries.length - 1].sequence];
  return `${first}–${last}, ${t(holds ? "contiguous" : "gap")}`;
}

const quoted = (text) => `'${text.replace(/'/g, "'\\''")}'`;

function curl(url, init) {
  if (!init) return `curl ${quoted(url)}`;
  const headers = Object.entries(init.headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`);
  return ["curl", quoted(url), ...headers, "-d", quoted(init.body)].join(" ");
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without TLS there is no clipboard; a selection can still be copied.
    const area = h("textarea", { value: text, class: "hidden" });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

"use strict";
/* Theme, tabs, sorting, and the list of queries. */
(() => {
  const root = document.documentElement, themes = ["system", "light", "dark"];
  const button = document.getElementById("theme");
  const store = (value) => {
    try {
      if (value === undefined) return localStorage.getItem("routebench-theme");
      localStorage.setItem("routebench-theme", value);
    } catch { /* a file may have no storage */ }
    return null;
  };
  const theme = (name) => {
    if (name === "system") delete root.dataset.theme; else root.dataset.theme = name;
    button.textContent = "Theme: " + name;
    Plots.again();
  };
  let now = themes.includes(store()) ? store() : "system";
  theme(now);
  button.addEventListener("click", () => {
    now = themes[(themes.indexOf(now) + 1) % themes.length];
    store(now);
    theme(now);
  });

  const tabs = [...document.querySelectorAll('[role="tab"]')];
  const show = (tab) => {
    for (const each of tabs) {
      const chosen = each === tab;
      each.setAttribute("aria-selected", String(chosen));
      each.tabIndex = chosen ? 0 : -1;
      document.getElementById(each.getAttribute("aria-controls")).hidden = !chosen;
    }
  };
  tabs.forEach((tab, i) => {
    tab.addEventListener("click", () => show(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = tabs[(i + step + tabs.length) % tabs.length];
      show(next);
      next.focus();
    });
  });

  const key = (row, at) => {
    const text = row.cells[at].dataset.sort;
    if (text === undefined) return null;
    return text !== "" && !Number.isNaN(Number(text)) ? Number(text) : text;
  };
  const order = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  };
  for (const sort of document.querySelectorAll(".sort")) {
    sort.addEventListener("click", () => {
      const head = sort.closest("th"), table = sort.closest("table"), body = table.tBodies[0];
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const keyed = [...body.rows].map((row) => [key(row, head.cellIndex), row]);
      keyed.sort(([a], [b]) => {
        if (a === null || b === null) return (a === null) - (b === null);
        return up ? order(a, b) : order(b, a);
      });
      body.append(...keyed.map(([, row]) => row));
    });
  }

  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
  const number = (value) => (Number.isNaN(value) ? "–" : String(Number(value.toPrecision(4))));
  const element = (name, text, kind) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };
  const row = (...cells) => {
    const made = element("tr");
    made.append(...cells);
    return made;
  };

  class Browser {
    static size = 25;

    constructor(section, block) {
      this.section = section;
      const data = (this.data = JSON.parse(block.textContent));
      const wide = data.wide === 1 ? Uint8Array : Uint16Array;
      this.m = data.models.length;
      this.score = new Float32Array(bytes(data.score));
      this.cost = data.cost && new Float32Array(bytes(data.cost));
      this.choice = data.choice.map((text) => new wide(bytes(text)));
      this.sure = data.confidence.map((text) => text && new Uint8Array(bytes(text)));
      this.columns = Object.entries(data.columns).map(([name, column]) =>
        ({ name, names: column.names, codes: new Uint16Array(bytes(column.codes)) }));
      this.best = this.bests();
      this.page = 0;
      this.fields = Object.fromEntries(
        [...section.querySelectorAll("[data-f]")].map((field) => [field.dataset.f, field]));
      this.fill();
      section.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
      section.querySelector("form").addEventListener("input", () => this.filter());
      for (const go of section.querySelectorAll("[data-go]")) {
        go.addEventListener("click", () => this.turn(this.page + Number(go.dataset.go)));
      }
      this.filter();
    }

    /* The cheapest of the best answers, by query; -1 where no answer is usable. */
    bests() {
      const best = new Int32Array(this.data.n).fill(-1);
      for (let i = 0; i < this.data.n; i++) {
        for (let j = 0; j < this.m; j++) {
          const at = i * this.m + j, score = this.score[at];
          if (Number.isNaN(score)) continue;
          const old = best[i] < 0 ? -1 : i * this.m + best[i];
          if (old < 0 || score > this.score[old] ||
              (score === this.score[old] && this.cost && this.cost[at] < this.cost[old])) best[i] = j;
        }
      }
      return best;
    }

    outcome(router, i) {
      const at = i * this.m + this.choice[router][i], score = this.score[at];
      if (Number.isNaN(score) || this.best[i] < 0) return "no usable answer";
      const top = this.score[i * this.m + this.best[i]];
      if (top > score + 1e-6) return "missed";
      if (this.data.measure === "accuracy" && score < 0.5) return "beyond the pool";
      return "right";
    }

    overpaid(router, i) {
      const at = i * this.m + this.choice[router][i], best = i * this.m + this.best[i];
      return this.outcome(router, i) === "right" && this.cost && this.cost[best] < this.cost[at];
    }

    fill() {
      const add = (name, texts, any) => {
        if (any) this.fields[name].append(new Option(any, ""));
        texts.forEach((text, i) => this.fields[name].append(new Option(text, String(i))));
      };
      add("router", this.data.routers);
      add("model", this.data.models, "any");
      for (const column of this.columns) {
        add(column.name, column.names.map((name) => name || "(none)"), "all");
        this.section.querySelector(`[data-col="${column.name}"]`).hidden = false;
      }
      const kinds = this.data.measure === "accuracy"
        ? [["", "all"], ["right", "right: no model did better"], ["wrong", "wrong: score below ½"],
          ["missed", "missed opportunity: another was better"],
          ["beyond the pool", "wrong, and no model was better"]]
        : [["", "all"], ["right", "best choice for the user"],
          ["missed", "missed opportunity: another was better"]];
      if (this.cost) kinds.push(["overpaid", "overpaid: as good for less"]);
      kinds.push(["no usable answer", "no usable answer"]);
      kinds.forEach(([value, text]) => this.fields.outcome.append(new Option(text, value)));
    }

    filter() {
      const field = (name) => this.fields[name].value;
      const router = Number(field("router") || 0), kind = field("outcome"), model = field("model");
      const words = field("search").trim().toLowerCase();
      const wanted = this.columns.filter((c) => field(c.name) !== "")
        .map((c) => [c.codes, Number(field(c.name))]);
      const found = [];
      for (let i = 0; i < this.data.n && this.choice.length; i++) {
        const chosen = this.choice[router][i];
        if (model !== "" && chosen !== Number(model)) continue;
        if (wanted.some(([codes, code]) => codes[i] !== code)) continue;
        if (words && !this.text(i).includes(words)) continue;
        if (kind === "overpaid" ? !this.overpaid(router, i)
          : kind === "wrong" ? !(this.score[i * this.m + chosen] < 0.5)
            : kind && this.outcome(router, i) !== kind) continue;
        found.push(i);
      }
      this.found = found;
      this.router = router;
      this.turn(0);
    }

    text(i) {
      return [this.data.ids[i], ...this.columns.map((c) => c.names[c.codes[i]])]
        .join(" ").toLowerCase();
    }

    turn(page) {
      const count = this.found.length, pages = Math.max(1, Math.ceil(count / Browser.size));
      this.page = Math.min(Math.max(page, 0), pages - 1);
      const format = (value) => value.toLocaleString("en");
      const part = this.data.n < this.data.total
        ? ` (${format(this.data.n)} of ${format(this.data.total)} are in this page, evenly spaced)` : "";
      this.section.querySelector(".count").textContent =
        `${format(count)} of ${format(this.data.n)} queries${part}`;
      this.section.querySelector(".page").textContent = `Page ${this.page + 1} of ${pages}`;
      this.section.querySelector('[data-go="-1"]').disabled = this.page === 0;
      this.section.querySelector('[data-go="1"]').disabled = this.page === pages - 1;
      this.list(this.found.slice(this.page * Browser.size, (this.page + 1) * Browser.size));
    }

    list(rows) {
      const table = this.section.querySelector(".list"), cost = this.data.cost_name;
      const heads = ["", "query", ...this.columns.map((c) => c.name), "outcome", "chosen", "score",
        ...(this.cost ? [cost] : []), "would be right", "score", ...(this.cost ? [cost] : []),
        ...(this.sure[this.router] ? ["confidence"] : [])];
      table.tHead.replaceChildren(row(...heads.map((text) => {
        const head = element(text ? "th" : "td", text);
        if (text) head.scope = "col";
        return head;
      })));
      table.tBodies[0].replaceChildren(...rows.map((i) => this.line(i, heads.length)));
    }

    line(i, width) {
      const models = this.data.models, chosen = this.choice[this.router][i], best = this.best[i];
      const at = i * this.m + chosen, right = i * this.m + best, kind = this.outcome(this.router, i);
      const none = best < 0 || (kind === "beyond the pool");
      const open = element("button", "+", "open"), first = element("td");
      open.type = "button";
      open.setAttribute("aria-expanded", "false");
      open.setAttribute("aria-label", "All models and routers on " + this.data.ids[i]);
      first.append(open);
      const mark = { right: "✓ right", missed: "✗ missed", "beyond the pool": "– beyond the pool" };
      const tone = { right: "better", missed: "worse" }[kind] || "";
      const told = this.overpaid(this.router, i) ? "✓ right, overpaid" : mark[kind] || kind;
      const texts = [
        [this.data.ids[i], "id"], ...this.columns.map((c) => [c.names[c.codes[i]]]),
        [told, "mark " + tone], [models[chosen]], [number(this.score[at])],
        ...(this.cost ? [[number(this.cost[at])]] : []),
        [none ? "no model" : models[best]], [none ? "–" : number(this.score[right])],
        ...(this.cost ? [[none ? "–" : number(this.cost[right])]] : []),
      ];
      const sure = this.sure[this.router];
      if (sure) texts.push([sure[i] === 255 ? "–" : (sure[i] / 254).toFixed(2)]);
      const made = row(first, ...texts.map(([text, kind_]) => {
        const cell = element("td", text, kind_);
        cell.title = text;
        return cell;
      }));
      open.addEventListener("click", () => {
        const shown = open.getAttribute("aria-expanded") === "true";
        open.setAttribute("aria-expanded", String(!shown));
        open.textContent = shown ? "+" : "−";
        if (shown) made.nextElementSibling.remove(); else made.after(this.detail(i, width));
      });
      return made;
    }

    /* Every model on one query, and who chose it. */
    detail(i, width) {
      const cell = element("td"), table = element("table"), body = element("tbody");
      const heads = ["model", "score", ...(this.cost ? [this.data.cost_name] : []), "chosen by"];
      const head = element("thead");
      head.append(row(...heads.map((text) => element("th", text))));
      this.data.models.forEach((model, j) => {
        const by = this.data.routers.filter((_, r) => this.choice[r][i] === j).join(", ");
        body.append(row(element("th", model), element("td", number(this.score[i * this.m + j])),
          ...(this.cost ? [element("td", number(this.cost[i * this.m + j]))] : []),
          element("td", by || "–")));
      });
      table.append(head, body);
      cell.colSpan = width;
      cell.append(table);
      const made = row(cell);
      made.className = "more";
      return made;
    }
  }

  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      const run = entry.target.closest(".run").id;
      new Browser(entry.target, document.getElementById(run + "-data"));
    }
  }, { rootMargin: "600px" });
  document.querySelectorAll(".browse").forEach((section) => near.observe(section));
})();

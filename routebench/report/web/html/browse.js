"use strict";
/* The list of queries. Its data are unpacked when it comes near. */
(() => {
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
  const unpacked = async (text) => {
    const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };
  /* Bytes of equal weight lie together, as they are packed better so. */
  const numbers = async (text, Kind) => {
    const planes = await unpacked(text), width = Kind.BYTES_PER_ELEMENT, n = planes.length / width;
    const made = new Uint8Array(planes.length);
    for (let b = 0; b < width; b++) {
      for (let i = 0; i < n; i++) made[i * width + b] = planes[b * n + i];
    }
    return new Kind(made.buffer);
  };
  const texts = async (text) => JSON.parse(new TextDecoder().decode(await unpacked(text)));
  const each = (list, read) => Promise.all(list.map((one) => one && read(one)));

  class Browser {
    static size = 25;

    static async open(section, block) {
      const data = JSON.parse(block.textContent), made = new Browser();
      const Wide = data.wide === 1 ? Uint8Array : Uint16Array;
      made.section = section;
      made.data = data;
      made.m = data.models.length;
      made.ids = await texts(data.ids);
      made.texts = data.texts && await texts(data.texts);
      made.score = await numbers(data.score, Float32Array);
      made.cost = data.cost && await numbers(data.cost, Float32Array);
      made.choice = await each(data.choice, (text) => numbers(text, Wide));
      made.sure = await each(data.confidence, (text) => numbers(text, Uint8Array));
      made.quality = await each(data.quality, async (one) =>
        ({ low: one.low, step: one.step, codes: await numbers(one.codes, Uint8Array) }));
      made.asked = await each(data.asked, (text) => numbers(text, Uint8Array));
      made.columns = await Promise.all(Object.entries(data.columns).map(async ([name, column]) =>
        ({ name, names: column.names, codes: await numbers(column.codes, Uint16Array) })));
      made.start();
    }

    start() {
      const { section } = this;
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
      const add = (name, names, any) => {
        if (any) this.fields[name].append(new Option(any, ""));
        names.forEach((text, i) => this.fields[name].append(new Option(text, String(i))));
      };
      add("router", this.data.routers);
      add("model", this.data.models, "any");
      add("differs", this.data.routers.map((name) => `not as ${name}`), "all");
      this.fields.differs.add(new Option("routers differ", "some"), 1);
      this.fields.differs.add(new Option("all routers agree", "none"), 2);
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
      const differs = field("differs"), other = this.choice[Number(differs)];
      const words = field("search").trim().toLowerCase();
      const wanted = this.columns.filter((c) => field(c.name) !== "")
        .map((c) => [c.codes, Number(field(c.name))]);
      const found = [];
      for (let i = 0; i < this.data.n && this.choice.length; i++) {
        const chosen = this.choice[router][i];
        if (model !== "" && chosen !== Number(model)) continue;
        if (wanted.some(([codes, code]) => codes[i] !== code)) continue;
        if (differs === "some" || differs === "none") {
          if (this.choice.some((of) => of[i] !== chosen) !== (differs === "some")) continue;
        } else if (differs !== "" && other[i] === chosen) continue;
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
      return [this.ids[i], ...(this.texts ? [this.texts[i]] : []),
        ...this.columns.map((c) => c.names[c.codes[i]])].join(" ").toLowerCase();
    }

    turn(page) {
      const count = this.found.length, pages = Math.max(1, Math.ceil(count / Browser.size));
      this.page = Math.min(Math.max(page, 0), pages - 1);
      const format = (value) => value.toLocaleString("en");
      const { n, total, left_out: left } = this.data;
      const part = n < total ? ` (${format(n)} of ${format(total)} are in this page, evenly spaced)` : "";
      this.section.querySelector(".count").textContent =
        `${format(count)} of ${format(n)} queries${part}${left ? `; ${left}` : ""}`;
      this.section.querySelector(".page").textContent = `Page ${this.page + 1} of ${pages}`;
      this.section.querySelector('[data-go="-1"]').disabled = this.page === 0;
      this.section.querySelector('[data-go="1"]').disabled = this.page === pages - 1;
      this.list(this.found.slice(this.page * Browser.size, (this.page + 1) * Browser.size));
    }

    list(rows) {
      const table = this.section.querySelector(".list"), cost = this.data.cost_name;
      const heads = ["", "query", ...(this.texts ? ["text"] : []), "outcome", "chosen", "score",
        ...(this.cost ? [cost] : []), "would be right", "score", ...(this.cost ? [cost] : []),
        ...(this.sure[this.router] ? ["confidence"] : []), ...this.columns.map((c) => c.name)];
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
      open.setAttribute("aria-label", "Why: all models and routers on " + this.ids[i]);
      first.append(open);
      const mark = { right: "✓ right", missed: "✗ missed", "beyond the pool": "– beyond the pool" };
      const tone = { right: "better", missed: "worse" }[kind] || "";
      const told = this.overpaid(this.router, i) ? "✓ right, overpaid" : mark[kind] || kind;
      const cells = [
        [this.ids[i], "id"], ...(this.texts ? [[this.texts[i], "text"]] : []),
        [told, "mark " + tone], [models[chosen]], [number(this.score[at])],
        ...(this.cost ? [[number(this.cost[at])]] : []),
        [none ? "no model" : models[best]], [none ? "–" : number(this.score[right])],
        ...(this.cost ? [[none ? "–" : number(this.cost[right])]] : []),
      ];
      const sure = this.sure[this.router];
      if (sure) cells.push([sure[i] === 255 ? "–" : (sure[i] / 254).toFixed(2)]);
      cells.push(...this.columns.map((c) => [c.names[c.codes[i]]]));
      const made = row(first, ...cells.map(([text, kind_]) => {
        const cell = element("td", text, kind_);
        cell.title = text.slice(0, 300);
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

    /* Why: every model on one query, what the router expected of it, and who chose it. */
    detail(i, width) {
      const cell = element("td"), table = element("table"), body = element("tbody");
      const name = this.data.routers[this.router], chosen = this.choice[this.router][i];
      const quality = this.quality[this.router], asked = this.asked[this.router];
      const expected = (j) => {
        const code = quality.codes[i * this.m + j];
        return code === 255 ? "not considered" : (quality.low + quality.step * code).toFixed(2);
      };
      const heads = ["model", ...(quality ? [`expected by ${name}`] : []), ...(asked ? ["asked in round"] : []),
        "score", ...(this.cost ? [this.data.cost_name] : []), "chosen by"];
      const head = element("thead");
      head.append(row(...heads.map((text) => element("th", text))));
      this.data.models.forEach((model, j) => {
        const by = this.data.routers.filter((_, r) => this.choice[r][i] === j).join(", ");
        const line = row(element("th", model), ...(quality ? [element("td", expected(j))] : []),
          ...(asked ? [element("td", String(asked[i * this.m + j] || "–"))] : []),
          element("td", number(this.score[i * this.m + j])),
          ...(this.cost ? [element("td", number(this.cost[i * this.m + j]))] : []),
          element("td", by || "–"));
        line.firstChild.scope = "row";
        if (j === chosen) line.className = "chosen";
        body.append(line);
      });
      table.append(head, body);
      cell.colSpan = width;
      if (this.texts) cell.append(element("p", this.texts[i], "whole"));
      cell.append(element("p", this.why(i, quality, asked), "small"), table);
      const made = row(cell);
      made.className = "more";
      return made;
    }

    why(i, quality, asked) {
      const name = this.data.routers[this.router], model = this.data.models[this.choice[this.router][i]];
      if (asked) return `${name} gave the answer of ${model}, after the rounds below.`;
      if (!quality) {
        return `${name} chose ${model}; what it expected of the models is not ${this.data.left_out ? "in this page" : "recorded"}.`;
      }
      const codes = this.data.models.map((_, j) => quality.codes[i * this.m + j]).map((c) => (c === 255 ? -1 : c));
      const own = codes[this.choice[this.router][i]];
      return own >= Math.max(...codes)
        ? `${name} chose ${model}: no model was expected to answer better.`
        : `${name} chose ${model}, though it expected another to answer better: its rule weighs more than that, such as cost.`;
    }
  }

  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      const run = entry.target.closest(".run").id, count = entry.target.querySelector(".count");
      if (typeof DecompressionStream === "undefined") {
        count.textContent = "This browser cannot unpack the list of queries: one of 2023 or later can.";
        continue;
      }
      count.textContent = "Reading…";
      Browser.open(entry.target, document.getElementById(run + "-data"));
    }
  }, { rootMargin: "600px" });
  document.querySelectorAll(".browse").forEach((section) => near.observe(section));
})();

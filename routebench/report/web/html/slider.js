"use strict";
/* Dollars at a number of queries, and the slider over a router's trade-offs. */
(() => {
  const days = { hour: 1 / 24, day: 1, week: 7, month: 365 / 12, year: 365 };
  const minus = (text) => text.replace("-", "−");
  const percent = (value, digits) => minus((100 * value).toFixed(digits));
  const signed = (value) => {
    const text = percent(value, 1);
    return Number(text.replace("−", "-")) === 0 ? "0.0" : (value > 0 ? "+" : "") + text;
  };
  const usd = (value, largest) => {
    const digits = Math.abs(largest) >= 1000 ? 0 : 2;
    const text = Math.abs(value).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    return (value < 0 ? "−$" : "$") + text;
  };
  const cheaper = (saved) => Math.abs(saved) < 0.005 ? "no cheaper"
    : `${percent(Math.abs(saved), 0)}% ${saved > 0 ? "cheaper" : "dearer"}`;

  /* Some four round numbers within a range. */
  const ticks = ([low, high]) => {
    const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((part) => part * power >= rough);
    const first = Math.ceil(low / step), n = Math.floor(high / step) - first + 1;
    return Array.from({ length: Math.max(n, 0) }, (_, i) => (first + i) * step);
  };

  class Volume {
    constructor(run) {
      this.place = run.querySelector(".volume");
      this.listeners = [];
      if (!this.place) return;
      this.number = this.place.querySelector("input");
      this.period = this.place.querySelector("select");
      this.place.addEventListener("submit", (event) => event.preventDefault());
      this.place.addEventListener("input", () => this.listeners.forEach((each) => each()));
    }

    /* Queries a month; NaN where no number is given. */
    get month() {
      const number = this.place ? this.number.valueAsNumber : NaN;
      return number > 0 ? number * days.month / days[this.period.value] : NaN;
    }
  }

  class Card {
    constructor(place, volume) {
      this.place = place;
      volume.listeners.push(() => this.show(volume.month));
    }

    show(month) {
      const costs = this.place.dataset, [paid, base] = [costs.paid, costs.base].map((c) => Number(c) * month / 1000);
      const known = Number.isFinite(month);
      this.place.querySelector("[data-d=paid]").textContent = known ? usd(paid, base) : "–";
      this.place.querySelector("[data-d=base]").textContent = known ? usd(base, base) : "–";
      this.place.querySelector("[data-d=saved]").textContent = known ? usd(base - paid, base) : "–";
    }
  }

  const SVG = "http://www.w3.org/2000/svg";
  const drawn = (name, attributes, text) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
    if (text !== undefined) made.textContent = text;
    return made;
  };

  class Slider {
    static box = { width: 560, height: 220, left: 50, right: 14, top: 12, bottom: 44 };

    constructor(place, data, volume) {
      this.data = data;
      this.volume = volume;
      this.at = (name) => place.querySelector(`[data-t=${name}]`);
      this.range = this.at("range");
      data.routers.forEach((one, i) => this.at("router").append(new Option(one.name, String(i))));
      this.at("router").value = String(data.shown);
      this.at("router").addEventListener("change", () => this.choose());
      this.range.addEventListener("input", () => this.show());
      volume.listeners.push(() => this.show());
      this.choose();
    }

    get stops() { return this.router.stops; }

    choose() {
      this.router = this.data.routers[Number(this.at("router").value)];
      this.range.max = String(this.stops.length - 1);
      const names = this.stops.map((stop) => stop.p);
      const wanted = [this.data.start, "within-1pp", "same-accuracy", "most-accurate"];
      const start = wanted.map((name) => names.indexOf(name)).find((i) => i >= 0);
      this.range.value = String(start ?? 0);
      this.buttons = new Map();
      this.at("points").replaceChildren(...this.stops.flatMap((stop, i) => {
        if (!stop.p) return [];
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = `◆ ${stop.p}`;
        button.addEventListener("click", () => { this.range.value = String(i); this.show(); });
        this.buttons.set(i, button);
        return [button];
      }));
      this.at("marks").replaceChildren(...[...this.buttons.keys()].map((i) => new Option("", String(i))));
      this.draw();
      this.show();
    }

    scales() {
      const { width, height, left, right, top, bottom } = Slider.box, single = this.router.single;
      const span = (values) => {
        const low = Math.min(...values), high = Math.max(...values), gap = 0.06 * (high - low || 1e-9);
        return [low - gap, high + gap];
      };
      const [x0, x1] = span([...this.stops.map((stop) => stop.c), single.c]);
      const [y0, y1] = span([...this.stops.map((stop) => stop.a), single.a]);
      return {
        x: (cost) => left + (width - left - right) * (cost - x0) / (x1 - x0),
        y: (accuracy) => height - bottom - (height - top - bottom) * (accuracy - y0) / (y1 - y0),
        ends: { x: [x0, x1], y: [y0, y1] },
      };
    }

    draw() {
      const { width, height, left, right, top, bottom } = Slider.box, { x, y, ends } = this.scales();
      const svg = this.at("chart"), single = this.router.single;
      const digits = 100 * (ends.y[1] - ends.y[0]) < 4 ? (100 * (ends.y[1] - ends.y[0]) < 0.4 ? 2 : 1) : 0;
      svg.replaceChildren(
        ...ticks(ends.y).flatMap((value) => [
          drawn("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }),
          drawn("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, `${percent(value, digits)}%`)]),
        ...ticks(ends.x).map((value) =>
          drawn("text", { x: x(value), y: height - bottom + 18, "text-anchor": "middle" }, `$${Number(value.toPrecision(6))}`)),
        drawn("text", { class: "axis", x: width - right, y: height - 4, "text-anchor": "end" }, "USD per 1,000 queries"),
        drawn("line", { class: "single", x1: left, x2: width - right, y1: y(single.a), y2: y(single.a) }),
        drawn("line", { class: "single", x1: x(single.c), x2: x(single.c), y1: top, y2: height - bottom }),
        drawn("text", { class: "axis", x: x(single.c) > width / 2 ? x(single.c) - 5 : x(single.c) + 5, y: height - bottom - 5,
          "text-anchor": x(single.c) > width / 2 ? "end" : "start" }, "best single model"),
        drawn("polyline", { class: "curve", points: this.stops.filter((stop) => !stop.p)
          .map((stop) => `${x(stop.c)},${y(stop.a)}`).join(" ") }),
        ...this.stops.filter((stop) => stop.p).map((stop) =>
          drawn("path", { class: "point", d: `M${x(stop.c)} ${y(stop.a) - 7}l6 7l-6 7l-6 -7z` })),
        drawn("circle", { class: "now", r: 7 }));
    }

    show() {
      const i = this.range.valueAsNumber, stop = this.stops[i], month = this.volume.month;
      const { x, y } = this.scales(), now = this.at("chart").querySelector(".now");
      now.setAttribute("cx", x(stop.c));
      now.setAttribute("cy", y(stop.a));
      const base = this.router.single.c * month / 1000, paid = stop.c * month / 1000;
      const known = Number.isFinite(month), set = (name, text) => { this.at(name).textContent = text; };
      const lambda = stop.l === "own" ? "its own choice" : stop.l === "fixed" ? "none: the best single model" : stop.l ?? "not recorded";
      set("accuracy", `${percent(stop.a, 1)}%`);
      set("difference", `${signed(stop.d)} pp to the best single model`);
      set("savings", cheaper(stop.s));
      set("lambda", lambda);
      set("folds", lambda.includes(" to ") ? "over seeds and folds" : "");
      set("cost", `$${Number(stop.c.toPrecision(3))} per 1,000 queries`);
      set("month", known ? `${usd(paid, base)} a month` : "–");
      set("where", stop.p ? `◆ ${stop.p}` : `Setting ${i + 1} of ${this.stops.length}`);
      set("honest", this.honest(stop));
      this.at("honest").className = stop.p ? "honest fixed" : "honest";
      this.buttons.forEach((button, j) => button.setAttribute("aria-pressed", String(i === j)));
      this.range.setAttribute("aria-valuetext", [stop.p, `accuracy ${percent(stop.a, 1)}%`, cheaper(stop.s),
        `λ ${lambda}`, known ? `${usd(paid, base)} a month` : null].filter(Boolean).join(", "));
    }

    honest(stop) {
      if (stop.p) {
        return `Fixed before the test – ${stop.t}.`;
      }
      const asked = stop.s >= 0.05 ? ` To have one fixed beforehand: --point savings=${Math.floor(100 * stop.s)}%.` : "";
      return "Not fixed before the test: read off the test queries, so the best-looking of these settings "
        + `tends to fall short. Only the points marked ◆ were fixed.${asked}`;
    }
  }

  for (const run of document.querySelectorAll(".run")) {
    const volume = new Volume(run), card = run.querySelector(".dollars");
    const block = document.getElementById(run.id + "-tradeoffs");
    if (card) new Card(card, volume);
    if (block) new Slider(run.querySelector(".tradeoffs"), JSON.parse(block.textContent), volume);
  }
})();

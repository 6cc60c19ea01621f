"use strict";
/* Draws the plots when they come near and all else is there, in the colours of the theme. */
const Plots = (() => {
  const root = document.documentElement, figures = new Map(), drawn = new Set();
  const texts = new Set(["name", "legendgroup", "hovertext", "text", "ticktext"]);
  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    return (name) => style.getPropertyValue("--" + name).trim();
  };
  const themed = (value, colour) => {
    if (typeof value === "string") return value.startsWith("@") ? colour(value.slice(1)) : value;
    if (Array.isArray(value)) return value.map((each) => themed(each, colour));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, each]) =>
      [key, texts.has(key) ? each : themed(each, colour)]));
  };
  /* A long legend stands on the right, or below where the plot is narrow. */
  const beside = (place, figure, layout, narrow) => {
    const names = figure.data.filter((trace) => trace.showlegend !== false).length;
    const rem = parseFloat(getComputedStyle(root).fontSize);
    Object.assign(layout.legend, narrow
      ? { orientation: "h", y: -0.16, yanchor: "top", maxheight: 1 }
      : { orientation: "v", x: 1.01, y: 1, yanchor: "top" });
    const rows = narrow ? 22 * rem + 11 * names + 60 : Math.max(figure.height * rem, 21 * names + 90);
    place.style.height = `${Math.round(rows)}px`;
  };
  const draw = (place) => {
    const figure = figures.get(place.id);
    if (!figure || place.offsetWidth === 0) return;
    const narrow = place.offsetWidth < 600;
    const { data, layout } = themed({ data: figure.data, layout: figure.layout }, colours());
    if (figure.beside) beside(place, figure, layout, narrow);
    if (narrow) {
      layout.font.size = 11;
      layout.legend.font = { size: 10 };
      layout.dragmode = false; // a finger on a plot still scrolls the page
    }
    layout.hoverlabel = { align: "left", namelength: -1 };
    load();
    drawn.add(place.id);
    if (figure.variant !== undefined) data.forEach((trace, i) => { trace.x = figure.variants[figure.variant][i]; });
    Plotly.react(place, data, layout, { displayModeBar: false, responsive: true });
  };
  /* Its text is allowed by its hash, as that of every script here. */
  const load = () => {
    if (typeof Plotly !== "undefined") return;
    const script = document.createElement("script");
    script.textContent = document.getElementById("plotly").textContent;
    document.body.append(script);
  };
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting && !drawn.has(entry.target.id)) draw(entry.target);
    }
  }, { rootMargin: "800px" });
  const again = () => drawn.forEach((id) => draw(document.getElementById(id)));
  let kept = null;
  /* On paper all runs show, in the light theme, as wide as a page. */
  const toPaper = () => {
    kept = { theme: root.dataset.theme, hidden: [...document.querySelectorAll(".run[hidden]")] };
    root.dataset.theme = "light";
    root.classList.add("paper");
    kept.hidden.forEach((run) => { run.hidden = false; });
    document.querySelectorAll(".plot").forEach(draw);
  };
  const toScreen = () => {
    if (kept === null) return;
    if (kept.theme) root.dataset.theme = kept.theme; else delete root.dataset.theme;
    root.classList.remove("paper");
    kept.hidden.forEach((run) => { run.hidden = true; });
    kept = null;
    again();
  };
  for (const block of document.querySelectorAll('script[id$="-plots"]')) {
    for (const [id, figure] of Object.entries(JSON.parse(block.textContent))) {
      figures.set(id, figure);
    }
  }
  const start = () => figures.forEach((_, id) => seen.observe(document.getElementById(id)));
  const idle = typeof requestIdleCallback === "undefined" ? setTimeout : requestIdleCallback;
  addEventListener("load", () => setTimeout(() => idle(start, { timeout: 1000 }), 300)); // the first screen is there before
  for (const choice of document.querySelectorAll('select[id$="-task"]')) {
    choice.addEventListener("change", () => {
      const id = choice.id.replace(/-task$/, "-usage");
      figures.get(id).variant = choice.selectedIndex;
      draw(document.getElementById(id));
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  addEventListener("beforeprint", toPaper);
  addEventListener("afterprint", toScreen);
  return { again };
})();

"use strict";
/* Theme, tabs and sorting. */
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
})();

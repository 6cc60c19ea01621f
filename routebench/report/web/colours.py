"""Every colour of the pages and figures."""

from __future__ import annotations

LIGHT = {
    "paper": "#fff", "raised": "#f5f6f8", "ink": "#1b1f24", "soft": "#4f5963", "line": "#c9d0d8",
    "grid": "#e3e7eb", "accent": "#0059a8", "warn-bg": "#fff6dc", "warn-line": "#9a6a00",
    "bad": "#a5330a", "good": "#00654b",
}  # fmt: skip
"""The style sheet's variables; a plot refers to them as `@name`."""
DARK = {
    "paper": "#14171a", "raised": "#1e2328", "ink": "#e8ebee", "soft": "#aab4be", "line": "#47515b",
    "grid": "#2e353c", "accent": "#7cc0ff", "warn-bg": "#2c2611", "warn-line": "#d9a520",
    "bad": "#ff9d70", "good": "#4fd3a9",
}  # fmt: skip
PRINT = {
    "paper": "#fff", "raised": "#fff", "ink": "#000", "soft": "#333", "line": "#999",
    "grid": "#ddd", "good": "#00654b", "bad": "#a5330a", "warn-bg": "#fff",
}  # fmt: skip
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "@ink")
"""Okabe and Ito 2008, without the yellow that is lost on white."""
MARKS = SERIES[:-1]
"""Of marks with an outline in ink, whose shapes differ too."""
FILLS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
FLOWS = ("#0072B2", "#D55E00", "#CC79A7", "#56B4E9", "#E69F00", "@ink")
"""As `SERIES`, without the green that stands for what stops."""
HEAT = (
    ("#00224e", "#fff"), ("#173469", "#fff"), ("#3b496c", "#fff"), ("#575d6d", "#fff"),
    ("#707173", "#fff"), ("#8a8678", "#000"), ("#a59c74", "#000"), ("#c3b369", "#000"),
    ("#e1cc55", "#000"),
)  # fmt: skip
"""Background and text of a heat map's steps, from low to high."""

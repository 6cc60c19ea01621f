"""Links between pages, and to files of the repository, lead somewhere, as git hosts follow them."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^( *)(`{3,}).*?^\1\2 *$", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)")


@cache
def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return FENCE.sub("", page.read_text("utf-8"))


@cache
def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as git hosts and the site make them."""
    text = prose(page)
    if page.parent.name == "reference":  # what is made from code has headings of its own
        text += "\n## Routers\n" + "".join(
            f"\n## routebench {name}\n" for name in ("run", "oracle")
        )
    headings = re.findall(r"^#{1,6} +(.+?) *$", text, re.M)
    words = (re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", each).lower().replace(" ", "-") for each in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if re.match(r"https?://|mailto:", link):
            continue
        assert not link.startswith("/"), link
        place, _, anchor = link.partition("#")
        target = page if not place else (page.parent / place).resolve()
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


def test_lists_are_lists_everywhere() -> None:
    """A list right below a line of text is none to the site, and one to a git host."""
    for page in PAGES:
        lines = prose(page).splitlines()
        for before, line in pairwise(lines):
            if re.match(r"(?:[-*]|\d+\.) ", line):
                ok = not before.strip() or re.match(r"(?:[-*]|\d+\.|>| {2,})", before)
                assert ok, f"{page.name}: an empty line before {line!r}"

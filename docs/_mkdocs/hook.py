"""MkDocs' events: markers become generated parts, linked files of the repository become pages.

A page holds `<!-- generated: NAME -->`, a comment on a git host, where a part of `reference` goes.
A link to a file outside `docs/`, which a git host shows, leads to a page with that file here.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

import reference
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
MARKER = re.compile(r"^<!-- generated: ([\w-]+) -->$", re.M)
LINK = re.compile(r"(?<=\]\()(\.\.?/[^)#\s]+)(?=[)#])")
LANGUAGES = {".py": "python", ".toml": "toml", ".json": "json", ".yml": "yaml", ".yaml": "yaml"}
BOOST = {"faq": 2, "reference/metrics": 3, "reference/commands": 2} | dict.fromkeys(
    ("reference/hooks", "reference/python"), 0.01
)
"""What the search puts first, and last: names of attributes are many."""
TEXT = {*LANGUAGES, ".md", ".txt", ".ipynb", ".typed", ""}


def on_files(files: Files, config: Any) -> Files:
    """Add a page for each file or folder of the repository that a page links to."""
    added = set()
    for file in list(files.documentation_pages()):
        for link in LINK.findall(file.content_string):
            place = _outside(file.src_uri, link)
            if place is not None and place not in added:
                added.add(place)
                text = _shown(ROOT / place)
                files.append(File.generated(config, _page_of(place), content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    """Put generated parts in, and turn links to the repository's files to their pages."""

    def turned(link: re.Match[str]) -> str:
        place = _outside(page.file.src_uri, link[1])
        if place is None:
            return link[1]
        return posixpath.relpath(_page_of(place), posixpath.dirname(page.file.src_uri) or ".")

    if boost := BOOST.get(page.file.src_uri.removesuffix(".md")):
        page.meta.setdefault("search", {})["boost"] = boost
    made = MARKER.sub(lambda marker: reference.PARTS[marker[1]](), markdown)
    return LINK.sub(turned, made) if not page.file.src_uri.startswith("source/") else made


def _outside(page: str, link: str) -> str | None:
    """Return the file of the repository that a page's link leads to; None for one of the docs."""
    place = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link))
    return None if place.startswith(("docs/", "..")) or not (ROOT / place).exists() else place


def _page_of(place: str) -> str:
    return f"source/{place}.md"


def _shown(path: Path) -> str:
    """Return a page with a file, or with the files in a folder."""
    name = path.relative_to(ROOT).as_posix()
    parts = [f"---\nsearch:\n  exclude: true\n---\n\n# {name}\n"]
    found = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in found:
        shown = file.relative_to(path).as_posix()
        if "__pycache__" in shown or ".egg-info" in shown:
            continue
        if len(found) > 1:
            parts.append(f"## {shown}\n")
        if file.suffix not in TEXT or file.stat().st_size > 200_000:
            parts.append(f"{file.stat().st_size:,} bytes.\n")
            continue
        text = file.read_text("utf-8")
        fence = "`" * (1 + max([2, *(len(run) for run in re.findall(r"`+", text))]))
        parts.append(f"{fence}{LANGUAGES.get(file.suffix, 'text')}\n{text.rstrip()}\n{fence}\n")
    return "\n".join(parts)

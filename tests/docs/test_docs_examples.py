"""Blocks of the tutorials below `<!-- run -->` work, page after page, in an empty folder.

`<!-- run slow -->` is for the second tier, `<!-- run: 1 -->` for a last command that ends with
that code. A block below `<!-- prints -->` is part of what the block before it printed.
"""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^<!-- (run|run slow|run: \d+|prints) -->\n```(\w+)\n(.*?)^```$", re.M | re.S)
FILE = re.compile(r"# (\S+\.(?:py|toml))\n")
PATHS = {
    "first-run": ["first-run"],
    "own-outcomes": ["own-outcomes"],
    "to-production": ["own-outcomes", "gate-in-ci", "serve-the-winner"],
    "collect": ["collect-with-gemini"],
    "see-answers": ["routers-that-see-answers"],
}
"""Tutorials that are gone through in one folder, one after the other."""
SLOW = ("first-run", "to-production", "see-answers")

Main = Callable[..., tuple[int, str, str]]


def blocks(page: str) -> Iterator[tuple[str, str, str]]:
    """Yield mark, language and text of every marked block of a tutorial."""
    yield from BLOCK.findall((DOCS / "tutorials" / f"{page}.md").read_text("utf-8"))


def test_every_marked_block_is_run() -> None:
    marked = {
        page.stem
        for page in DOCS.rglob("*.md")
        if re.search(r"^<!-- (run|prints)\b", page.read_text("utf-8"), re.M)
        and page.name != "development.md"
    }
    assert marked == {page for pages in PATHS.values() for page in pages}
    for page in marked:
        text = (DOCS / "tutorials" / f"{page}.md").read_text("utf-8")
        assert len(re.findall(r"^<!-- (?:run|prints)", text, re.M)) == len(list(blocks(page)))


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param(pages, id=name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name, pages in PATHS.items()
    ],
)
def test_tutorials(pages: list[str], main: Main, tmp_path: Path) -> None:
    printed = ""
    for page in pages:
        for mark, language, text in blocks(page):
            if mark == "prints":
                for line in text.splitlines():
                    assert " ".join(line.split()) in printed, line
            elif name := FILE.match(text):
                (tmp_path / name[1]).write_text(text, encoding="utf-8")
            else:
                assert language == "sh", text
                codes, printed = _run(text, main, tmp_path)
                last = int(mark.partition(": ")[2] or 0)
                assert codes == [0] * (len(codes) - 1) + [last], (text, printed)


def _run(commands: str, main: Main, folder: Path) -> tuple[list[int], str]:
    """Run each line in the folder; return exit codes and what was printed, blanks folded."""
    codes, printed = [], ""
    for line in commands.splitlines():
        program, *words = shlex.split(line)
        if program == "python":
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder)
                runpy.run_path(words[0])
            codes.append(0)
            continue
        assert program == "routebench", line
        code, out, err = main(*words, cwd=folder)
        codes.append(code)
        printed += out + err
    return codes, " ".join(printed.split())

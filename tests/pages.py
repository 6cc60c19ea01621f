"""Report pages for tests: parsed as a browser would, of runs made once."""

from __future__ import annotations

import base64
import json
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from conftest import planted
from panels import opposites, write_csv
from runs import SMALL, edit_board, edit_table, finish, graded, price_list, put

EVIL = ["<script>alert(1)</script>", "</script><b>x", 'a" onload="alert(2)', "{{ 7 * 7 }} $x$ @ink"]
NASTY = EVIL[0] + "</script>\"'{{ 7 * 7 }}"


def unpacked(text: str, kind: str) -> npt.NDArray[Any]:
    """Return the array that a page's block holds."""
    content = zlib.decompress(base64.b64decode(text))
    width = np.dtype(kind).itemsize
    planes = np.frombuffer(content, np.uint8).reshape(width, -1)
    return np.ascontiguousarray(planes.T).view(kind).ravel()


def unpacked_texts(text: str) -> list[str]:
    """Return the texts that a page's block holds."""
    made: list[str] = json.loads(zlib.decompress(base64.b64decode(text)))
    return made


class Parsed(HTMLParser):
    """Elements as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = attrs, text + data
        else:
            self.texts.append(data)

    def json(self, name: str) -> Any:
        return next(json.loads(text) for attrs, text in self.scripts if attrs.get("id") == name)


def priced_run(home: Path) -> Path:
    """Make a run with costs, two seeds and texts."""
    return finish(
        home / "priced", suite=put(home / "data", graded()), judge="exact",
        prices=price_list(home), router=("knn", "linear", "cheapest", "random"), seeds=2,
        set=SMALL, keep_texts=True,
    )  # fmt: skip


def users_run(home: Path) -> Path:
    """Make a run of a suite with users."""
    path = write_csv(home / "router_user_data.csv", opposites(60))
    return finish(
        home / "users", suite="personaroute", data=str(path), perturb=0,
        router=("user-prior", "best-single"),
    )  # fmt: skip


def evil_run(home: Path) -> Path:
    """Make a run with names of models, queries, tasks and a router that try to be markup."""
    table = planted(80)
    model = dict(zip("abcd", EVIL, strict=True))
    columns = {
        "model": [model[name] for name in table["model"].to_pylist()],
        "query_id": [f"{NASTY}{name}" for name in table["query_id"].to_pylist()],
        "task": [f"{NASTY}{task[:4]}" for task in table["task"].to_pylist()],
    }
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    folder = finish(home / "evil", suite=put(home / "evils", table), router=("random",), perturb=0)
    edit_table(folder, "decisions.parquet", lambda rows: [r.update(router=NASTY) for r in rows])

    def renamed(board: dict[str, Any]) -> None:
        board["rows"][0]["router"] = NASTY
        board["rows"][0]["warnings"] = [NASTY]
        board["suite"]["notes"] = [NASTY]

    edit_board(folder, renamed)
    return folder

"""`routebench site`: its pages, their history, and what it will not replace."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from libraries import needed
from panels import opposites, write_csv
from runs import SMALL, finish, graded, price_list, put

needed("jinja2")

Main = Callable[..., tuple[int, str, str]]
Board = dict[str, Any]
EVIL = "../../<script>alert(1)</script>\"'{{ 7 * 7 }}/CON"


class Parsed(HTMLParser):
    """Elements and texts as a browser would see them."""

    def __init__(self, place: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.cell = False
        self.feed(place.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.cell = True

    def handle_endtag(self, tag: str) -> None:
        self.cell = self.cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.cell:
            self.rows[-1][-1] = f"{self.rows[-1][-1]} {data.strip()}".strip()

    def links(self) -> list[str]:
        return [str(each["href"]) for tag, each in self.tags if tag == "a"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Board:
    home = tmp_path_factory.mktemp("site")
    folder = finish(
        home / "run", suite=put(home / "data", graded(60)), judge="exact",
        prices=price_list(home), router=("knn", "random", "best-single"), perturb=0, set=SMALL,
    )  # fmt: skip
    board: Board = json.loads((folder / "leaderboard.json").read_text())
    # Its calls that failed are too many for a suite so small.
    return board | {"valid": True, "invalid_reason": None}


@pytest.fixture
def keep(made: Board, tmp_path: Path) -> Callable[..., Board]:
    """Keep a board of that day under a folder; what is returned can still be changed and kept."""

    def kept(name: str, day: int, version: str = "0.1.0", **router: Any) -> Board:
        board: Board = json.loads(json.dumps(made))
        board["environment"]["finished"] = f"2026-03-{day:02}T10:00:00Z"
        board["environment"]["packages"]["routebench"] = version
        for row in board["rows"]:
            if row["router"] in router:
                row["metrics"]["accuracy"].update(value=router[row["router"]], low=0.0, high=1.0)
        return write(tmp_path / "results" / name, board)

    return kept


def write(folder: Path, board: Board) -> Board:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "leaderboard.json").write_text(json.dumps(board))
    return board


def built(main: Main, tmp_path: Path) -> Path:
    code, out, err = main("site", tmp_path / "results", "-o", tmp_path / "public")
    assert (code, out) == (0, ""), err
    return tmp_path / "public"


def page(public: Path, pattern: str) -> Parsed:
    (place,) = public.glob(pattern)
    return Parsed(place)


def content(folder: Path) -> dict[str, bytes]:
    places = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in places}


def test_pages_their_links_and_their_copies(
    main: Main, keep: Callable[..., Board], made: Board, tmp_path: Path
) -> None:
    keep("table/a", 1, "0.0.9")
    keep("deep/er/b", 2)
    for skipped in (".hidden/c", "table/a/routers/d"):
        keep(skipped, 3)
    public = built(main, tmp_path)
    names = {path.name for path in public.iterdir()}
    kinds = [re.sub("-[0-9a-f]{12}.html", "", name) for name in names]
    assert sorted(kinds) == sorted([
        ".routebench-site", "boards", "index.html", "suite-table-outcomes-parquet",
        "router-best-single", "router-knn", "router-random",
    ])  # fmt: skip
    copies = {path.read_bytes() for path in (public / "boards").iterdir()}
    assert copies == {p.read_bytes() for p in tmp_path.glob("results/*/**/leaderboard.json")
                      if "hidden" not in str(p) and "routers" not in str(p)}  # fmt: skip
    reached = set()
    for place in public.glob("*.html"):
        found = Parsed(place)
        for link in found.links():
            assert link == "#main" or (public / unquote(link)).is_file(), link
            reached.add(link)
        policy = next(each["content"] for _, each in found.tags if "http-equiv" in each)
        assert policy is not None
        style = re.findall("<style>(.*?)</style>", place.read_text(), re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
        assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")
        assert "script" not in policy + " ".join(tag for tag, _ in found.tags)
        assert not [each for _, each in found.tags if "src" in each or "style" in each]
        assert "http" not in place.read_text().replace("http-equiv", "")
        assert str(tmp_path) not in place.read_text(), "no path of this machine"
    assert reached >= names - {".routebench-site", "boards"}
    line = page(public, "index.html").rows[1]
    assert line[0] == "table outcomes.parquet recorded answers"
    assert line[6:] == ["2", "2026-03-02 10:00 RouteBench 0.1.0"]
    best = [row["router"] for row in made["rows"] if row["rank"] == 1]
    assert all(name in line[4] for name in best[:3])


def test_history_in_order_of_time(main: Main, keep: Callable[..., Board], tmp_path: Path) -> None:
    keep("a-last", 9, "0.3.0", knn=0.75)
    keep("z-first", 1, "0.1.0", knn=0.25)
    board = keep("middle", 5, "0.2.0", knn=0.5)
    board["fingerprints"]["prices"] = "other"
    board["rows"] = [row for row in board["rows"] if row["router"] != "random"]
    write(tmp_path / "results" / "middle", board)
    public = built(main, tmp_path)
    rows = page(public, "router-knn-*.html").rows
    history = rows[[row[:2] for row in rows].index(["Run, UTC", "Accuracy, %"]) + 1 :]
    assert [(row[0][:10], row[1], row[3]) for row in history] == [
        ("2026-03-01", "25.0 ±75.0", "0.1.0"),
        ("2026-03-05", "50.0 ±50.0", "0.2.0"),
        ("2026-03-09", "75.0 ±75.0", "0.3.0"),
    ]
    assert all(row[2].startswith("$") for row in history)
    assert "other prices than before" in history[1][0]
    suite = page(public, "suite-*.html")
    start = next(i for i, row in enumerate(suite.rows) if row[-1] == "Course")
    lines = {row[0]: row[1:4] for row in suite.rows[start + 1 :]}
    assert [cell.partition(" ")[0] for cell in lines["knn"]] == ["25.0", "50.0", "75.0"]
    assert lines["random"][1] == "– –"
    assert "svg" in {tag for tag, _ in suite.tags}
    assert "Another series" not in suite.text


def test_what_differs_is_another_series(
    main: Main, keep: Callable[..., Board], tmp_path: Path
) -> None:
    board = keep("old", 1)
    board["fingerprints"] |= {"judge": "strict", "pool": "<b>"}
    board["rows"][0] |= {"router": "gone", "rank": 1}
    write(tmp_path / "results" / "old", board)
    keep("new", 2)
    public = built(main, tmp_path)
    text = " ".join(page(public, "suite-*.html").text.split())
    assert "Another series, not comparable with the newest run: the judge fingerprint " in text
    assert "differs (strict, newest" in text
    assert "the pool fingerprint differs (<b>, newest" in text
    assert "Course" not in text, "one run each: no line joins them"
    gone = page(public, "router-gone-*.html")
    assert "not in the newest run" in gone.text
    assert "Another series" in gone.text


def test_hostile_names(main: Main, keep: Callable[..., Board], tmp_path: Path) -> None:
    board = keep("a", 1)
    first = board["rows"][0]
    first |= {"router": EVIL, "plugin": EVIL, "version": EVIL, "options": {EVIL: EVIL}}
    first |= {"usage": {EVIL: 1.0}, "warnings": [EVIL]}
    board["rows"][1]["router"] = EVIL.upper()
    board["suite"] |= {"name": EVIL, "notes": [EVIL], "source": "simulated"}
    board["environment"] |= {"finished": EVIL, "data": [EVIL]}
    board["environment"]["packages"]["routebench"] = EVIL
    write(tmp_path / "results" / "a", board)
    public = built(main, tmp_path)
    for name in content(public):
        assert re.fullmatch(r"(boards/)?[a-z0-9-]+\.(html|json)|\.routebench-site", name)
    assert len(list(public.glob("router-script-alert-*.html"))) == 2, "two names, two pages"
    for place in public.glob("*.html"):
        found = Parsed(place)
        assert "script" not in {tag for tag, _ in found.tags}
        assert all("alert" not in key for _, each in found.tags for key in each)
        assert EVIL in found.text or EVIL.upper() in found.text
    assert "simulated pool" in page(public, "index.html").text


def test_users_are_served_by_reward(main: Main, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "router_user_data.csv", opposites(40))
    finish(
        tmp_path / "results" / "users", suite="personaroute", data=str(path), perturb=0,
        router=("user-prior", "best-single"),
    )  # fmt: skip
    public = built(main, tmp_path)
    assert "Reward" in page(public, "index.html").rows[1][5]
    rows = page(public, "suite-*.html").rows
    assert "Worst user" in rows[0]
    start = [i for i, row in enumerate(rows) if row[0] == "Router"][-1]
    assert re.fullmatch(r"-?\d\.\d{3} ±\d\.\d{3} (\$\S+|\d\.\d{3} ±\d\.\d{3} relative)",
                        rows[start + 1][1])  # fmt: skip
    (row,) = [row for row in page(public, "router-user-prior-*.html").rows if "of 2" in str(row)]
    assert row[0].startswith("personaroute")


def test_an_invalid_run_has_no_best_router(
    main: Main, keep: Callable[..., Board], tmp_path: Path
) -> None:
    board = keep("a", 1)
    board |= {"valid": False, "invalid_reason": "half of the cells failed"}
    board["rows"][0] |= {"state": "failed", "message": "fit: no", "rank": None, "metrics": {}}
    write(tmp_path / "results" / "a", board)
    public = built(main, tmp_path)
    assert page(public, "index.html").rows[1][1] == "invalid run"
    suite = page(public, "suite-*.html")
    assert "INVALID: half of the cells failed" in suite.text
    assert "failed" in str(suite.rows)


def test_the_same_boards_make_the_same_site(
    main: Main, keep: Callable[..., Board], tmp_path: Path
) -> None:
    keep("b", 2)
    keep("a", 2)
    first = content(built(main, tmp_path))
    assert content(built(main, tmp_path)) == first
    (tmp_path / "results").rename(tmp_path / "moved")
    inside = tmp_path / "moved" / "site"
    for _ in range(2):  # the second time its own copies are there to be found
        assert main("site", tmp_path / "moved", "-o", inside)[0] == 0
        assert content(inside) == first
    assert not list(tmp_path.glob(".*")), "nothing is left beside"


@pytest.mark.parametrize("text", ["{", '{"schema_version": 1}', None])
def test_a_bad_board_stops_it(
    main: Main, keep: Callable[..., Board], tmp_path: Path, text: str | None
) -> None:
    board = keep("good", 1)
    before = content(built(main, tmp_path))
    bad = tmp_path / "results" / "bad" / "leaderboard.json"
    write(bad.parent, board | {"environment": {"data": 7}})
    if text is not None:
        bad.write_text(text)
    code, _, err = main("site", tmp_path / "results", "-o", tmp_path / "public")
    assert code == 2
    assert f"error: {bad}: not a leaderboard" in err
    assert content(tmp_path / "public") == before
    assert not list(tmp_path.glob(".*"))


def test_what_it_did_not_make_stays(main: Main, keep: Callable[..., Board], tmp_path: Path) -> None:
    keep("a", 1)
    results, other = tmp_path / "results", tmp_path / "other"
    (other / "sub").mkdir(parents=True)
    assert main("site", results, "-o", other)[0] == 0, "an empty folder may be used"
    (other / "CNAME").write_text("example.org")
    code, _, err = main("site", results, "-o", other)
    assert (code, "holds CNAME" in err, "hint: " in err) == (2, True, True)
    (other / ".routebench-site").unlink()
    code, _, err = main("site", results, "-o", other)
    assert (code, "not made by routebench site" in err, "hint: " in err) == (2, True, True)
    assert (other / "CNAME").read_text() == "example.org"
    code, _, err = main("site", results, "-o", other / "CNAME")
    assert (code, "not a folder" in err) == (2, True)
    code, _, err = main("site", results, "-o", other / "CNAME" / "x")
    assert (code, "cannot write" in err) == (2, True)
    for place in (results, tmp_path):
        code, _, err = main("site", results, "-o", place)
        assert (code, "the boards lie in it" in err) == (2, True)


def test_no_boards_no_site(main: Main, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    code, _, err = main("site", tmp_path / "results", "-o", tmp_path / "public")
    assert (code, "no leaderboard.json below it" in err) == (2, True)
    assert not (tmp_path / "public").exists()


def test_without_jinja2(
    main: Main, keep: Callable[..., Board], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep("a", 1)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    code, _, err = main("site", tmp_path / "results", "-o", tmp_path / "public")
    assert (code, "needs jinja2, which is not installed" in err) == (2, True)
    assert "pip install 'routebench[report]'" in err
    assert not (tmp_path / "public").exists()

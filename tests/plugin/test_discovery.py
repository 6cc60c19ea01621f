"""Plugins of distributions that only their metadata tell of."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import planted, rows
from router_sources import ROUTER

from routebench.errors import OptionError, PluginError
from routebench.plugin import discovery
from routebench.plugin.discovery import KINDS, PluginInfo

Make = Callable[..., Path]
Main = Callable[..., tuple[int, str, str]]

ALPHA = "[routebench.routers]\nalpha = fake_routers:Alpha\n"
BROKEN = "raise RuntimeError('two\\nlines')\n"


def test_what_the_metadata_say(distribution: Make) -> None:
    plugins = ALPHA + "".join(
        f"[routebench.{kind}s]\nmy-{kind} = fake_routers:It\n" for kind in KINDS[1:]
    )
    distribution("fake-routers", plugins, ROUTER, version="3.4")
    expected = PluginInfo("router", "alpha", "fake_routers:Alpha", "fake-routers", "3.4")
    assert discovery.find("router", "alpha") == expected
    assert expected in discovery.installed("router")
    for kind in KINDS[1:]:
        assert discovery.find(kind, f"my-{kind}").kind == kind
    listed = [(info.kind, info.name) for info in discovery.installed()]
    assert listed == sorted(listed, key=lambda each: (KINDS.index(each[0]), each[1]))
    assert ("router", "knn") in listed
    assert "fake_routers" not in sys.modules
    assert discovery.load(expected).__name__ == "Alpha"


def test_unknown_names(distribution: Make) -> None:
    distribution("fake-routers", ALPHA, ROUTER)
    with pytest.raises(OptionError, match="no router named 'alhpa'") as raised:
        discovery.find("router", "alhpa")
    assert raised.value.hint == "did you mean alpha?"
    with pytest.raises(OptionError, match="no kind of plugin named 'routr'") as raised:
        discovery.installed("routr")
    assert raised.value.hint == "did you mean router?"


@pytest.mark.parametrize(
    ("requires", "missing"),
    [
        ([], ()),
        (["numpy>=1; extra == 'alpha'"], ()),
        (["nosuch-package>=2; extra == 'alpha'"], ("nosuch-package>=2",)),
        (["numpy>=999; extra == 'alpha'"], ("numpy>=999",)),
        (["nosuch-package; extra == 'other'"], ()),
        (["nosuch-package; extra == 'alpha' and python_version < '3'"], ()),
        (
            ["fake-routers[deep]; extra == 'alpha'", "nosuch-package==1; extra == 'deep'"],
            ("nosuch-package==1",),
        ),
    ],
)
def test_what_an_extra_lacks(
    distribution: Make, requires: list[str], missing: tuple[str, ...]
) -> None:
    distribution("fake-routers", ALPHA, ROUTER, requires)
    info = discovery.find("router", "alpha")
    assert info.missing == missing
    assert info.ready == (not missing)
    assert info.pip == "pip install 'fake-routers[alpha]'"


def test_a_missing_extra_is_listed_and_refused_by_name(
    distribution: Make, main: Main, write: Callable[[pa.Table], Path]
) -> None:
    distribution("fake-routers", ALPHA, ROUTER, ["nosuch-package>=2; extra == 'alpha'"])
    code, out, _ = main("plugins", "routers")
    assert code == 0
    line = "needs nosuch-package>=2: pip install 'fake-routers[alpha]'"
    assert f"router alpha {line}" in out.splitlines()
    path = write(planted(60))
    code, out, err = main("run", "--quiet", "--suite", f"table:{path}", "--router", "alpha,knn")
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "error: router 'alpha' needs nosuch-package>=2",
        "hint: pip install 'fake-routers[alpha]'",
    ]


@pytest.mark.slow
def test_a_broken_plugin_breaks_its_own_row_and_a_missing_extra_is_skipped(
    distribution: Make, board: Callable[..., dict[str, Any]], write: Callable[[pa.Table], Path]
) -> None:
    distribution("fake-routers", ALPHA, ROUTER, ["nosuch-package>=2; extra == 'alpha'"])
    distribution("broken", "[routebench.routers]\nbroken = broken:Router\n", BROKEN)
    leaver = "[routebench.routers]\nleaver = leaver:Router\n"
    distribution("leaver", leaver, "raise SystemExit(0)\n")
    distribution("empty", "[routebench.routers]\nempty = empty:Router\n", "")
    words = ("--suite", f"table:{write(planted(60))}", "--set", "knn.k=5")
    done = rows(board(*words, rc=1))
    assert done["alpha"]["state"] == "skipped"
    assert done["alpha"]["message"] == (
        "needs nosuch-package>=2: pip install 'fake-routers[alpha]'"
    )
    for name, reason in {
        "broken": "RuntimeError: two lines",
        "leaver": "SystemExit: 0",
        "empty": "empty has no class 'Router'",
    }.items():
        assert done[name]["state"] == "failed"
        assert reason in done[name]["message"]
        assert done[name]["distribution"] == name
    assert done["best-single"]["state"] == done["knn"]["state"] == "ok"


def test_one_name_of_two_distributions(distribution: Make) -> None:
    distribution("fake-routers", ALPHA, ROUTER)
    distribution("others", "[routebench.routers]\nalpha = others:Alpha\n", ROUTER)
    with pytest.raises(PluginError, match="'alpha' is offered by fake-routers and others"):
        discovery.find("router", "alpha")
    assert len([i for i in discovery.installed("router") if i.name == "alpha"]) == 2


def test_a_list_imports_no_plugin(distribution: Make, main: Main) -> None:
    mark = distribution("fake-routers", ALPHA, ROUTER).with_suffix(".imported")
    for words in (["plugins"], ["plugins", "routers", "--json"], ["run", "--help"]):
        code, _, error = main(*words)
        assert code == 0, error
        assert not mark.exists()
    assert "Always the first model." in main("plugins", "alpha")[1]
    assert mark.exists(), "the plugin itself is what makes the mark"


def test_a_list_imports_no_heavy_package() -> None:
    code = (
        "import sys\nfrom routebench.plugin import discovery\ndiscovery.installed()\n"
        "print(sorted({'numpy', 'sklearn', 'pyarrow', 'routebench_routers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_json(distribution: Make, main: Main) -> None:
    distribution("fake-routers", ALPHA, ROUTER, ["nosuch-package>=2; extra == 'alpha'"])
    code, out, _ = main("plugins", "--json")
    assert code == 0
    by_name = {(each["kind"], each["name"]): each for each in json.loads(out)}
    assert by_name["router", "alpha"] == {
        "kind": "router",
        "name": "alpha",
        "target": "fake_routers:Alpha",
        "distribution": "fake-routers",
        "version": "1.2",
        "missing": ["nosuch-package>=2"],
        "ready": False,
        "status": "needs nosuch-package>=2: pip install 'fake-routers[alpha]'",
        "about": "Always the first model.",
        "family": "",
    }
    assert by_name["encoder", "tfidf-svd"]["status"] == "ready"
    (knn,) = json.loads(main("plugins", "knn", "--json")[1])
    (k,) = [option for option in knn["options"] if option["option"] == "k"]
    assert (k["type"], k["default"], k["bounds"]) == ("integer | null", None, ">= 1")
    assert knn["about"].startswith("Cosine kNN")


def test_options_are_printed_as_they_are(main: Main, tmp_path: Path) -> None:
    """Square brackets are not taken for rich's markup."""
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from pydantic import BaseModel, Field\nclass Mine:\n    class Options(BaseModel):\n"
        "        a: str = Field('[red]', description='one of [b]x[/b]')\n"
    )
    code, out, _ = main("plugins", f"{mine}:Mine")
    assert code == 0
    assert "[red]" in out
    assert "one of [b]x[/b]" in out


def test_router_files(tmp_path: Path) -> None:
    mine = tmp_path / "random.py"
    mine.write_text("import neighbour\nclass Mine:\n    Options = neighbour.VALUE\n")
    (tmp_path / "neighbour.py").write_text("VALUE = 7\n")
    info = discovery.find("router", f"{mine}:Mine")
    path = list(sys.path)
    try:
        assert discovery.load(info).Options == 7
    finally:
        sys.path[:] = path
        sys.modules.pop("neighbour", None)
    assert (info.name, info.distribution) == ("Mine", None)
    import random

    assert hasattr(random, "randint"), "a file named like a module must not replace it"
    with pytest.raises(PluginError, match=r"random\.py has no class 'Mien'") as raised:
        discovery.load(discovery.find("router", f"{mine}:Mien"))
    assert raised.value.hint == "did you mean Mine?"
    with pytest.raises(OptionError, match="no router file"):
        discovery.find("router", f"{tmp_path}/other.py:Mine")


def test_code_hash_follows_the_code(distribution: Make, tmp_path: Path) -> None:
    source = distribution("fake-routers", ALPHA, ROUTER)
    info = discovery.find("router", "alpha")
    before = discovery.code_hash(info)
    assert discovery.code_hash(info) == before
    source.write_text(ROUTER + "# changed\n")
    assert discovery.code_hash(info) != before
    mine = tmp_path / "mine.py"
    mine.write_text("x = 1\n")
    one = discovery.code_hash(discovery.find("router", f"{mine}:Mine"))
    mine.write_text("x = 2\n")
    assert discovery.code_hash(discovery.find("router", f"{mine}:Mine")) != one


def test_modules_that_know_answers(distribution: Make) -> None:
    suites = "[routebench.suites]\ns = fake_routers:S\n"
    distribution("fake-routers", ALPHA + suites, ROUTER)
    banned = discovery.answer_modules(discovery.find("router", "knn"))
    assert "fake_routers" in banned
    assert {"routebench_suites", "routebench_providers"} <= set(banned)
    package = PluginInfo("router", "own", "routebench_suites.mine:Own", "x", "1")
    # Its own package may import the suite it brings along.
    assert discovery.answer_modules(package) == ["fake_routers", "routebench_providers"]

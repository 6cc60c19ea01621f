"""Nothing of RouteBench is without documentation: commands, options, hooks, metrics, names."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import numpy as np
from metrics.worlds import big, run

import routebench as rb
from routebench import hookspecs
from routebench.__main__ import cli
from routebench.metrics.curves import lambda_grid, sweep
from routebench.metrics.evaluate import RouterChoices
from routebench.plugin import discovery, options
from routebench.schema import Diagnostics, Estimate, OnlinePlay

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PAGE = (DOCS / "faq.md").read_text("utf-8")


@cache
def reference() -> ModuleType:
    """Import what makes the generated parts of the site."""
    spec = importlib.util.spec_from_file_location("reference", DOCS / "_mkdocs" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def written() -> str:
    """Return the pages that people write, without the reference."""
    pages = [page for page in DOCS.rglob("*.md") if REFERENCE not in page.parents]
    return "\n".join(page.read_text("utf-8") for page in sorted(pages))


def contexts() -> Iterator[click.Context]:
    found: Iterator[click.Context] = reference().walk(click.Context(cli, info_name="routebench"))
    return found


def test_every_command_has_a_place_in_a_page() -> None:
    names = {context.command_path for context in contexts()}
    assert {"routebench run", "routebench data import", "routebench oracle"} <= names
    bare = [name for name in names if not re.search(rf"{name}(?![\w-])", written())]
    assert not bare, "name it in a page under docs/, with a sentence on what it is for"


def test_the_reference_has_every_option() -> None:
    made = reference().commands()
    for context in contexts():
        part = made.partition(f"## {context.command_path}\n")[2].partition("\n## ")[0]
        for option in context.command.params:
            if isinstance(option, click.Option):
                assert option.help, (context.command_path, option.name)
                for name in option.opts:
                    assert re.search(rf"`{name}(?=[ `])", part), (context.command_path, name)
    assert "| `--seeds N` | Train every router with N seeds (default 1). |" in made
    assert "| `--host TEXT` | Serve the page at this address (default 127.0.0.1). |" in made


def test_the_reference_has_every_plugin_and_its_options() -> None:
    made = reference().plugins()
    for info in discovery.installed():
        if info.distribution != "routebench":
            continue
        assert f"### `{info.name}`\n" in made
        if info.kind in ("command", "executor") or not info.ready:
            continue
        plugin = getattr(import_module(info.target.partition(":")[0]), info.target.split(":")[1])
        for option in options.describe(plugin) if hasattr(plugin, "Options") else ():
            assert option["help"], f"{info.name}.{option['option']}: Field(…, description=…)"
            assert f"| `{option['option']}` |" in made


def test_the_reference_has_every_field_of_the_board() -> None:
    made = reference().board()
    schema = json.loads((ROOT / "routebench" / "leaderboard.schema.json").read_text())
    for name, record in {"Leaderboard": schema, **schema["$defs"]}.items():
        part = made.partition(f"## {name}\n")[2].partition("\n## ")[0]
        assert all(f"| `{field}` |" in part for field in record["properties"]), name


def test_every_hook_and_contract_is_in_the_reference() -> None:
    page = (REFERENCE / "hooks.md").read_text("utf-8")
    own = [
        v for v in vars(hookspecs).values() if getattr(v, "__module__", "") == hookspecs.__name__
    ]
    hooks = [each for each in own if hasattr(each, "routebench_spec")]
    assert len(hooks) >= 8
    table = page.partition("## Hooks\n")[2].partition(":::")[0]
    for hook in hooks:
        assert inspect.getdoc(hook), hook.__name__
        assert f"`{hook.__name__}`" in table, "say whose it is, and when it is called"
    public = [each for each in own if not each.__name__.startswith("_")]
    listed = set(re.findall(r"^        - (\w+)$", page, re.M))
    assert listed == {each.__name__ for each in public}


def test_every_public_name_is_in_the_reference() -> None:
    page = (REFERENCE / "python.md").read_text("utf-8")
    listed = re.findall(r"^::: routebench\.(\w+)$", page, re.M)
    assert sorted([*listed, "__version__"]) == sorted(rb.__all__)
    assert "`rb.__version__`" in page


def formulas() -> dict[str, str]:
    """Return the formula of each name in the tables of the page of metrics."""
    page = (REFERENCE / "metrics.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", page, re.M)
    assert len(rows) == len(dict(rows)), "a metric is defined once"
    return dict(rows)


def measured() -> set[str]:
    """Return the names of all metrics that an evaluation can make."""
    n, m, rng = 60, 3, np.random.default_rng(0)
    given = big(n, m, grade=rng.integers(0, 3, (n, m)))
    cost = given.outcomes.cost
    assert cost is not None
    outcomes = replace(given.outcomes, latency=rng.random((n, m)))
    facets: Any = {"task": np.array(["a", "b"] * (n // 2), dtype=object)}
    lengths = {"half": cost, "double": cost}
    given = replace(given, outcomes=outcomes, facets=facets, lengths=lengths)
    quality = rng.random((1, n, m))
    choice = quality.argmax(axis=2)
    swept = sweep(quality[0], cost.mean(axis=0), lambda_grid(quality[0], cost.mean(axis=0), 5))
    fixed = np.zeros((1, n), dtype=np.bool_)
    spent = np.full((1, n), 1e-6)
    points = ("same-accuracy", "within-1pp")
    learned = RouterChoices(
        "learned", choice, spent, quality, rng.random((1, n)), np.ones((1, n)), swept=swept[None],
        points=dict.fromkeys(points, (choice, fixed)), lambdas={name: [1.0] for name in points},
    )  # fmt: skip
    asked = np.ones((1, n, m), dtype=np.int8)
    sees = RouterChoices("sees", choice, asked=asked, answer_cost=cost.sum(axis=1)[None])
    users = replace(
        given,
        facets={"user": facets["task"]},
        beside=dict.fromkeys(
            ("effect", "relative_cost", "best_llm_accuracy"), given.outcomes.score
        ),
        measure="reward",
    )  # fmt: skip
    personal = RouterChoices("personal", choice, routed_differently=np.ones((1, n)))
    names: set[str] = set()
    for setting, routed in ((given, (learned, sees)), (users, (personal,))):
        found = run(setting, *routed, resamples=20)
        for metrics in (*(s.metrics for s in found.routers.values()), *found.references.values()):
            names |= metrics.keys()
    return names


def test_every_metric_has_its_formula() -> None:
    kept = json.loads((ROOT / "results" / "simpleqa" / "leaderboard.json").read_text())
    names = measured() | {name for row in kept["rows"] for name in row["metrics"]} | {"reward"}
    assert {"apgr", "answer_seconds", "worst_user", "routed_differently"} <= names
    names |= {
        name
        for name, field in OnlinePlay.model_fields.items()
        if field.annotation == dict[str, Estimate]
    }
    numbers = {
        name
        for name, field in Diagnostics.model_fields.items()
        if field.annotation in (float, float | None)
    }
    defined = formulas()
    assert names | numbers <= defined.keys(), "a row in docs/reference/metrics.md"
    stale = defined.keys() - names - numbers - Diagnostics.model_fields.keys()
    assert stale <= {"discordance", "rank", "seed_spread", "verdict", "interval_scope"}
    assert all(re.search(r"[Σ/·−+∫]|min|max|1\[|≥|at the point", defined[name]) for name in names)


def test_errors_of_the_page_are_in_the_code() -> None:
    files = [f for name in ("routebench", "plugins", "suites") for f in (ROOT / name).rglob("*.py")]
    source = "\n".join(file.read_text("utf-8") for file in files)
    source = re.sub(r"[\"']\s*f?[\"']", "", source)  # texts that go on in the next line
    quoted = re.findall(r"`([^`]+)`", "".join(re.findall(r"^\*\*.+?\*\*(?=[:,.])", PAGE, re.M)))
    assert len(quoted) > 20
    for message in quoted:
        for part in re.split(r"…|'…'", message):
            assert part.strip() in source, message

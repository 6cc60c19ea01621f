"""Which routers a run has, and what makes a finished job stale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import planted
from runs import in_process

from routebench import config
from routebench.data.long_table import from_long
from routebench.errors import OptionError, PluginError
from routebench.isolation.scratch import scratch_folder
from routebench.isolation.subprocesses import Workers
from routebench.jobs import plan
from routebench.jobs.entrant import Entrant
from routebench.plugin import described, discovery
from routebench.records import SuiteData, Users

TROUBLE = Path(__file__).parents[1] / "troublemakers.py"
SHARED = {"fingerprints": {"suite": "1"}, "device": "cpu"}


@pytest.fixture(autouse=True)
def described_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have routers described in this process."""
    in_process(monkeypatch)


@pytest.fixture(scope="module")
def data() -> SuiteData:
    return from_long(planted(40), name="table", source="recorded", place="t")


def entrants(data: SuiteData, *router: str, **more: Any) -> dict[str, Entrant]:
    shared = more.pop("shared", SHARED)
    made = config.make({"suite": "table", "router": router} | more)
    with scratch_folder() as scratch:
        found = plan.entrants(made, data, shared, Workers(scratch))
    return {entrant.label: entrant for entrant in found}


def test_labels_and_inherited_options(data: SuiteData) -> None:
    options = {"knn": {"k": 3}, "knn@b": {"k": 7}, "linear@x": {"penalty": 2}}
    found = entrants(data, "knn@a", "linear@x", "knn", "knn@b", "linear", set=options)
    assert list(found) == ["knn", "knn@a", "knn@b", "linear", "linear@x"]
    assert found["knn"].options["k"] == 3
    assert found["knn@a"].options["k"] == 3, "inherited from the plugin's own name"
    assert found["knn@b"].options["k"] == 7
    assert found["linear"].options["penalty"] is None
    assert found["linear@x"].options["penalty"] == 2
    assert found["linear@x"].options["features"] == "tfidf", "defaults are stated"
    assert found["knn@a"].plugin == found["knn"].plugin


def test_all_and_names_together(data: SuiteData) -> None:
    everyone = entrants(data, "all")
    assert {"knn", "linear", "best-single", "random"} <= set(everyone)
    assert everyone["cheapest"].state == "skipped"
    assert "--set cheapest.model=MODEL" in everyone["cheapest"].message
    assert everyone["cheapest"].fingerprint == ""
    assert set(entrants(data, "all", "knn@b")) == {*everyone, "knn@b"}
    # Asked for by name as well, the skipped one is an error.
    with pytest.raises(OptionError, match="'cheapest' needs prices"):
        entrants(data, "all", "cheapest")
    named = entrants(data, "all", set={"cheapest": {"model": "b"}})
    assert named["cheapest"].state == "ready"


def test_a_family_and_what_all_leaves_out(data: SuiteData) -> None:
    found = set(entrants(data, "published", "knn"))
    assert {"knn", "avengers-pro", "elo", "svm"} <= found
    assert "linear" not in found
    assert found & set(entrants(data, "all")) == {"knn"}
    assert set(entrants(data, "references")) > {"best-single", "random"}
    with pytest.raises(OptionError, match="no router named 'publishd'"):
        entrants(data, "publishd")


def test_a_priced_run_has_them_all(data: SuiteData) -> None:
    cost = np.ones(data.outcomes.score.shape)
    shown = frozenset({"task", "user", "preference"})
    outcomes = replace(
        data.outcomes, cost=cost, relative_cost=cost, confidence=cost, verification=cost
    )
    users = Users(np.array(["u", "v"], dtype=object), np.array([0.2, 0.8]))
    answers = pa.array(["so"] * cost.size)
    priced = replace(data, outcomes=outcomes, visible=shown, users=users, answers=answers)
    # A router whose own libraries are not installed stays away for that, and says so.
    installed = filter(described.in_all, discovery.installed("router"))
    lacking = {info.name for info in installed if info.missing}
    personal, plain = (entrants(each, "all") for each in (priced, replace(priced, users=None)))
    stepping = {label for label, e in personal.items() if "it sees answers" in e.message}
    assert {label for label, e in personal.items() if e.state != "ready"} == lacking | stepping
    assert {"agreement", "cascade-routing", "frugal", "self-confidence", "verifier"} <= stepping
    assert {plain[label].state for label in stepping} == {"ready"}


@pytest.mark.parametrize("router", ["knn@a b", "knn@", "knn@../up", "knn@-x", f"{TROUBLE}:Raises@"])
def test_labels_become_folders(data: SuiteData, router: str) -> None:
    with pytest.raises(OptionError, match="a label is letters, digits, dots, dashes"):
        entrants(data, router)


def test_labels_that_differ_in_case_alone(data: SuiteData) -> None:
    """On some file systems one folder would hold both."""
    with pytest.raises(OptionError, match="--router knn@A: differs from knn@a in case alone"):
        entrants(data, "knn@A", "knn@a")


def test_options_of_strangers(data: SuiteData) -> None:
    with pytest.raises(OptionError, match="--set linear: not part of this run"):
        entrants(data, "knn", set={"linear": {"penalty": 1}})
    with pytest.raises(OptionError, match="--set knn@b: not part of this run") as raised:
        entrants(data, "knn@a", set={"knn@b": {"k": 1}})
    assert "knn@a" in raised.value.hint
    # The suite's, the encoder's and the judge's are part of it.
    entrants(data, "knn", judge="j", set={"table": {}, "tfidf-svd": {}, "j": {}})


def test_jobs(data: SuiteData) -> None:
    ready = list(entrants(data, "linear", "random").values())
    made = plan.jobs(ready, seeds=2, folds=3)
    assert [(job.label, job.seed, job.fold) for job in made] == [
        (label, seed, fold)
        for label, seeds in (("linear", 1), ("random", 2))
        for seed in range(seeds)
        for fold in range(3)
    ]
    assert [job.all_seeds for job in made] == [True] * 3 + [False] * 6
    assert len({job.fingerprint for job in made}) == 9
    assert len({job.path for job in made}) == 9
    assert [job.fingerprint for job in plan.jobs(ready, 2, 3)] == [j.fingerprint for j in made]


def test_what_changes_a_fingerprint(data: SuiteData, tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(TROUBLE.read_text())
    router = f"{mine}:Constant"

    def print_of(**more: Any) -> str:
        return entrants(data, router, **more)["Constant"].fingerprint

    base = print_of()
    assert len(base) == 16
    # How and where it runs, other routers, and options given at their defaults: no change.
    assert print_of(jobs=7, out="elsewhere", job_timeout=9.0, fresh=True) == base
    assert print_of(set={"Constant": {"choice": 0, "seconds": 0.0}}) == base
    assert entrants(data, router, "knn")["Constant"].fingerprint == base
    assert entrants(data, f"{router}@x")["Constant@x"].fingerprint == base
    moved = tmp_path / "below" / "mine.py"
    moved.parent.mkdir()
    moved.write_text(mine.read_text())
    assert entrants(data, f"{moved}:Constant")["Constant"].fingerprint == base
    others = {
        print_of(set={"Constant": {"choice": 1}}),
        print_of(shared=SHARED | {"device": "cuda"}),
        print_of(shared=SHARED | {"fingerprints": {"suite": "2"}}),
        entrants(data, f"{mine}:Raises")["Raises"].fingerprint,
    }
    mine.write_text(TROUBLE.read_text() + "\n# changed\n")
    others.add(print_of())
    assert len(others - {base}) == 5


def test_a_broken_file_is_an_error_not_a_row(data: SuiteData, tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("raise RuntimeError('boom')\n")
    with pytest.raises(PluginError, match="'Mine' cannot be imported: RuntimeError: boom"):
        entrants(data, "knn", f"{mine}:Mine")


def test_two_owners_of_a_name_are_never_chosen_between(
    data: SuiteData, distribution: Callable[..., Path]
) -> None:
    for name in ("one", "two"):
        distribution(name, f"[routebench.routers]\nsame = {name}:X\n", "")
    with pytest.raises(PluginError, match="'same' is offered by one and two"):
        entrants(data, "all")


def test_needs_may_name_the_wrong_option(data: SuiteData, tmp_path: Path) -> None:
    mine = tmp_path / "picky.py"
    mine.write_text(
        "from pydantic import BaseModel\nclass Picky:\n    class Options(BaseModel):\n"
        "        model: str = 'typo'\n    def __init__(self, options):\n"
        "        self.options = options\n    def needs(self, pool, shown, priced):\n"
        "        pool.index(self.options.model)\n"
    )
    with pytest.raises(OptionError, match=r"Picky@x\.model: no model 'typo' in this pool"):
        entrants(data, f"{mine}:Picky@x")

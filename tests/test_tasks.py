"""Who sees the tasks of queries: no router, training alone, or training and routing."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SMALLER, planted, rows

from routebench.data.long_table import from_long
from routebench.errors import OptionError
from routebench.loading import show_tasks
from routebench.records import SuiteData

Board = Callable[..., dict[str, Any]]
SPY = Path(__file__).with_name("spy.py")
TOPICS = ["algebra equation", "poem verse", "python function", "river capital"]
BOTH = [TOPICS, TOPICS]
STATES = {
    (): ([], ["task"], f"fit: {BOTH}, ['task']", "route: False, False"),
    ("--task", "train"): ([], ["task"], f"fit: {BOTH}, ['task']", "route: False, False"),
    ("--task", "hidden"): ([], [], "fit: [None, None], []", "route: False, False"),
    ("--task", "all"): (["task"], [], f"fit: {BOTH}, []", "route: True, True"),
    ("--show", "task"): (["task"], [], f"fit: {BOTH}, []", "route: True, True"),
}


@pytest.mark.parametrize("words", STATES)
def test_who_sees_the_task(words: tuple[str, ...], real_board: Board, write: Any) -> None:
    """In processes as in a real run; the one that routes holds no task anywhere in its memory."""
    suite = ("--suite", f"table:{write(planted(200))}")
    done = real_board(*suite, "--router", f"{SPY}:SeesTasks", *words)
    shown, training_only, learned, routed = STATES[words]
    assert done["suite"]["shown"] == shown
    assert done["suite"]["training_only"] == training_only
    seen = rows(done)["SeesTasks"]["warnings"]
    assert f"UserWarning: {learned}" in seen
    assert f"UserWarning: {routed}" in seen


def test_routers_that_use_no_tasks_decide_as_without(board: Board, write: Any) -> None:
    suite = ("--suite", f"table:{write(planted(240))}", *SMALLER)
    trained = ",personalized,mf" if importlib.util.find_spec("torch_geometric") else ""
    routers = ("--router", f"knn,linear{trained}")
    hidden = board(*suite, *routers, "--task", "hidden", out=write(planted(240)).parent / "a")
    learned = board(*suite, *routers, out=write(planted(240)).parent / "b")
    assert hidden["files"]["decisions.parquet"] == learned["files"]["decisions.parquet"]


def test_a_router_that_learns_from_tasks_says_what_it_needs(write: Any, main: Any) -> None:
    words = ("run", "--quiet", "--suite", f"table:{write(planted(200))}")
    words = (*words, "--router", f"{SPY}:NeedsTasks", *SMALLER)
    assert main(*words)[0] == 0
    code, _, said = main(*words, "--task", "hidden")
    assert code == 2
    assert "needs to know the task of training queries: a table with a column task, and" in said


def test_contradictions_are_told(write: Any, main: Any) -> None:
    suite = ("run", "--suite", f"table:{write(planted(100).drop(['task']))}", "--router", "random")
    code, _, said = main(*suite, "--task", "train")
    assert (code, "--task train: this suite has no task column" in said) == (2, True)
    code, _, said = main(*suite, "--task", "hidden", "--show", "task")
    assert (code, "--show task and --task hidden contradict each other" in said) == (2, True)


@pytest.fixture
def shown() -> SuiteData:
    """A suite that shows tasks itself."""
    visible = frozenset({"task", "user"})
    return from_long(planted(40), name="t", source="recorded", place="t", visible=visible)


def test_a_suite_that_shows_tasks_goes_on_to(shown: SuiteData) -> None:
    assert show_tasks(shown, None).visible == shown.visible
    learned = show_tasks(shown, "train")
    assert (learned.visible, learned.training_only) == ({"user"}, {"task"})
    hidden = show_tasks(shown, "hidden")
    assert (hidden.visible, hidden.training_only) == ({"user"}, frozenset())
    learned, hidden = (replace(one, visible=frozenset()) for one in (learned, hidden))
    assert learned.table(np.arange(3)).queries.task is not None
    assert learned.queries.show(learned.visible).task is None
    assert hidden.table(np.arange(3)).queries.task is None


def test_a_suite_without_tasks_has_none_to_show() -> None:
    table = planted(40).drop(["task"])
    data = from_long(table, name="t", source="recorded", place="t")
    assert show_tasks(data, None) is data
    assert show_tasks(data, "hidden") is data
    with pytest.raises(OptionError, match="no task column"):
        show_tasks(data, "all")

"""Plans of a collection: whose questions, which models, and what is wrong with one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from routebench.collect.planning import CollectionPlan, make
from routebench.errors import OptionError


def test_a_plan_of_a_suite_and_what_is_wrong_with_one(tmp_path: Path) -> None:
    def planned(**given: Any) -> CollectionPlan:
        models = given.pop("models", ["simulated:sim-flash"])
        return make("simpleqa", models, store=tmp_path / "s.sqlite", **given)

    plan = planned(limit=50, samples=2)
    wider = {question.query_id for question in planned(limit=80).questions}
    assert {question.query_id for question in plan.questions} <= wider
    topics = Counter(question.topic for question in plan.questions)
    assert len(topics) >= 5  # a cross-section, not the first rows
    assert all(question.reference for question in plan.questions)
    calls = list(plan.calls(plan.targets[0]))
    assert len({call.key for call in calls}) == 100
    assert [call.sample for call in calls] == [0] * 50 + [1] * 50
    other = planned(limit=50, values={"simulated": {"world": 1}})
    assert {c.key for c in other.calls(other.targets[0])}.isdisjoint(c.key for c in calls)
    for given, words in (
        ({"models": ["sim-flash"]}, "expected PROVIDER:MODEL"),
        ({"models": ["simulated:nobody"]}, "has no such model"),
        ({"models": ["nobody:m"]}, "no provider named"),
        ({"values": {"simulatd": {"world": 1}}}, "did you mean simulated"),
        ({"values": {"simulated": {"wrld": 1}}}, "no option 'wrld'"),
    ):
        with pytest.raises(OptionError) as raised:
            planned(**given)
        assert words in f"{raised.value.message} {raised.value.hint}"
    assert not (tmp_path / "s.sqlite").exists()


def test_a_table_s_queries_are_asked(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.csv"
    path.write_text(
        "query_id,query,model,score,reference,task\n"
        "1,who wrote emma,a,1,Austen,books\n1,who wrote emma,b,0,Austen,books\n"
        "2,who wrote faust,a,1,Goethe,books\n2,who wrote faust,b,1,Goethe,books\n"
    )
    plan = make(f"table:{path}", ["simulated:sim-flash"], store=tmp_path / "s.sqlite")
    asked = {(q.query_id, q.prompt, q.reference, q.task) for q in plan.questions}
    assert asked == {
        ("1", "who wrote emma", "Austen", "books"),
        ("2", "who wrote faust", "Goethe", "books"),
    }

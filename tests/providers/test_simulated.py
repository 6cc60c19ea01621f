"""The simulated pool: the same answers however one asks, and statistics like those of life."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from routebench.errors import DataError, OptionError
from routebench.records import Answers, Floats, Grade, Request
from routebench_providers.simulated.provider import Simulated, Stance
from routebench_suites.questions import EMBEDDED, Question, read_questions

ROOT = Path(__file__).resolve().parents[2]


def provider(**options: Any) -> Simulated:
    return Simulated(Simulated.Options(**options))


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """The figures as the benchmark takes them."""
    spec = importlib.util.spec_from_file_location(
        "simulated_pool", ROOT / "benchmarks" / "simulated_pool.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    return read_questions(EMBEDDED)


@pytest.fixture(scope="module")
def graded(bench: ModuleType, questions: list[Question]) -> tuple[Any, int]:
    """All answers to the embedded questions, and how many were read otherwise than meant."""
    found: tuple[Any, int] = bench.simulate(provider(), questions)
    return found


def requests(questions: Sequence[Question], samples: int = 1) -> list[Request]:
    models = provider().pool().models
    return [Request(m, q.query, s) for q in questions for m in models for s in range(samples)]


def rows(answers: Answers) -> list[tuple[object, ...]]:
    assert answers.latency is not None
    return list(
        zip(
            answers.text,
            answers.input_tokens.tolist(),
            answers.output_tokens.tolist(),
            answers.latency.tolist(),
            strict=True,
        )
    )


def test_the_pool() -> None:
    pool = provider().pool()
    assert len(pool) == 6
    assert list(pool.models) == sorted(pool.models)
    assert (pool.small, pool.large) == ("sim-flash", "sim-pro")
    assert {pool.small, pool.large} <= set(pool.models)
    assert pool.input_price is not None
    assert pool.output_price is not None
    assert pool.size is not None
    assert pool.description is not None
    assert (pool.input_price > 0).all()
    assert (pool.output_price > pool.input_price).all()
    assert all("invented" in text for text in pool.description)


def test_answers_do_not_depend_on_order_or_batch(questions: list[Question]) -> None:
    asked = requests(questions[:40], samples=2)
    whole = rows(provider().answer(asked))
    order = np.random.default_rng(0).permutation(len(asked))
    shuffled = rows(provider().answer([asked[at] for at in order]))
    assert [whole[at] for at in order] == shuffled
    alone = provider()
    assert [rows(alone.answer([request]))[0] for request in asked[:30]] == whole[:30]
    assert rows(provider().answer([])) == []


def test_another_world_knows_other_things(questions: list[Question]) -> None:
    asked = requests(questions[:200])
    one, other = provider(), provider(world=1)
    assert one.answer(asked).text != other.answer(asked).text
    differ = np.mean([one.stance(request) != other.stance(request) for request in asked])
    assert 0.2 < differ < 0.6


def test_repeated_samples_differ_now_and_then(questions: list[Question]) -> None:
    pool = provider()
    asked = requests(questions[:200], samples=2)
    stances = [pool.stance(request) for request in asked]
    differ = np.mean([a != b for a, b in zip(stances[::2], stances[1::2], strict=True)])
    assert 0.02 < differ < 0.25
    texts = pool.answer(asked).text
    assert len({*texts[::2]} ^ {*texts[1::2]}) > 200


def test_only_what_is_among_the_facts_is_known(bench: ModuleType) -> None:
    prompts = ["Which way?", "", "What is 2 + 2?", "\ud800"]
    pool = provider()
    answers = pool.answer([Request(m, p) for p in prompts for m in pool.pool().models])
    judge = bench.Exact(bench.Exact.Options())
    n = len(answers.text)
    grades = judge.judge(["Which way?"] * n, ["to the left"] * n, list(answers.text)).grade
    assert grades.tolist() == [Grade.NOT_ATTEMPTED] * n
    assert pool.wrong_values("Which way?") == ()
    assert pool.stance(Request("sim-pro", "Which way?")) is Stance.DECLINED


def test_spaces_and_case_of_a_question_do_not_matter(questions: list[Question]) -> None:
    pool = provider()
    for question in questions[:20]:
        for model in pool.pool().models:
            loud = Request(model, f" {question.query.upper()}  ")
            assert pool.stance(loud) == pool.stance(Request(model, question.query))


def test_unknown_models_and_files(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="'sim-por'") as caught:
        provider().answer([Request("sim-por", "Who?")])
    assert "sim-pro" in caught.value.hint
    with pytest.raises(DataError, match="no such file"):
        provider(facts=tmp_path / "none.csv").answer([Request("sim-pro", "Who?")])


@pytest.mark.slow
def test_every_answer_is_graded_as_it_was_meant(graded: tuple[Any, int]) -> None:
    assert graded[1] == 0


@pytest.mark.slow
def test_every_value_alone_is_graded_as_it_was_meant(
    bench: ModuleType, questions: list[Question]
) -> None:
    pool = provider()
    assert bench.values(pool, questions) == 0
    few = [q.query for q in questions if len(pool.wrong_values(q.query)) < 3]
    assert few == []


@pytest.mark.slow
def test_accuracies_and_refusals(graded: tuple[Any, int]) -> None:
    table = graded[0]
    accuracy = dict(zip(table.models, table.right.mean(axis=0), strict=True))
    assert sorted(accuracy, key=lambda name: accuracy[name]) == [
        "sim-nano", "sim-mini", "sim-flash", "sim-lore", "sim-think", "sim-pro",
    ]  # fmt: skip
    assert 0.06 < accuracy["sim-nano"] < 0.10
    assert 0.50 < accuracy["sim-pro"] < 0.56
    refused = (table.grades == Grade.NOT_ATTEMPTED).mean(axis=0)
    assert 0.01 < refused.min() < 0.04
    assert 0.45 < refused.max() < 0.55


@pytest.mark.slow
def test_models_err_together_and_none_is_best_everywhere(graded: tuple[Any, int]) -> None:
    right = graded[0].right
    phi = np.corrcoef(right.T.astype(float))[np.triu_indices(6, 1)]
    # Five real models on SimpleQA: .18 to .59, .30 on average.
    assert 0.18 < phi.min() < phi.max() < 0.59
    assert phi.mean() == pytest.approx(0.30, abs=0.05)
    assert 0.12 < right.any(axis=1).mean() - right.mean(axis=0).max() < 0.22
    topics = np.array(graded[0].topics)
    best = {right[topics == topic].mean(axis=0).argmax() for topic in set(topics)}
    assert {graded[0].models[at] for at in best} == {"sim-lore", "sim-pro", "sim-think"}


@pytest.mark.slow
@pytest.mark.slow
def test_neighbours_recover_a_small_part_of_the_gap(
    bench: ModuleType, graded: tuple[Any, int]
) -> None:
    gap: Floats = bench.recovered(graded[0].queries, graded[0].right.astype(float), seeds=2)
    assert 0.05 < gap.mean() < 0.25


@pytest.mark.slow
def test_obscure_facts_are_known_to_fewer(
    graded: tuple[Any, int], questions: list[Question]
) -> None:
    obscurity = np.array([q.obscurity for q in questions])
    rates = np.array([graded[0].right[obscurity == level].mean(axis=0) for level in range(1, 6)])
    assert (np.diff(rates, axis=0) < 0).all()
    # Easy questions are where a cheap model saves money.
    assert rates[0].max() - rates[0, graded[0].models.index("sim-lore")] < 0.1


@pytest.mark.slow
def test_answers_vary(graded: tuple[Any, int]) -> None:
    texts = [text for row in graded[0].texts for text in row]
    assert len(set(texts)) > 10_000
    assert all(text == text.strip() and text for text in texts)
    assert all(".." not in text and "{A}" not in text for text in texts)
    refusals = {
        text
        for row, grades in zip(graded[0].texts, graded[0].grades, strict=True)
        for text, grade in zip(row, grades, strict=True)
        if grade == Grade.NOT_ATTEMPTED
    }
    assert len(refusals) >= 40


def test_usage(questions: list[Question]) -> None:
    asked = requests(questions[:100])
    answers = provider().answer(asked)
    assert answers.latency is not None
    used = answers.output_tokens.reshape(100, 6).mean(axis=0)
    names = provider().pool().models
    # Hidden reasoning is paid for.
    assert used.argmax() == names.index("sim-think")
    assert used.max() > 4 * np.sort(used)[-2]
    assert (answers.output_tokens >= [len(text or "") / 4 for text in answers.text]).all()
    assert (answers.input_tokens >= [len(request.prompt) / 4 for request in asked]).all()
    assert 0.05 < answers.latency.min() < answers.latency.max() < 10


@pytest.mark.slow
def test_questions_of_others(shared: Path, bench: ModuleType) -> None:
    facts = shared / "simpleqa" / "simple_qa_test_set.csv"
    asked = read_questions(facts)
    table, wrong = bench.simulate(provider(facts=facts), asked)
    accuracy = table.right.mean(axis=0)
    assert 0.05 <= accuracy.min() < accuracy.max() <= 0.55
    assert wrong < 0.01 * table.grades.size


def test_a_single_question_has_no_wrong_answer_but_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("query_id,query,reference,aliases\nq,Who is it?,Ada,[]\n", encoding="utf-8")
    pool = provider(facts=path)
    asked = [Request(m, "Who is it?", s) for m in pool.pool().models for s in range(20)]
    assert {pool.stance(request) for request in asked} <= {Stance.RIGHT, Stance.DECLINED}
    assert all(pool.answer(asked).text)

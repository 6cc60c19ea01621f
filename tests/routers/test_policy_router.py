"""The policy router: what it is taught, what it learns, what it decides."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import planted
from libraries import needed
from small_models import SMALL, TINY, ask, fit, graded, kinds, some, stored, texts

from routebench.data.texts import text_hash
from routebench.records import Table
from routebench_routers.policy.cues import reasoning
from routebench_routers.policy.oracle import POLICIES
from routebench_routers.policy.router import PolicyRouter

needed("torch", "transformers", "trl", "peft")

PAIR = {"medium": "medium", "large": "large"}
UPWARD = '[policies]\nstandard = "large"\ncomplex = "large"\nambiguous = "large"\n'


def router(**options: Any) -> PolicyRouter:
    return PolicyRouter(PolicyRouter.Options(**(PAIR | options)))


def policies(given: Table) -> list[str]:
    cells = [tuple(cell) for cell in given.outcomes.score]
    return [POLICIES[0] if medium else POLICIES[1 if large else 2] for large, medium in cells]


def lines(checkpoint: Path, stage: str) -> list[dict[str, str]]:
    text = (checkpoint / f"language/training/{stage}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("policy")


@pytest.fixture(scope="module")
def taught(home: Path) -> PolicyRouter:
    made = fit(router(), graded(600, 1), graded(150, 2), home)
    again: PolicyRouter = stored(made, home / "checkpoint")
    return again


@pytest.mark.slow
def test_the_planted_rule_is_found(taught: PolicyRouter) -> None:
    test = graded(300, 3)
    decisions = taught.route(test.queries)
    assert decisions.policy is not None
    assert np.mean(decisions.policy == np.array(policies(test), dtype=object)) >= 0.85
    assert set(decisions.policy) == set(POLICIES)
    facts = taught.facts()
    sft, dpo = float(facts["sft_right"]), float(facts["dpo_right"])
    assert sft >= 0.85
    assert dpo >= sft - 1.96 * np.sqrt(sft * (1 - sft) / 150) - 1e-9
    assert float(facts["dpo_margin"]) > float(facts["sft_margin"])


@pytest.mark.slow
def test_training_files_hold_queries_labels_and_reasons_alone(
    taught: PolicyRouter, home: Path
) -> None:
    train = graded(600, 1)
    label = dict(zip(train.queries.text, policies(train), strict=True))
    oracle = pq.read_table(home / "checkpoint" / "oracle.parquet").to_pylist()
    known = {row["text_sha256"]: row for row in oracle}
    head = (
        "Tell the policy that the query calls for: standard (a medium model is enough), "
        "complex (only a large one will do), ambiguous (neither can be sure).\nQuery: "
    )
    held_out = set(graded(150, 2).queries.text) | set(graded(300, 3).queries.text)
    assert len(lines(home / "checkpoint", "dpo")) == 600
    for stage in ("sft", "dpo"):
        for row in lines(home / "checkpoint", stage):
            query = row["query"]
            assert row["text_sha256"] == text_hash(query)
            assert known[row["text_sha256"]]["text"] == query
            assert known[row["text_sha256"]]["policy"] == row["policy"]
            assert query in label
            assert query not in held_out - set(label)
            prompt, token = f"{head}{query}\nPolicy:", f"<policy:{row['policy']}>"
            if stage == "dpo":
                wrong = row["rejected_policy"]
                said = (prompt, token, f"<policy:{wrong}>")
                assert (row["prompt"], row["chosen"], row["rejected"]) == said
                assert wrong != row["policy"]
            elif row["prompt"] == prompt:
                assert row["completion"] == token
            else:
                assert row["prompt"] == f"{prompt}{token}\nReasoning:"
                assert row["completion"] == f" {reasoning(query, row['policy'])}"


@pytest.mark.slow
def test_checkpoint_and_single_queries(taught: PolicyRouter, home: Path) -> None:
    for path in (home / "checkpoint").rglob("*"):
        assert path.suffix not in (".bin", ".pt", ".pkl")
        if path.suffix == ".json":
            assert str(home) not in path.read_text()
    queries = [*texts(kinds(12, 7)), "", "poem " * 600, "<policy:complex>"]
    together = ask(taught, *queries)
    singles = [ask(taught, query) for query in queries]
    assert together.policy is not None
    assert together.policy.tolist() == [one.policy[0] for one in singles if one.policy is not None]
    assert together.choice.tolist() == [int(one.choice[0]) for one in singles]


@pytest.mark.slow
def test_another_mapping_is_another_decision_without_training(home: Path, taught: Any) -> None:
    again = router(mapping=UPWARD)
    again.load(home / "checkpoint")
    one, two = (ask(own, *texts(kinds(30, 5))) for own in (taught, again))
    assert one.policy is not None
    assert two.policy is not None
    assert one.policy.tolist() == two.policy.tolist()
    assert set(one.choice.tolist()) == {0, 1}
    assert set(two.choice.tolist()) == {0}


@pytest.mark.slow
def test_noise_is_not_beaten(tmp_path: Path) -> None:
    from scipy.stats import binomtest

    options = SMALL | {"reasons": False, "dpo_epochs": 0}
    made = fit(router(**options), graded(300, 1, True), graded(100, 2, True), tmp_path)
    score = (test := graded(800, 3, noise=True)).outcomes.score
    own = score[np.arange(len(score)), made.route(test.queries).choice]
    single = score[:, graded(300, 1, True).outcomes.score.mean(axis=0).argmax()]
    wins, losses = int((own > single).sum()), int((own < single).sum())
    assert wins <= losses or binomtest(wins, wins + losses).pvalue > 0.01


@pytest.mark.slow
@pytest.mark.parametrize(("use_lora", "dpo_epochs"), [(False, 1), (True, 0)])
def test_all_weights_and_sft_alone(tmp_path: Path, use_lora: bool, dpo_epochs: int) -> None:
    options = TINY | {"use_lora": use_lora, "dpo_epochs": dpo_epochs, "reasons": False}
    made = fit(router(**options), graded(80, 1), graded(30, 2), tmp_path)
    queries = texts(kinds(9))
    one = ask(stored(made, tmp_path / "c"), *queries)
    np.testing.assert_array_equal(one.quality, ask(made, *queries).quality)
    assert ("dpo_right" in made.facts()) is bool(dpo_epochs)


@pytest.mark.slow
def test_no_complex_query(tmp_path: Path) -> None:
    given = graded(120, 1)
    rows = np.flatnonzero(np.array(policies(given)) != "complex")
    options = TINY | {"reasons": False, "dpo_epochs": 0}
    with pytest.warns(UserWarning, match="training has no complex query: it is never decided"):
        made = fit(router(**options), some(given, rows), graded(30, 2), tmp_path)
    found = ask(made, *texts(kinds(30, 3))).policy
    assert found is not None
    assert set(found) <= {"standard", "ambiguous"}


def test_one_policy_alone_is_always_decided(tmp_path: Path) -> None:
    given = graded(60, 1)
    rows = np.flatnonzero(np.array(policies(given)) == "standard")
    with pytest.warns(UserWarning, match="no complex and no ambiguous query: nothing else"):
        made = fit(router(**TINY), some(given, rows), graded(30, 2), tmp_path)
    decisions = ask(stored(made, tmp_path / "c"), "anything", "")
    assert decisions.policy is not None
    assert (decisions.policy.tolist(), decisions.choice.tolist()) == (["standard"] * 2, [1, 1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("causal-lm.base_model=nobody/nothing", ["base_model", "hf download nobody/nothing"]),
        ("causal-lm.base_model={folder}", ["base_model", "has no config.json"]),
        ("policy.medium=a policy.large=a", ["medium", "a is the large model too"]),
        ("policy.medium=zz policy.large=a", ["medium", "zz"]),
        ("policy.medium=a policy.large=b policy.mapping={bad}", ["bad.toml", "policies.standard"]),
    ],
)
def test_refused_by_the_command(
    main: Callable[..., tuple[int, str, str]],
    write: Callable[..., Path],
    tmp_path: Path,
    words: str,
    names: list[str],
) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(UPWARD.replace('standard = "large"', "standard = 3"))
    sets = [w for word in words.format(folder=tmp_path, bad=bad).split() for w in ("--set", word)]
    name = words.partition(".")[0]
    path = write(planted(60))
    code, _, err = main("run", "--quiet", "--suite", f"table:{path}", "--router", name, *sets)
    assert code == 2, err
    assert err.startswith("error: ")
    assert all(own in err for own in names), err
    assert "Traceback" not in err

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import noise, planted, recovered, small_table
from libraries import needed

from routebench.data.long_table import from_long
from routebench.encode.encoders import FittedOnUse
from routebench.errors import DataError, OptionError
from routebench.hookspecs import Context
from routebench.plugin.options import validate
from routebench.records import Decisions, Objective, Queries, Table
from routebench.testing import PluginCheck, parametrize_with_checks, synthetic_tables
from routebench_routers import mf
from routebench_routers.adam import Adam
from routebench_routers.mf import MF
from routebench_routers.pairing import (
    calibrate,
    known_enough,
    share_of_ties,
    strict_pairs,
    winner_pairs,
    worth,
)

needed("torch")

NAN = np.nan
NAME = f"{mf.__file__}:MF"


def encoder(table: Table, dimension: int = 16) -> FittedOnUse:
    return FittedOnUse("tfidf-svd", {"dimension": dimension}, list(table.queries.text))


def fitted(
    train: Table,
    validation: Table | None = None,
    seed: int = 0,
    objective: tuple[float, float] = (1.0, 0.0),
    notes: list[str] | None = None,
    vectors: FittedOnUse | None = None,
    **options: Any,
) -> MF:
    router = MF(MF.Options(**options))
    context = Context(
        seed,
        vectors or encoder(train),
        Path(),
        objective=Objective(*objective),
        progress=lambda done, note="": None if notes is None else notes.append(note),
    )
    router.fit(train, train if validation is None else validation, context)
    return router


def ask(router: MF, *texts: str) -> Decisions:
    return router.route(Queries(np.array(texts, dtype=object)))


def two_topics(n: int = 60, cost: Any = None) -> Table:
    """a is right on red, b on blue, c never."""
    texts = [f"{word} {i}" for i in range(n // 2) for word in ("red thing", "blue sky")]
    return small_table([[1, 0, 0], [0, 1, 0]] * (n // 2), texts, cost)


QUICK: dict[str, Any] = {"epochs": 3, "latent_dim": 8}
WINNER: dict[str, Any] = {"pairs": "winner", "bias": False, "noise_alpha": 0.01}


@parametrize_with_checks([(MF, QUICK)])
def test_conformance(check: PluginCheck) -> None:
    check()


# With its default options: tests/testing.
@pytest.mark.slow
@parametrize_with_checks([(MF, WINNER)])
def test_conformance_when_trained_for_long(check: PluginCheck) -> None:
    check()


def test_strict_pairs_by_hand() -> None:
    pairs = strict_pairs(np.array([[1, 0, 0.5], [1, 1, NAN], [0.5, NAN, 1]]))
    found = {
        (int(q), int(w), int(lo)): float(v)
        for q, w, lo, v in zip(pairs.query, pairs.winner, pairs.loser, pairs.weight, strict=True)
    }
    # Differences 1, 1/2, 1/2 and 1/2, divided by their mean; ties and holes make no pair.
    expected = {(0, 0, 1): 1.6, (0, 0, 2): 0.8, (0, 2, 1): 0.8, (2, 2, 0): 0.8}
    assert found == pytest.approx(expected)


def test_winner_pairs_by_hand() -> None:
    values = np.array([[1, 0, 1, 0], [0.2, 0.1, NAN, 0.2], [NAN] * 4, [1, 1, 1, 1]])
    drawn = set()
    for seed in range(20):
        pairs = winner_pairs(values, np.random.default_rng(seed))
        assert pairs.query.tolist() == [0, 0, 1]
        assert pairs.loser.tolist() == [1, 3, 1]
        assert set(pairs.winner[:2]) < {0, 2}, "one winner for all pairs of a query"
        assert pairs.weight.tolist() == [1, 1, 1]
        drawn.add((int(pairs.winner[0]), int(pairs.winner[2])))
    assert drawn == {(0, 0), (0, 3), (2, 0), (2, 3)}, "drawn among the tied by the seed"


def test_failed_queries_make_no_pair_even_where_cost_would_order_them() -> None:
    score = np.array([[0, 0], [1, 1], [0, NAN]], dtype=float)
    utility = score - np.array([0.0, 0.5])
    values = worth(utility, score)
    np.testing.assert_array_equal(values, [[NAN, NAN], [1, 0.5], [NAN, NAN]])
    pairs = strict_pairs(values)
    assert (pairs.query.tolist(), pairs.winner.tolist()) == ([1], [0])


def test_pair_loss_by_hand() -> None:
    pairs = strict_pairs(np.array([[1, 0], [0, 0.5]]))
    delta = np.array([[2.0, 0.0], [1.0, 0.0]])
    expected = (np.log1p(np.exp(-2)) * 1 + np.log1p(np.exp(1)) * 0.5) / 1.5
    assert pairs.loss(delta) == pytest.approx(expected)
    assert strict_pairs(np.ones((2, 2))).loss(delta) == 0


def test_share_of_ties_by_hand() -> None:
    assert share_of_ties(np.array([[1, 1, 0], [1, NAN, 1]])) == pytest.approx(2 / 4)
    assert share_of_ties(np.array([[1.0], [0.0]])) == 0


def test_models_hardly_seen_are_not_considered() -> None:
    ok = np.zeros((60, 3), dtype=bool)
    ok[:, 0], ok[:19, 1], ok[:20, 2] = True, True, True
    assert known_enough(ok).tolist() == [True, False, True]
    assert known_enough(ok[:12, :1]).tolist() == [True]
    assert known_enough(np.zeros((3, 2), dtype=bool)).tolist() == [True, True]


def test_calibration_finds_the_curve_it_was_made_from() -> None:
    rng = np.random.default_rng(0)
    delta = rng.normal(size=(4000, 3))
    delta -= delta.mean(axis=1, keepdims=True)
    truth = 1 / (1 + np.exp(-(-0.5 + 0.6 * delta + 0.8 * delta[:, :1])))
    score = (rng.random(delta.shape) < truth).astype(float)
    score[rng.random(delta.shape) < 0.2] = NAN
    expected = calibrate(delta, score, None, np.array([0.0, 1.0]))(delta)
    assert np.abs(expected - truth).mean() < 0.015
    np.testing.assert_array_equal(expected.argmax(axis=1), delta.argmax(axis=1))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_calibration_of_constant_scores(value: float) -> None:
    delta = np.random.default_rng(0).normal(size=(5, 2))
    expected = calibrate(delta, np.full((5, 2), value), None, np.zeros(2))(delta)
    assert np.isfinite(expected).all()
    assert (np.abs(expected - value) < 0.3).all()


def test_calibration_takes_out_what_cost_did() -> None:
    """Both are right half of the time; δ prefers the cheap one for its price alone."""
    score = np.tile([[1.0, 0.0], [0.0, 1.0]], (500, 1))
    delta = np.tile([[1.5, 0.0], [0.5, 0.0]], (500, 1))
    plain = calibrate(delta, score, None, np.zeros(2))(delta).mean(axis=0)
    aware = calibrate(delta, score, np.array([0.0, 1.0]), np.zeros(2))(delta).mean(axis=0)
    assert abs(aware[0] - aware[1]) < abs(plain[0] - plain[1])
    np.testing.assert_allclose(aware, [0.5, 0.5], atol=0.05)


@pytest.mark.parametrize("pairs", ["strict", "winner"])
def test_learns_who_is_right_on_what(pairs: str) -> None:
    router = fitted(two_topics(), pairs=pairs)
    decisions = ask(router, "red thing 1001", "blue sky 1002")
    assert decisions.choice.tolist() == [0, 1]
    assert decisions.quality is not None
    assert decisions.confidence is not None
    np.testing.assert_array_equal(decisions.confidence, decisions.quality.max(axis=1))
    queries = Queries(np.array(["red thing 1001", "blue sky 1002"], dtype=object))
    chance = router.preference(queries, 0, 1)
    assert chance[0] > 0.5 > chance[1]
    np.testing.assert_allclose(chance, 1 - router.preference(queries, 1, 0))


def test_order_of_rows_and_models_changes_nothing() -> None:
    train = synthetic_tables().train
    rows, columns = np.random.default_rng(0).permutation(len(train)), [2, 0, 3, 1]
    outcomes = train.outcomes
    moved = Table(
        train.queries.take(rows),
        replace(
            outcomes,
            score=outcomes.score[rows][:, columns],
            state=outcomes.state[rows][:, columns],
            cost=None,
            grade=None,
            input_tokens=None,
            output_tokens=None,
            latency=None,
        ),
        replace(train.pool, models=tuple(train.pool.models[i] for i in columns)),
    )
    vectors = encoder(train)
    for pairs in ("strict", "winner"):
        one = fitted(train, pairs=pairs, vectors=vectors).route(train.queries)
        other = fitted(moved, pairs=pairs, vectors=vectors).route(train.queries)
        assert one.quality is not None
        assert other.quality is not None
        np.testing.assert_allclose(other.quality, one.quality[:, columns], atol=1e-9)


def test_same_seed_same_router_other_seed_another() -> None:
    first, same, other = (fitted(two_topics(), seed=s, epochs=3) for s in (1, 1, 2))
    queries = two_topics().queries
    one, two, three = (r.route(queries).quality for r in (first, same, other))
    np.testing.assert_array_equal(one, two)
    assert one is not None
    assert three is not None
    assert np.abs(one - three).max() > 1e-6


def test_global_generator_of_torch_is_left_alone() -> None:
    import torch

    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    fitted(two_topics(), epochs=2, noise_alpha=0.1)
    assert torch.equal(torch.rand(1), expected)


def test_noise_acts_in_training_only() -> None:
    train = two_topics()
    plain, noisy = fitted(train, epochs=3), fitted(train, epochs=3, noise_alpha=0.5)
    one, again = (noisy.route(train.queries).quality for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(plain.route(train.queries).quality, one)


def test_objective_orders_the_pairs() -> None:
    """a and b are equally right; b costs more. c is best and dearest."""
    texts = [f"query number {i}" for i in range(60)]
    table = small_table(np.tile([0.7, 0.7, 1.0], (60, 1)), texts, cost=[1, 2, 3])
    chosen = [
        int(ask(fitted(table, objective=(1.0, weight)), "query number 7").choice[0])
        for weight in (0.0, 1.0)
    ]
    assert chosen == [2, 0]
    notes: list[str] = []
    fitted(table, objective=(1.0, 0.0), notes=notes)
    assert "33% of model pairs tie" in notes[-1]
    fitted(table, objective=(1.0, 0.5), notes=notes)
    assert " 0% of model pairs tie" in notes[-1]


def test_nothing_to_compare() -> None:
    """Each query was asked of one model only: the means are all there is."""
    scores = np.full((40, 2), NAN)
    scores[:20, 0], scores[20:, 1] = [1, 0] * 10, 1.0
    notes: list[str] = []
    router = fitted(small_table(scores), notes=notes)
    assert ask(router, "query 3", "anything").choice.tolist() == [1, 1]
    assert notes[-1] == "0 pairs, 0% of model pairs tie; means only, nothing to compare"


def test_a_model_without_cells_has_no_quality() -> None:
    table = two_topics()
    scores = np.hstack([table.outcomes.score, np.full((60, 1), NAN)])
    decisions = ask(fitted(small_table(scores, list(table.queries.text))), "red thing 3")
    assert decisions.quality is not None
    assert np.isnan(decisions.quality).tolist() == [[False, False, False, True]]


def test_early_stopping_keeps_the_best_epoch() -> None:
    train = two_topics()
    flipped = replace(
        train.outcomes, score=np.ascontiguousarray(train.outcomes.score[:, [1, 0, 2]])
    )
    notes: list[str] = []
    fitted(train, replace(train, outcomes=flipped), notes=notes, epochs=30, patience=3, lr=0.05)
    assert len(notes) < 30
    losses = [float(note.rsplit(" ", 1)[1]) for note in notes[:-1]]
    assert notes[-1].endswith(f"epoch {int(np.argmin(losses)) + 1} is kept")


def test_presets_are_valid_options() -> None:
    for values in MF.presets.values():
        validate(MF, "mf", values)
    paper = MF.presets["paper"]
    assert (paper["latent_dim"], paper["lr"], paper["epochs"]) == (128, 1e-3, 5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pairs": "first"}, "mf.pairs: must be 'strict' or 'winner' (got 'first')"),
        ({"latent_dim": 0}, "mf.latent_dim: must be at least 1 (got 0)"),
        ({"dim": 3}, "mf has no option 'dim'"),
    ],
)
def test_bad_options(values: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        validate(MF, "mf", values)
    assert str(caught.value) == message


def test_text_dim_is_checked() -> None:
    message = "text_dim is 768, but the encoder makes vectors of 16 numbers"
    with pytest.raises(OptionError, match=message):
        fitted(two_topics(), text_dim=768)
    fitted(two_topics(), text_dim=16, epochs=1)


def test_checkpoint(tmp_path: Path) -> None:
    router = fitted(two_topics(cost=[1, 2, 3]), objective=(1.0, 0.1))
    router.save(tmp_path)
    again = MF(MF.Options())
    again.load(tmp_path)
    texts = ("red thing 5", "blue sky 6", "neither", "")
    np.testing.assert_array_equal(ask(again, *texts).choice, ask(router, *texts).choice)
    np.testing.assert_array_equal(ask(again, *texts).quality, ask(router, *texts).quality)
    whole = ask(again, *texts).quality
    assert whole is not None
    singles = [ask(again, text).quality for text in texts]
    np.testing.assert_allclose(np.concatenate([s for s in singles if s is not None]), whole)


def test_checkpoint_with_another_encoder(tmp_path: Path) -> None:
    table = two_topics()
    fitted(table, epochs=1).save(tmp_path)
    encoder(table, 8).save(tmp_path / "encoder")
    message = "the factors are for vectors of 16 numbers, but the encoder makes 8"
    with pytest.raises(DataError, match=message):
        MF(MF.Options()).load(tmp_path)


@pytest.mark.parametrize("pairs", ["strict", "winner"])
def test_the_planted_rule_is_found(pairs: str) -> None:
    data = from_long(planted(600), name="t", source="recorded", place="t")
    assert recovered(NAME, data, pairs=pairs) > 0.8


def test_noise_is_not_beaten() -> None:
    shares = [
        recovered(NAME, from_long(noise(400, seed=s), name="t", source="recorded", place="t"))
        for s in range(3)
    ]
    assert abs(float(np.mean(shares))) < 0.15


def test_adam_steps_as_torch_does_to_the_last_bit() -> None:
    import torch

    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=generator) for shape in ((7, 5), (5,), (3, 3))]
    ours, theirs = ([each.clone().requires_grad_() for each in start] for _ in range(2))
    adam = Adam(ours, 1e-2, 1e-3)
    reference = torch.optim.Adam(theirs, lr=1e-2, weight_decay=1e-3, fused=True)
    for _ in range(20):
        reference.zero_grad()
        for parts in (ours, theirs):
            (parts[0] @ parts[1]).square().sum().add(parts[2].cos().sum()).backward()
        adam.step()
        reference.step()
    for one, other, first in zip(ours, theirs, start, strict=True):
        assert torch.equal(one, other)
        assert not torch.equal(one, first)
    assert all(each.grad is None for each in ours)


def test_training_does_not_import_the_compiler() -> None:
    code = (
        "import sys, torch\nfrom routebench_routers.adam import Adam\n"
        "part = torch.ones(3, requires_grad=True)\npart.sum().backward()\n"
        "Adam([part], 0.1).step()\nprint(part.max().item() < 1, 'torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"], done.stderr

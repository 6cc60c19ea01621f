"""`personalized`: users told apart, hidden queries really hidden, checkpoints that suffice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from conftest import planted as plain_panel
from libraries import Lazy, needed
from panels import opposites

from routebench.data.long_table import from_long
from routebench.data.splits import make_split
from routebench.data.users import reward
from routebench.errors import OptionError
from routebench.jobs.setup import Job, Setup
from routebench.jobs.stages import run_here
from routebench.plugin.discovery import find
from routebench.records import Pool
from routebench.testing import parametrize_with_checks
from routebench_routers.personalized.router import PersonalizedRouter, Settings

if TYPE_CHECKING:
    from routebench_routers.personalized.head import Personalized
    from routebench_routers.personalized.interactions import Training

needed("torch", "torch_geometric")
torch: Any = Lazy("torch")
graph: Any = Lazy("routebench_routers.personalized.graph")
interactions: Any = Lazy("routebench_routers.personalized.interactions")

QUICK: dict[str, Any] = {"members": 1, "train_epoch": 3}
TINY: dict[str, Any] = {"members": 1, "train_epoch": 1, "embedding_dim": 16}


@pytest.mark.slow
@parametrize_with_checks([(PersonalizedRouter, TINY)])
def test_conformance(check: Any) -> None:
    check()


@pytest.mark.slow
@parametrize_with_checks([(PersonalizedRouter, QUICK)])
def test_conformance_when_trained_for_longer(check: Any) -> None:
    check()


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def planted(n: int = 200, users: int = 6, seed: int = 0) -> Training:
    """LLM k is right on task k and dear; the fourth is fair at everything and costs nothing."""
    rng = np.random.default_rng(seed)
    task = rng.integers(0, 3, n)
    text = 0.3 * rng.normal(size=(n, 16)).astype(np.float32)
    text[np.arange(n), task] += 2
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    effect, cost = np.full((n, 4), 0.2), np.full((n, 4), 0.8)
    effect[np.arange(n), task], effect[:, 3], cost[:, 3] = 0.9, 0.5, 0.05
    return interactions.Training(text, task, effect, cost, np.linspace(0.1, 1, users))


def fit(train: Training, validation: Training, seed: int = 0, **options: Any) -> Personalized:
    return graph.fit(train, validation, Settings(**(QUICK | options)), seed)


def ask(model: Personalized, data: Training, user: int, preference: float) -> Any:
    n = len(data.text)
    said = model.utility(
        torch.from_numpy(data.text),
        None if data.task is None else torch.from_numpy(data.task),
        torch.full((n,), user),
        torch.full((n,), preference),
    )
    return said.numpy()


@pytest.mark.parametrize("preference", ["shown", "hidden"])
@pytest.mark.parametrize("task", [True, False])
def test_opposite_users_get_their_own_models(preference: str, task: bool) -> None:
    train, validation, test = (planted(seed=seed) for seed in range(3))
    if not task:
        train, validation, test = (replace(d, task=None) for d in (train, validation, test))
    model = fit(train, validation, preference=preference, num_task=6)
    rich, poor = (ask(model, test, u, w).argmax(1) for u, w in ((5, 1.0), (0, 0.1)))
    assert (rich == planted(seed=2).task).mean() >= 0.95
    assert (poor == 3).mean() >= 0.95


def test_shuffled_users_have_no_advantage() -> None:
    train, validation, test = (planted(seed=seed) for seed in range(3))
    model = fit(train, validation, preference="hidden")
    worth = {u: w * test.effect - (1 - w) * test.cost for u, w in enumerate(test.preference)}

    def reached(order: list[int]) -> float:
        chosen = [ask(model, test, order[u], 0.0).argmax(1) for u in range(6)]
        return float(np.mean([worth[u][np.arange(200), chosen[u]] for u in range(6)]))

    own, shuffled = reached([0, 1, 2, 3, 4, 5]), reached([5, 4, 3, 2, 1, 0])
    assert own - shuffled > 0.1


@pytest.mark.parametrize("preference", ["shown", "hidden"])
def test_outcomes_of_a_hidden_query_change_no_prediction_for_it(preference: str) -> None:
    train, validation = planted(), planted(seed=1)
    hidden, visible = torch.arange(60), torch.arange(60, 200)

    def predicted(data: Training) -> Any:
        options = Settings(**QUICK, preference=preference, dropout=0.0)
        made = graph.Fit(data, validation, options, 0, "cpu", None, None)
        made.penalty = 30.0
        torch.manual_seed(0)
        network = graph.GraphNetwork(options, 16, 3, 4, 0, graph.directed(made.data.family))
        torch.nn.init.normal_(network.head.out.weight)
        return made.predicted(network, visible, hidden, made.everyone)

    effect, cost = train.effect.copy(), train.cost.copy()
    effect[:60] = 1 - effect[:60]
    cost[:60] = np.random.default_rng(9).random(cost[:60].shape)
    before = predicted(train)
    assert torch.equal(before, predicted(replace(train, effect=effect, cost=cost)))
    effect[60:] = 1 - effect[60:]
    assert not torch.allclose(before, predicted(replace(train, effect=effect, cost=cost)))


def test_the_same_seed_gives_the_same_and_a_checkpoint_suffices() -> None:
    train, validation, test = (planted(seed=seed) for seed in range(3))
    model = fit(train, validation, seed=3, members=2)
    said = ask(model, test, 2, 0.4)
    assert np.array_equal(said, ask(fit(train, validation, seed=3, members=2), test, 2, 0.4))
    other = type(model)(model.config)
    other.load_state_dict({name: value.clone() for name, value in model.state_dict().items()})
    assert np.array_equal(said, ask(other, test, 2, 0.4))
    assert np.isfinite(ask(other, test, -1, 0.4)).all()  # a stranger


def test_missing_cells_and_a_model_that_was_never_asked() -> None:
    train, validation, test = (planted(seed=seed) for seed in range(3))
    effect, held = train.effect.copy(), validation.effect.copy()
    effect[np.random.default_rng(0).random(effect.shape) < 0.3] = np.nan
    effect[:, 1] = held[:, 1] = np.nan
    described = np.eye(4, dtype=np.float32)
    described[1] = described[0]  # its description is that of the first
    options = Settings(**QUICK)
    holes = replace(train, effect=effect), replace(validation, effect=held)
    model = graph.fit(*holes, options, llm_text=described)
    said = ask(model, test, 5, 1.0)
    assert np.isfinite(said).all()
    assert abs(said[:, 1] - said[:, 0]).mean() < 0.25
    assert test.task is not None
    others = test.task != 1
    assert (said[others].argmax(1) == test.task[others]).mean() > 0.9


def test_few_interactions_tell_what_a_user_wants() -> None:
    train, validation = planted(), planted(seed=1)
    seen = np.ones((6, 200), dtype=np.bool_)
    seen[5, 10:] = False
    model = fit(replace(train, seen=seen), validation, preference="hidden")
    assert model.worth[5].tolist() == pytest.approx([1.0, 0.0], abs=0.05)


def test_families_are_edges() -> None:
    train, validation = planted(), planted(seed=1)
    joined = replace(train, family=np.array([0, 0, 0, -4]))
    made = graph.Fit(joined, validation, Settings(), 0, "cpu", None, None)
    assert made.data.family.shape == (2, 6)
    apart = ask(fit(train, validation, residual=False), validation, 5, 1.0)
    together = ask(fit(joined, validation, residual=False), validation, 5, 1.0)
    assert not np.allclose(apart, together)


def routed(data: Any, personal: bool = True, **options: Any) -> Any:
    info = find("router", "personalized")
    setup = Setup(data, make_split(data), "tfidf-svd", {})
    job = Job("personalized", info, QUICK | options, 0, 0, "x", personal=personal)
    return setup, run_here(job, setup, lambda done, note: None).decisions


@pytest.mark.parametrize("preference", ["shown", "hidden"])
def test_two_users_of_one_query_are_routed_differently(preference: str) -> None:
    data = opposites()
    setup, decisions = routed(data, preference=preference)
    asks = setup.asks(0)
    assert data.users is not None
    worth = np.stack([reward(data.outcomes, w) for w in data.users.preference])
    best = worth[asks.user, asks.row].argmax(1)
    assert (decisions.choice == best).mean() >= 0.95
    both = decisions.choice.reshape(-1, 2)
    assert (both[:, 0] != both[:, 1]).mean() >= 0.95


def test_without_users_it_serves_one() -> None:
    data = from_long(plain_panel(400), name="table", source="simulated", place="t")
    setup, decisions = routed(data)
    test = setup.query_batch(Job("x", find("router", "knn"), {}, 0, 0, "x"))
    assert test is not None
    rows = setup.rows(0, 2)
    got = data.outcomes.score[rows, decisions.choice].mean()
    best = data.outcomes.score[rows].mean(axis=0).max()
    assert got > best + 0.3
    assert decisions.confidence is not None


def test_options_that_cannot_be(tmp_path: Path) -> None:
    pool = Pool(("a", "b"))
    with pytest.raises(OptionError, match="llm_family: no model 'c'"):
        PersonalizedRouter(Settings(llm_family={"c": "x"})).needs(pool, (), False)
    with pytest.raises(OptionError, match="divide embedding_dim"):
        PersonalizedRouter(Settings(heads=3)).needs(pool, (), False)
    with pytest.raises(OptionError, match="user_num is 7, and 2 users"):
        routed(opposites(60), user_num=7)

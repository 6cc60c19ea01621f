"""The inputs of an evaluation: test queries, their references, and the routers' choices."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from routebench.plugin.selection import covered
from routebench.records import Codes, Floats, Ints, Mask, Outcomes, Pool, State, Strings
from routebench.schema import Measure


@dataclass(frozen=True)
class RouterChoices:
    """One router's choices on all n test queries, by S seeds."""

    name: str
    choice: Ints
    """[S, n] index into the pool."""
    router_cost: Floats | None = None
    """[S, n] USD the routing itself cost, NaN where unknown; None for one that calls nothing."""
    quality: Floats | None = None
    """[S, n, m] what it expects of every model; columns of NaN: not considered."""
    confidence: Floats | None = None
    """[S, n] probability that the chosen model is right."""
    stable: Floats | None = None
    """[S, n] share of a query's perturbed forms decided like itself; NaN if none were asked."""
    pair: tuple[Ints, Ints] | None = None
    """[n] each: the weak and the strong model, for a router that considers two models only."""
    swept: Ints | None = None
    """[S, L, n] choices from the best expected quality to the least cost."""
    policy: Strings | None = None
    """[S, n] the policy that it named."""
    routed_differently: Floats | None = None
    """[S, n] whether users who ask this query are sent to different models."""
    points: dict[str, tuple[Ints, Mask]] = field(default_factory=dict)
    """By operating point [S, n]: choices, and where they are a fixed model's, unrouted."""
    lambdas: dict[str, list[float | None]] = field(default_factory=dict)
    """By operating point: its λ by seed, then fold; None where one fixed model stands in."""
    asked: Codes | None = None
    """[S, n, m] the round in which each model was asked, from 1, and 0 for one that was not: of a
    router that sees answers. None for one that asks whom it chooses."""
    answer_cost: Floats | None = None
    """[S, n] USD of all answers that it asked for; None where that is the chosen one's."""
    swept_cost: Floats | None = None
    """[S, L, n] the same at every trade-off."""
    point_cost: dict[str, Floats] = field(default_factory=dict)
    """[S, n] the same at every operating point."""
    reference: bool = False
    """Whether it declares itself a reference, of which no verdict is made."""

    @property
    def considered(self) -> Mask:
        """Return [m] whether the router predicts a quality for each model, or may ask it."""
        if self.asked is not None:
            return np.ones(self.asked.shape[-1], dtype=np.bool_)
        if self.quality is None:
            raise ValueError(f"{self.name} has no expected quality")
        known: Mask = ~np.logical_and.reduce(np.isnan(self.quality), axis=(0, 1))
        return known

    def once(self) -> RouterChoices:
        """Return one seed where all agree in everything; else the choices as they are."""
        arrays = [*self._by_seed.values(), *(a for both in self.points.values() for a in both)]
        arrays += [one for one in (self.swept, self.swept_cost) if one is not None]
        arrays += self.point_cost.values()
        if not all(_agree(array) for array in arrays):
            return self
        return replace(
            self,
            **{name: value[:1] for name, value in self._by_seed.items()},
            swept=None if self.swept is None else self.swept[:1],
            swept_cost=None if self.swept_cost is None else self.swept_cost[:1],
            point_cost={name: cost[:1] for name, cost in self.point_cost.items()},
            points={k: (at[:1], fixed[:1]) for k, (at, fixed) in self.points.items()},
        )

    @property
    def _by_seed(self) -> dict[str, Any]:
        columns = (
            "choice",
            "router_cost",
            "quality",
            "confidence",
            "stable",
            "policy",
            "routed_differently",
            "asked",
            "answer_cost",
        )
        return {name: value for name in columns if (value := getattr(self, name)) is not None}

    def take(self, rows: Mask) -> RouterChoices:
        """Return the given queries."""
        return replace(
            self,
            **{name: value[:, rows] for name, value in self._by_seed.items()},
            pair=self.pair and (self.pair[0][rows], self.pair[1][rows]),
            swept=None if self.swept is None else self.swept[:, :, rows],
            swept_cost=None if self.swept_cost is None else self.swept_cost[:, :, rows],
            point_cost={name: cost[:, rows] for name, cost in self.point_cost.items()},
            points={k: (at[:, rows], fixed[:, rows]) for k, (at, fixed) in self.points.items()},
        )

    def __post_init__(self) -> None:
        if self.choice.ndim != 2 or not len(self.choice):
            raise ValueError(f"{self.name}: choice must be [seeds, queries]")
        if self.router_cost is not None and self.router_cost.shape != self.choice.shape:
            raise ValueError(f"{self.name}: router_cost must have the shape of choice")


def _agree(by_seed: Any) -> bool:
    """Return whether all seeds have the same values; NaN equals NaN."""
    first = np.broadcast_to(by_seed[:1], by_seed.shape)
    return np.array_equal(by_seed, first, equal_nan=by_seed.dtype.kind == "f")


@dataclass(frozen=True)
class Setting:
    """The data that every row is scored with: n test queries (folds concatenated)."""

    outcomes: Outcomes
    """[n, m]."""
    pool: Pool
    best_single: Ints
    """[n] the model best on train and validation of the query's fold."""
    clusters: Ints
    """[n] rows with the same number are drawn together (one query asked by several users)."""
    most_expensive: Ints | None = None
    """[n]; None when unknown (no declared large model, and unpriced)."""
    cheapest: Ints | None = None
    """[n]; None when unknown (unpriced)."""
    mean_cost: Floats | None = None
    """[m] train mean cost in USD, averaged over folds: breaks ties. None when unpriced."""
    facets: dict[str, Strings] = field(default_factory=dict)
    """[n] values of `task`, `topic`, `user`, where there are any; None for a query without."""
    beside: dict[str, Floats] = field(default_factory=dict)
    """[n, m] by metric: what else is averaged over the chosen cells."""
    lengths: dict[str, Floats] = field(default_factory=dict)
    """[n, m] USD of the cells by name, were the assumed answers of dearer models that long."""
    measure: Measure = "accuracy"
    """What the mean score is; `reward` where users weigh quality against cost."""
    blind_oracle: Ints | None = None
    """[n] the best model of a query for all its users together, where users differ."""

    @property
    def fixed(self) -> dict[str, Ints]:
        """Return the known references that choose, before the test, one model per query."""
        known = {
            "best_single": self.best_single,
            "most_expensive": self.most_expensive,
            "cheapest": self.cheapest,
        }
        return {name: choice for name, choice in known.items() if choice is not None}

    @property
    def cost_bounds(self) -> tuple[int, int]:
        """Return the pool's cheapest and dearest covered model by mean training cost."""
        cost = self.mean_cost
        assert cost is not None
        known = np.where(covered(self.outcomes.ok), cost, np.nan)
        known = known if np.isfinite(known).any() else np.nan_to_num(cost, nan=np.inf)
        return int(np.nanargmin(known)), int(np.nanargmax(known))

    def take(self, rows: Mask) -> Setting:
        """Return the given queries."""
        return replace(
            self,
            outcomes=self.outcomes.take(rows),
            clusters=self.clusters[rows],
            beside={name: values[rows] for name, values in self.beside.items()},
            lengths={name: values[rows] for name, values in self.lengths.items()},
            blind_oracle=None if self.blind_oracle is None else self.blind_oracle[rows],
            facets={kind: values[rows] for kind, values in self.facets.items()},
            **{name: choice[rows] for name, choice in self.fixed.items()},  # type: ignore[arg-type]
        )


def scorable(setting: Setting, routed: list[RouterChoices]) -> Mask:
    """Mask [n] queries on which every model chosen by any router or fixed reference is OK.

    Where a router sees answers, those on which every model of the pool is, as it could else choose
    what it is scored on, and it was stepped: of equal texts on one.
    """
    rows = np.arange(len(setting.best_single))
    usable = np.ones(len(rows), dtype=np.bool_)
    for asked in (router.asked for router in routed if router.asked is not None):
        usable &= setting.outcomes.ok.all(axis=1) & was_stepped(asked)
    for choice in (*setting.fixed.values(), *(router.choice for router in routed)):
        if choice.shape[-1] != len(rows):
            raise ValueError(f"a choice for {choice.shape[-1]} queries out of {len(rows)}")
        usable &= np.atleast_2d(setting.outcomes.ok[rows, choice]).all(axis=0)
    return usable


def was_stepped(asked: Codes) -> Mask:
    """Mask [n] queries on which a router that sees answers asked a model with every seed."""
    stepped: Mask = np.logical_and.reduce((asked > 0).any(axis=-1), axis=0)
    return stepped


def state_counts(outcomes: Outcomes) -> dict[str, int]:
    """Return the cells by state, over all test queries."""
    return {s.name.lower(): int(np.count_nonzero(outcomes.state == s)) for s in State}


def missing_share(states: dict[str, int]) -> float:
    """Return the share of attempted cells that failed, or have no grade or price."""
    attempted = sum(states.values()) - states["absent"]
    lost = states["failed"] + states["ungraded"] + states["unpriced"]
    return lost / attempted if attempted else 0.0

"""A small and a large model, with a network that predicts which queries the small one can take.

After Hybrid LLM (arXiv 2404.14618), which has three ways to label the training queries.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from routebench.encode import encoders
from routebench.errors import DataError, OptionError
from routebench.hookspecs import Context, FittedEncoder, hookimpl
from routebench.plugin import checkpoint
from routebench.plugin.selection import best, by_cost, covered
from routebench.records import Decisions, Floats, Pool, Queries, Table
from routebench_routers.hybrid.labels import (
    Mode,
    Samples,
    labels,
    margin,
    samples_of,
    threshold_for,
)
from routebench_routers.hybrid.network import Network, train_network
from routebench_routers.hybrid.options import HybridOptions


class Hybrid:
    """An MLP that predicts from the query's vector whether the small model matches the large.

    Source: Hybrid LLM, arXiv 2404.14618; preset `paper`: layers of 128 and 64, relu, Adam, 300
    iterations, cross-entropy, tau 0.1, the dearest model as the large one, threshold 0.5.

    Deviations: the network reads the vectors of the run's encoder, where the paper fine-tunes
    DeBERTa; training stops on validation loss and the best epoch is kept (if none beats the mean
    label, the router is that constant); small and large are, unless declared or named, the
    cheapest and the most accurate other model on training, as the dearest may be worse than both
    (`pair = "size"` is the source's way, `"cost"` takes the dearest); the threshold is by default
    the least at which validation loses 1% of the large model's quality at most, which is the
    source's protocol for its tables; with one sample per model,
    probabilistic labels are σ(gap / tau). The objective's weights are not used: the threshold
    is what trades quality for cost.
    """

    Options = HybridOptions
    libraries = ("encoder", "torch")
    effort = 3
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "pair": "cost",
            "tau": 0.1,
            "threshold": 0.5,
            "loss": "log",
            "hidden_layer_sizes": (128, 64),
            "activation": "relu",
            "solver": "adam",
            "max_iter": 300,
            "learning_rate_init": 1e-3,
            "alpha": 1e-4,
            "patience": None,
        }
    }
    mode: ClassVar[Mode]

    def __init__(self, options: HybridOptions) -> None:
        self.options = options
        self._encoder: FittedEncoder
        self._network: Network
        self._state: dict[str, Any] = {}

    def needs(self, pool: Pool, shown: Collection[str], priced: bool) -> str | None:
        """Return why a run cannot use it, or None; raise an `OptionError` for an invalid pair."""
        for option in ("small", "large"):
            if name := getattr(self.options, option):
                pool.index(name, option)
        small, large = self._named(pool)
        if small and large:
            _two(small, large)
            return None
        names = "or both models by name: --set NAME.small=MODEL --set NAME.large=MODEL"
        if self.options.pair == "size":
            sizes = 0 if pool.size is None else int(np.isfinite(pool.size).sum())
            return None if sizes > 1 else f"needs the sizes of two models, {names}"
        return None if priced else f"needs prices, {names}"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        small, large = self._pair(train)
        learned, held_out = samples_of(train, small, large), samples_of(validation, small, large)
        if not len(learned.rows):
            raise DataError(
                f"no training query has a score of both {train.pool.models[small]} "
                f"and {train.pool.models[large]}",
                "name other models: small=…, large=…",
            )
        # Sorted by text: what is learned does not depend on the order of the rows.
        learned = learned.ordered(train.queries.text)
        allowed = margin(learned) if self.mode == "transformed" else 0.0
        wanted = labels(self.mode, learned, self.options.tau, allowed)
        self._encoder = context.encoder
        epoch, vectors = 0, np.zeros((len(held_out.rows), 0))
        if np.ptp(wanted) < 1e-9:
            self._network = Network([], [], "", "", float(wanted[0]))
        else:
            vectors = self._encode(validation.queries.take(held_out.rows))
            self._network, epoch = train_network(
                self._encode(train.queries.take(learned.rows)),
                wanted,
                vectors,
                labels(self.mode, held_out, self.options.tau, allowed),
                self.options,
                context,
            )
        threshold = threshold_for(self.options, self._network(vectors), held_out)
        note = self._note(train.pool, small, large, learned, wanted, allowed, epoch, threshold)
        self._state = {
            "models": list(train.pool.models),
            "options": self.options.model_dump(mode="json"),
            "mode": self.mode,
            "small": small,
            "large": large,
            "threshold": threshold,
            "note": note,
        }
        context.progress(1.0, note)

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        n, small, large = len(queries), self._state["small"], self._state["large"]
        vectors = self._encode(queries) if self._network.weights else np.zeros((n, 0))
        probability = self._network(vectors)
        quality = np.full((n, len(self._state["models"])), np.nan)
        quality[:, small], quality[:, large] = probability, 1.0 - probability
        easy = probability >= self._state["threshold"]
        return Decisions(np.where(easy, small, large), quality=quality)

    def save(self, folder: Path) -> None:
        network = self._network
        arrays = {f"weight.{i}": value for i, value in enumerate(network.weights)}
        arrays |= {f"bias.{i}": value for i, value in enumerate(network.biases)}
        facts = {name: getattr(network, name) for name in ("activation", "output", "otherwise")}
        if network.weights:
            self._encoder.save(folder / "encoder")
        checkpoint.save(folder, {**self._state, "network": facts}, arrays)

    def load(self, folder: Path) -> None:
        self._state, arrays = checkpoint.load(folder)
        layers = range(len(arrays) // 2)
        self._network = Network(
            [arrays[f"weight.{i}"] for i in layers],
            [arrays[f"bias.{i}"] for i in layers],
            **self._state.pop("network"),
        )
        if not self._network.weights:
            return
        self._encoder = encoders.load(folder / "encoder")
        width = len(arrays["weight.0"])
        if self._encoder.dimension != width:
            raise DataError(
                f"{folder}: the network reads vectors of {width} numbers, "
                f"but the encoder makes {self._encoder.dimension}"
            )

    def _named(self, pool: Pool) -> tuple[str | None, str | None]:
        """Return small and large as named by an option or, unless sizes decide, by the suite."""
        declared = (None, None) if self.options.pair == "size" else (pool.small, pool.large)
        return self.options.small or declared[0], self.options.large or declared[1]

    def _pair(self, train: Table) -> tuple[int, int]:
        pool = train.pool
        names = self._named(pool)
        small = pool.index(names[0], "small") if names[0] else self._found(train, False)
        if names[1]:
            large = pool.index(names[1], "large")
        elif self.options.pair == "best":
            large = self._most_accurate(train, small)
        else:
            large = self._found(train, True)
        _two(pool.models[small], pool.models[large])
        return small, large

    def _most_accurate(self, train: Table, small: int) -> int:
        """Return the model of the best mean score that is not the small one; ties to the cheaper.

        Where the small model is the best of all, the second best is what it is compared with.
        """
        outcomes = train.outcomes
        mean = np.where(covered(outcomes.ok), outcomes.mean_score(), np.nan)
        mean[small] = np.nan
        return int(best(mean[None, :], outcomes.mean_cost())[0])

    def _found(self, train: Table, largest: bool) -> int:
        if self.options.pair == "size":
            sizes = train.pool.size
            assert sizes is not None, "needs() turns such runs away"
            return int(best((sizes if largest else -sizes)[None, :], None)[0])
        cost = train.outcomes.mean_cost()
        assert cost is not None, "needs() turns unpriced runs away"
        return by_cost(train.outcomes, cost, dearest=largest)

    def _encode(self, queries: Queries) -> Floats:
        return np.asarray(self._encoder.encode(list(queries.text)), dtype=np.float64)

    def _note(
        self,
        pool: Pool,
        small: int,
        large: int,
        learned: Samples,
        wanted: Floats,
        allowed: float,
        epoch: int,
        threshold: float,
    ) -> str:
        """Return one line for the log: the pair, the labels and the training result."""
        parts = [
            f"{pool.models[small]} against {pool.models[large]}, from {threshold:.3g} on",
            f"{wanted.mean():.0%} of the labels of {len(wanted):,} queries are for the small one",
        ]
        if self.mode == "transformed":
            parts.append(f"margin {allowed:.3g}")
            plain = labels("deterministic", learned, self.options.tau, 0.0)
            if np.array_equal(plain, wanted):
                parts.append("the labels are those of hybrid-deterministic")
        if np.ptp(wanted) < 1e-9:
            parts.append(f"every label is {wanted[0]:.3g}: a constant router")
        elif not self._network.weights:
            parts.append("no pass beats the mean label on validation: a constant router")
        else:
            parts.append(f"pass {epoch} is kept")
        return "; ".join(parts)


class HybridDeterministic(Hybrid):
    """Hybrid with hard labels: 1 where the small model scores no worse than the large, else 0."""

    family = "learned from texts"

    mode = "deterministic"


class HybridProbabilistic(Hybrid):
    """Hybrid with soft labels: the probability that a sample of the small model is no worse."""

    family = "learned from texts"

    mode = "probabilistic"


class HybridTransformed(Hybrid):
    """Hybrid with soft labels under a margin, chosen so that the labels differ most."""

    family = "learned from texts"

    mode = "transformed"


def _two(small: str, large: str) -> None:
    if small == large:
        raise OptionError(
            f"small and large are the same model, {small}",
            "name two: --set NAME.small=MODEL --set NAME.large=MODEL",
        )

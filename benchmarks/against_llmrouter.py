"""Time fits and routes of `mf`, `knn` and `hybrid-probabilistic` against LLMRouter's counterparts.

pip install -e '.[hf]' pandas pyyaml tqdm && pip install --no-deps llmrouter-lib==0.4.0
python benchmarks/against_llmrouter.py    3,000 queries × 10 models, vectors of 768, one thread

Both sides get the same vectors, scores and queries in the same process. LLMRouter's own classes
run as published, but for four replacements: the look-up of a ready vector for its embedding
model, tables handed over in memory for its JSON files, a trained model kept in memory for the
file it saves, and an empty answer for the call of the chosen model. Encoding, reading of data
and saving are so left out on both sides. Ratios above 1 are for RouteBench, below 1 for
LLMRouter: the median of paired repeats, with the lowest and the highest. Times are CPU seconds,
the median too.

What is compared:
- `mf` and MFRouter: preset `paper`, the configuration that LLMRouter ships. Both learn the same
  27,000 pairs of one winner per query, in 5 epochs of batches of 64.
- `knn` and KNNRouter: k = 5. LLMRouter's is scikit-learn's classifier with the best model of each
  query as its label; ours averages the scores of all models over the neighbours.
- `hybrid-probabilistic` and HybridLLMRouter: the same labels, squared error and 30 passes over
  the queries. Both train scikit-learn's network, theirs in 64 bits, ours from vectors of 32.

What is unequal:
- Our fits do more: they read 500 validation queries, on which `mf` and `hybrid` choose an epoch,
  and all but `hybrid` calibrate. "train() alone" leaves out LLMRouter's making of pairs or
  labels, while ours still counts whole.
- "defaults" compares each side as it comes, ours without an option and theirs with the values
  of its example files. That is not the same work: `mf` learns all 135,000 pairs that differ, up
  to 40 times, `knn` tunes k, `hybrid` stops by validation and scikit-learn by training loss.
- LLMRouter asks query by query, in a batch too. Its `route_single` reads the trained model from
  its file for every query; "model in memory" spares it that.

"score" is the mean score of the models chosen for the test queries, a check that both learned.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import importlib.metadata
import io
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from routebench.hookspecs import Context
from routebench.records import Outcomes, Pool, Queries, State, Table
from routebench_routers.hybrid.router import HybridProbabilistic
from routebench_routers.knn import KNN
from routebench_routers.mf import MF

QUERIES, VALIDATION, TEST, MODELS, WIDTH = 3000, 500, 1000, 10, 768
SINGLE = 100
NEIGHBOURS, PASSES = 5, 30
VERSION = "0.4.0"
INSTALL = f"pip install pandas pyyaml tqdm && pip install --no-deps llmrouter-lib=={VERSION}"
ASKED = range(QUERIES + VALIDATION, QUERIES + VALIDATION + TEST)
NAMES = tuple(f"model-{model}" for model in range(MODELS))


class Ready:
    """An encoder whose vectors are there already: the text is the row."""

    dimension = WIDTH
    fingerprint = "ready"

    def __init__(self, vectors: npt.NDArray[np.float32]) -> None:
        self.vectors = vectors

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return self.vectors[[int(text) for text in texts]]

    def save(self, folder: Path) -> None:
        raise AssertionError("not saved here")


class Data(NamedTuple):
    """Vectors and the scores of all models, for training, validation and test queries."""

    vectors: npt.NDArray[np.float32]
    score: npt.NDArray[np.float64]

    @classmethod
    def drawn(cls) -> Data:
        """Draw unit vectors of falling variance by direction; scores follow a linear rule."""
        rng = np.random.default_rng(0)
        n = QUERIES + VALIDATION + TEST
        vectors = rng.normal(size=(n, WIDTH)) / np.sqrt(1 + np.arange(WIDTH) / 8)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        hidden = 3 * vectors @ rng.normal(size=(WIDTH, MODELS)) + 0.3 * rng.normal(size=MODELS)
        noisy = hidden + rng.normal(size=hidden.shape)
        return cls(vectors.astype(np.float32), 1 / (1 + np.exp(-noisy)))

    def table(self, rows: range) -> Table:
        score = self.score[rows]
        cost = np.broadcast_to(np.linspace(1e-4, 1e-3, MODELS), score.shape).copy()
        state = np.full(score.shape, State.OK, dtype=np.int8)
        return Table(queries(rows), Outcomes(score, state, cost), Pool(NAMES))


def queries(rows: Sequence[int]) -> Queries:
    return Queries(np.array([str(row) for row in rows], dtype=object))


class Fitted(NamedTuple):
    """A router of LLMRouter, its trained model, and the CPU seconds of both steps."""

    router: Any
    model: Any
    prepared: float
    trained: float


class Peer:
    """A router of LLMRouter on ready vectors; its messages are kept off the terminal."""

    def __init__(self, data: Data, folder: str, name: str, trainer: str, work: Path) -> None:
        import pandas as pd
        import torch

        self.routing = importlib.import_module(f"llmrouter.models.{folder}.router")
        self.training = importlib.import_module(f"llmrouter.models.{folder}.trainer")
        self.meta = importlib.import_module("llmrouter.models.meta_router")
        self.router_class = getattr(self.routing, name)
        self.trainer_class = getattr(self.training, trainer)
        self.load = self.routing.load_model
        self.work = work
        self.vectors = torch.from_numpy(data.vectors)
        self.frame = pd.DataFrame(
            {
                "query": np.repeat([str(row) for row in range(QUERIES)], MODELS),
                "embedding_id": np.repeat(np.arange(QUERIES), MODELS),
                "model_name": np.tile(NAMES, QUERIES),
                "performance": data.score[:QUERIES].ravel(),
            }
        )
        self._replace()

    def _replace(self) -> None:
        """Put ready vectors, tables in memory and an empty answer in the place of slow parts."""

        def attach(_: Any, config: Any, router: Any) -> None:
            router.query_embedding_data = self.vectors
            router.routing_data_train = self.frame
            router.llm_data = {
                name: {"size": f"{number + 1}B", "model": name, "api_endpoint": "none"}
                for number, name in enumerate(NAMES)
            }

        self.meta.DataLoader.load_data = attach
        self.routing.get_longformer_embedding = lambda text: self.vectors[int(text)]
        self.routing.call_api = lambda request, **options: {"response": ""}

    def fit(self, config: dict[str, Any]) -> Fitted:
        path = self.work / "config.yaml"
        stored = str(self.work / "model.pkl")
        paths = {"ini_model_path": "", "save_model_path": stored, "load_model_path": stored}
        path.write_text(json.dumps(config | {"model_path": paths}))
        kept: list[Any] = []
        self.training.save_model = lambda model, where: kept.append(model)
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the warning of no convergence by max_iter
            start = time.process_time()
            router = self.router_class(str(path))
            between = time.process_time()
            self.trainer_class(router, device="cpu").train()
            end = time.process_time()
        return Fitted(router, kept[0], between - start, end - between)

    def store(self, fitted: Fitted) -> None:
        """Save the trained model where the router looks for it."""
        with contextlib.redirect_stdout(io.StringIO()):
            importlib.import_module("llmrouter.utils").save_model(
                fitted.model, str(self.work / "model.pkl")
            )

    def batch(self, router: Any, asked: list[dict[str, Any]]) -> list[str]:
        with contextlib.redirect_stdout(io.StringIO()):
            return [answer["model_name"] for answer in router.route_batch(asked)]

    def single(self, router: Any, asked: list[dict[str, Any]], in_memory: bool) -> None:
        self.routing.load_model = functools.cache(self.load) if in_memory else self.load
        with contextlib.redirect_stdout(io.StringIO()):
            for query in asked:
                router.route_single(query)
        self.routing.load_model = self.load


class Method(NamedTuple):
    """A router of ours and its counterpart, with options for the same work and for none set."""

    title: str
    ours: Any
    same: dict[str, Any]
    default: dict[str, Any]
    counterpart: tuple[str, str, str]
    """Folder, router and trainer in LLMRouter."""
    their_same: dict[str, Any]
    their_default: dict[str, Any]
    """The values of the configuration files in its repository."""

    def fit(self, options: dict[str, Any], train: Table, held_out: Table, ready: Ready) -> Any:
        router = self.ours(self.ours.Options(**options))
        router.fit(train, held_out, Context(0, ready, Path()))
        return router


def methods() -> list[Method]:
    factors = {"latent_dim": 128, "text_dim": WIDTH, "lr": 1e-3, "epochs": 5, "batch_size": 64}
    near = {"n_neighbors": NEIGHBOURS, "metric": "minkowski", "p": 2, "n_jobs": 1}
    layers = {"hidden_layer_sizes": [128, 64], "activation": "relu", "solver": "adam"}
    layers |= {"random_state": 0}
    hybrid = {"router_mode": "probabilistic", "router_tau": 0.1, "router_threshold": 0.5}
    passes = {"max_iter": PASSES, "n_iter_no_change": PASSES}
    pair = {"small": NAMES[0], "large": NAMES[-1]}
    return [
        Method(
            "mf",
            MF,
            MF.presets["paper"],
            {},
            ("mfrouter", "MFRouter", "MFRouterTrainer"),
            {"hparam": factors},
            {"hparam": factors},
        ),
        Method(
            "knn",
            KNN,
            {"k": NEIGHBOURS},
            {},
            ("knnrouter", "KNNRouter", "KNNRouterTrainer"),
            {"hparam": near},
            {"hparam": near},
        ),
        Method(
            "hybrid-probabilistic",
            HybridProbabilistic,
            pair | {"loss": "squared", "max_iter": PASSES, "patience": None},
            pair,
            ("hybrid_llm", "HybridLLMRouter", "HybridLLMTrainer"),
            hybrid | {"hparam": layers | passes},
            hybrid | {"hparam": layers | {"max_iter": 300}},
        ),
    ]


Timed = list[tuple[float, float]]
"""Seconds of LLMRouter and of RouteBench, by repeat."""


def seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def paired(theirs: Callable[[], float], ours: Callable[[], float], repeats: int) -> Timed:
    """Time both in turn, each first in every other repeat."""
    measured = []
    for repeat in range(repeats):
        if repeat % 2:
            second = ours()
            measured.append((theirs(), second))
        else:
            measured.append((theirs(), ours()))
    return measured


def report(name: str, pairs: Timed, each: int = 0) -> None:
    """Print one line: seconds, or milliseconds per query of `each` queries."""
    ratios = sorted(theirs / ours for theirs, ours in pairs)
    middle = statistics.median(ratios)
    shown = [statistics.median(column) for column in zip(*pairs, strict=True)]
    if each:
        shown = [1e3 * value / each for value in shown]
    numbers = "".join(f"{value:>12.4f}" for value in shown)
    spread = f"({times(ratios[0])} to {times(ratios[-1])})"
    faster = "  LLMRouter is faster" if ratios[-1] < 1 else ""
    unit = "ms" if each else "s "
    print(f"  {name:<38}{numbers} {unit}{times(middle):>8} × {spread}{faster}", flush=True)


def times(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2f}"


def compare(method: Method, data: Data, repeats: int, folder: Path) -> None:
    peer = Peer(data, *method.counterpart, folder)
    train, held_out = data.table(range(QUERIES)), data.table(range(QUERIES, QUERIES + VALIDATION))
    ready = Ready(data.vectors)
    print(method.title)

    def fits(options: dict[str, Any], config: dict[str, Any]) -> tuple[list[Fitted], Any, Timed]:
        fitted: list[Fitted] = []

        def theirs() -> float:
            fitted.append(peer.fit(config))
            return fitted[-1].prepared + fitted[-1].trained

        fit = functools.partial(method.fit, options, train, held_out, ready)
        return fitted, fit(), paired(theirs, lambda: seconds(fit), repeats)

    peer.fit(method.their_same)  # Not timed, as is our first: libraries import on first use.
    fitted, router, pairs = fits(method.same, method.their_same)
    report("fit, same work", pairs)
    trained = [(one.trained, ours) for one, (_, ours) in zip(fitted, pairs, strict=True)]
    report("fit, theirs: train() alone", trained)
    by_default, default, pairs = fits(method.default, method.their_default)
    report("fit, defaults of each", pairs)
    peer.store(fitted[-1])
    routes(peer, fitted[-1].router, router, repeats)
    print_scores("same work", peer, fitted[-1], router, data)
    print_scores("defaults", peer, by_default[-1], default, data)


def routes(peer: Peer, theirs: Any, ours: Any, repeats: int) -> None:
    asked, whole = [{"query": str(row)} for row in ASKED], queries(ASKED)
    singles = [queries([row]) for row in ASKED[:SINGLE]]

    def one_by_one(in_memory: bool) -> Timed:
        return paired(
            lambda: seconds(lambda: peer.single(theirs, asked[:SINGLE], in_memory)),
            lambda: seconds(lambda: [ours.route(query) for query in singles]),
            repeats,
        )

    batch = paired(
        lambda: seconds(lambda: peer.batch(theirs, asked)),
        lambda: seconds(lambda: ours.route(whole)),
        repeats,
    )
    report(f"route, a batch of {TEST:,}, per query", batch, TEST)
    report("route, one by one", one_by_one(False), SINGLE)
    report("route, one by one, model in memory", one_by_one(True), SINGLE)


def print_scores(name: str, peer: Peer, theirs: Fitted, ours: Any, data: Data) -> None:
    peer.store(theirs)
    names = peer.batch(theirs.router, [{"query": str(row)} for row in ASKED])
    choices = [[NAMES.index(name) for name in names], ours.route(queries(ASKED)).choice]
    reached = [data.score[ASKED, choice].mean() for choice in choices]
    print(f"  {f'score, {name}':<38}" + "".join(f"{score:>12.3f}" for score in reached))


def installed() -> str:
    """Return the version of LLMRouter; end with one line that says how to get it."""
    try:
        version = importlib.metadata.version("llmrouter-lib")
    except importlib.metadata.PackageNotFoundError:
        sys.exit(f"LLMRouter is not installed: {INSTALL}")
    try:
        importlib.import_module("llmrouter.models")
    except ImportError as error:
        sys.exit(
            f"LLMRouter {version} cannot be imported ({error}): pip install -e '.[hf]' && {INSTALL}"
        )
    return version


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5, help="paired repeats (5)")
    parser.add_argument("--only", help="one router: mf, knn, hybrid-probabilistic")
    arguments = parser.parse_args()
    version = installed()
    import torch

    torch.set_num_threads(1)
    data = Data.drawn()
    score = data.score[ASKED]
    print(
        f"LLMRouter {version}{'' if version == VERSION else f', written for {VERSION}'}; "
        f"{QUERIES:,} queries × {MODELS} models, vectors of {WIDTH}, one thread; "
        f"median of {arguments.repeats} (lowest to highest ratio)\n"
        f"test scores: best single model {score.mean(axis=0).max():.3f}, "
        f"oracle {score.max(axis=1).mean():.3f}\n"
        f"  {'':<38}{'LLMRouter':>12}{'RouteBench':>12}    theirs / ours"
    )
    with threadpool_limits(1), tempfile.TemporaryDirectory() as folder:
        for method in methods():
            if arguments.only in (None, method.title):
                compare(method, data, arguments.repeats, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())

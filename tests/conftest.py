"""Tables, runs and the command, as the tests need them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

# Tests run side by side: threads of libraries would only take the cores from one another.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # before NumPy reads them
    os.environ.setdefault(name, "1")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from routebench.data.splits import TEST, TRAIN, VALIDATION, make_split
from routebench.jobs.setup import Job, Setup
from routebench.jobs.stages import run_here
from routebench.plugin import discovery
from routebench.records import Outcomes, Pool, Queries, State, SuiteData, Table

SHARED = Path(__file__).parents[2] / "shared" / "data"


LONG = (
    "test_causal_lm.py",
    "test_policy_router.py",
    "test_run.py",
    "test_firewall.py",
    "test_collect_server.py",
    "test_check_router.py",
    "test_personalized.py",
    "test_duplicates.py",
    "test_hybrid.py",
    "test_verify.py",
    "test_precompute.py",
    "test_perturbations.py",
)
"""Files that take longest; they start first, so that no process is left alone with one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of long files first, the others in their order."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Pass over files without a slow test for `-m slow`: each process would import all of them."""
    slow_alone = config.getoption("markexpr") == "slow"
    if slow_alone and collection_path.is_file() and "mark.slow" not in collection_path.read_text():
        return True
    return None


@pytest.fixture(autouse=True, scope="session")
def no_answers_of_ones_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test sees the store that whoever runs it has collected; commands inherit this."""
    os.environ["ROUTEBENCH_DATA"] = str(tmp_path_factory.mktemp("nothing collected"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Recorded outcomes of real models, where they lie beside the project."""
    if not SHARED.is_dir():
        pytest.skip("no shared/data beside the project")
    return SHARED


def long_table(scores: Any, texts: list[str], **columns: Any) -> pa.Table:
    """Scores [n, m] as a long table of queries q0 … and models a, b, …"""
    n, m = np.shape(scores)
    base = {
        "query_id": np.repeat([f"q{i}" for i in range(n)], m),
        "query": np.repeat(np.array(texts, dtype=object), m),
        "model": np.tile([chr(97 + j) for j in range(m)], n),
        "score": np.asarray(scores, dtype=float).reshape(-1),
    }
    per_query = {name: np.repeat(np.array(v, dtype=object), m) for name, v in columns.items()}
    return pa.table(base | per_query)


def noise(n: int = 300, m: int = 4, seed: int = 0) -> pa.Table:
    """Coin flips: nothing in the text tells which model is right."""
    rng = np.random.default_rng(seed)
    words = np.array(
        ["red", "green", "blue", "small", "large", "old", "new", "north", "south", "east", "west"]
    )
    texts = [" ".join(rng.choice(words, 6)) + f" {rng.integers(10**9)}" for _ in range(n)]
    return long_table(rng.random((n, m)) < 0.5, texts)


def planted(n: int = 300, seed: int = 0, hit: float = 0.95, miss: float = 0.2) -> pa.Table:
    """Four topics named in the text; model j is right on topic j, and seldom elsewhere."""
    rng = np.random.default_rng(seed)
    topics = ["algebra equation", "poem verse", "python function", "river capital"]
    kind = rng.integers(4, size=n)
    texts = [f"{topics[k]} number {rng.integers(10**9)}" for k in kind]
    right = np.where(kind[:, None] == np.arange(4), hit, miss)
    return long_table(rng.random((n, 4)) < right, texts, task=[topics[k] for k in kind])


HARDLY_TRAINED = tuple(
    word
    for name, options in {
        "causal-lm": ("pretrain_epochs=0", "num_epochs=1", "hidden_size=8", "vocabulary=300"),
        "policy": (
            *("pretrain_epochs=0", "num_epochs=1", "hidden_size=8", "vocabulary=300"),
            *("reasons=false", "dpo_epochs=0"),
        ),
    }.items()
    for option in options
    for word in ("--set", f"{name}.{option}")
)
"""For runs of all routers: a language model trained as usual takes a minute per job."""


CHEAP = {"best-single", "cheapest", "knn", "linear", "most-expensive", "random", "task-prior"}
"""Routers that are trained in no time."""

SMALLER = ("--set", "tfidf-svd.dimension=8")
"""For runs of the command: with so few dimensions routers learn in no time."""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[pa.Table], Path]:
    """Put a table into a Parquet file of its own folder."""

    def put(table: pa.Table, name: str = "outcomes.parquet") -> Path:
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        pq.write_table(table, folder / name)
        return folder / name

    return put


@pytest.fixture
def cli(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the real command in an empty folder, its jobs in processes of their own."""

    def call(*words: Any, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return real(*words, cwd=cwd or tmp_path)

    return call


def real(*words: Any, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the real command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "routebench", *map(str, _hardly_trained(words))],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
    )


def _hardly_trained(words: tuple[Any, ...]) -> tuple[Any, ...]:
    """Add options for language models to a run of all routers."""
    everything = words[:1] == ("run",) and not {"--router", "--file"} & set(words)
    return words + HARDLY_TRAINED if everything else words


@pytest.fixture
def board(
    main: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """Run the command and its jobs in this process, and read the board it wrote."""

    def call(*words: Any, out: Path | None = None, rc: int = 0) -> dict[str, Any]:
        folder = out or tmp_path / "out"
        every = _hardly_trained(("run", "--out", folder, "--quiet", *words))
        code, printed, said = main(*every, cwd=tmp_path)
        assert code == rc, printed + said
        return read_board(folder)

    return call


@pytest.fixture
def real_board(
    cli: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """Run the real command and read the board it wrote."""

    def call(*words: Any, out: Path | None = None, rc: int = 0) -> dict[str, Any]:
        folder = out or tmp_path / "out"
        done = cli("run", "--out", folder, "--quiet", *words)
        assert done.returncode == rc, done.stdout + done.stderr
        return read_board(folder)

    return call


def read_board(folder: Path) -> dict[str, Any]:
    """Read a run's leaderboard."""
    content: dict[str, Any] = json.loads((folder / "leaderboard.json").read_text())
    return content


@pytest.fixture
def only_cheap_routers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave none but routers that take no time for runs of all in this process."""
    installed = discovery.installed

    def cheap(kind: str | None = None) -> list[discovery.PluginInfo]:
        return [i for i in installed(kind) if i.kind != "router" or i.name in CHEAP]

    monkeypatch.setattr(discovery, "installed", cheap)


def rows(board: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The board's rows by router."""
    return {row["router"]: row for row in board["rows"]}


@pytest.fixture
def main(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """The command's `main` in this process, in an empty folder: exit code, stdout, stderr.

    Jobs of runs are carried out in this process, too.
    """
    from runs import in_process

    from routebench.__main__ import main as command

    in_process(monkeypatch)

    def call(*words: Any, cwd: Path | None = None) -> tuple[int, str, str]:
        here = cwd or tmp_path / "here"
        here.mkdir(exist_ok=True)
        monkeypatch.chdir(here)
        monkeypatch.setattr(sys, "argv", ["routebench", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            command()
        out, err = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return code, out, err

    return call


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Make an importable distribution of one module; found here and by the commands run here."""
    site = tmp_path / "site"
    before = set(sys.modules)

    def make(
        name: str, plugins: str, source: str, requires: Sequence[str] = (), version: str = "1.2"
    ) -> Path:
        """`plugins` as in entry_points.txt; the module is named like the distribution."""
        module = name.replace("-", "_")
        dist = site / f"{module}-{version}.dist-info"
        dist.mkdir(parents=True)
        facts = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        facts += [f"Requires-Dist: {each}" for each in requires]
        (dist / "METADATA").write_text("\n".join(facts) + "\n")
        (dist / "entry_points.txt").write_text(plugins)
        (site / f"{module}.py").write_text(source)
        if str(site) not in sys.path:
            monkeypatch.syspath_prepend(site)
            monkeypatch.setenv("PYTHONPATH", str(site))
        discovery._of_kind.cache_clear()
        return site / f"{module}.py"

    yield make
    for name in set(sys.modules) - before:
        if str(site) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    discovery._of_kind.cache_clear()


def small_table(
    score: Any, texts: Sequence[str] | None = None, cost: Any = None, **pool: Any
) -> Table:
    """Scores [n, m] of models a, b, … as routers see them; NaN for a missing cell."""
    scores = np.array(score, dtype=float)
    n, m = scores.shape
    state = np.where(np.isnan(scores), State.ABSENT, State.OK).astype(np.int8)
    costs = None if cost is None else np.broadcast_to(np.array(cost, dtype=float), (n, m)).copy()
    names = np.array(texts or [f"query {i}" for i in range(n)], dtype=object)
    models = tuple(chr(97 + j) for j in range(m))
    return Table(Queries(names), Outcomes(scores, state, costs), Pool(models, **pool))


def recovered(name: str, data: SuiteData, seed: int = 0, **options: Any) -> float:
    """Share of the gap between best single and oracle that a router closes on a hash split."""
    split = make_split(data)
    setup = Setup(data, split, "tfidf-svd", {"dimension": 32})
    job = Job(name, discovery.find("router", name), options, seed, 0, "")
    result = run_here(job, setup, lambda done, note="": None)
    assert result.decisions is not None
    known = np.flatnonzero(np.isin(split.codes[0], (TRAIN, VALIDATION)))
    test = data.outcomes.score[setup.rows(0, TEST)]
    single = test[:, data.outcomes.take(known).mean_score().argmax()].mean()
    reached = test[np.arange(len(test)), result.decisions.choice].mean()
    return float((reached - single) / (test.max(axis=1).mean() - single))


def hears_ctrl_c() -> None:
    """Tests that are started in the background of a shell inherit a deaf ear."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)

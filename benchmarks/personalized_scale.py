"""Many users: seconds per epoch and peak memory of `personalized`, and of a plain expanded graph.

    python benchmarks/personalized_scale.py [--users 1000] [--expanded-users 1000]

Loads the embedded set of that many users, fits 10 epochs of one network, and times one gradient
step of the same network on a graph with an edge for every interaction of a user with a model, which
is how the product of users and queries is usually written down. Each in a process of its own, so
that peaks are its own; one thread each.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--expanded-users", type=int, help="fewer, where memory is short")
    parser.add_argument("--only", choices=["ours", "expanded"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps((ours if options.only == "ours" else expanded)(options.users)))
        return
    print(f"{'':28} users   s/epoch   s/step  peak MiB   load s")
    one = measured("ours", options.users)
    show("personalized, 10 epochs", options.users, one)
    count = options.expanded_users or options.users
    other = measured("expanded", count)
    show("expanded graph, one step", count, other)
    if count != options.users:
        one = measured("ours", count)
        show("personalized, 10 epochs", count, one)
    print(f"ratio per step: {other['step'] / one['step']:.1f}")


def measured(name: str, users: int) -> dict[str, float]:
    alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    words = [sys.executable, __file__, "--only", name, "--users", str(users)]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | alone)
    if done.returncode:
        raise SystemExit(f"{name}, {users} users: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def show(name: str, users: int, found: dict[str, float]) -> None:
    print(
        f"{name:28} {users:5} {found['epoch']:9.2f} {found['step']:8.2f} {found['peak']:9.0f}"
        f" {found['load']:8.2f}"
    )


def parts(users: int) -> tuple[Any, Any, float]:
    """Train and validation as the router makes them from the embedded set."""
    from routebench.data.splits import TRAIN, VALIDATION, make_split
    from routebench.encode import encoders
    from routebench.hookspecs import Context
    from routebench_routers.personalized.router import PersonalizedRouter, Settings
    from routebench_suites.personaroute.suite import PersonaRoute

    start = time.perf_counter()
    data = PersonaRoute(PersonaRoute.Options(data=str(users))).load()
    loaded = time.perf_counter() - start
    codes = make_split(data).codes[0]
    train, validation = (data.table(codes == code) for code in (TRAIN, VALIDATION))
    router = PersonalizedRouter(Settings())
    encoder = encoders.FittedOnUse("tfidf-svd", {}, list(train.queries.text))
    router.encoder = Context(0, encoder, Path()).encoder
    assert train.queries.task is not None
    router.tasks = {task: at for at, task in enumerate(sorted(set(train.queries.task)))}
    assert train.users is not None
    made = [router._training(table, train.users) for table in (train, validation)]
    return made[0], made[1], loaded


def ours(users: int) -> dict[str, float]:
    from routebench_routers.personalized import graph
    from routebench_routers.personalized.router import Settings

    train, validation, loaded = parts(users)
    marks = [time.perf_counter()]
    options = Settings(members=1, train_epoch=10, patience=None)
    graph.fit(train, validation, options, progress=lambda *_: marks.append(time.perf_counter()))
    epoch = float(np.median(np.diff(marks)))
    return {"epoch": epoch, "step": epoch / 3, "peak": peak(), "load": loaded}


def expanded(users: int) -> dict[str, float]:
    import torch

    from routebench_routers.personalized import graph, interactions
    from routebench_routers.personalized.router import Settings

    train, validation, loaded = parts(users)
    aggregated = interactions.build

    def build(data: Any, *rest: Any) -> Any:
        made = aggregated(data, *rest)
        rows, everyone = rest[3], rest[4]
        rewards = data.rewards(rows, everyone)
        ends = torch.ones_like(rewards).nonzero().T[[0, 2]]
        told = torch.stack([rewards.flatten(), torch.ones(rewards.numel())], 1)
        for kind, index in (
            (("user", "prefers", "llm"), ends),
            (("llm", "rev_prefers", "user"), ends.flip(0)),
        ):
            made[kind].edge_index, made[kind].edge_attr = index, told
        return made

    graph.build = build
    options = Settings(members=1, user_sample=users)
    fit = graph.Fit(train, validation, options, 0, "cpu", None, None)
    fit.model.worth = fit._worth(fit.everything, fit.everyone)
    fit._tune()
    tasks = len(fit.model.edges.table)
    kinds = interactions.directed(fit.data.family)
    network = graph.GraphNetwork(options, fit.inputs.shape[1], tasks, fit.llms, 0, kinds)
    hidden = int(0.3 * len(fit.everything))
    start = time.perf_counter()
    fit._loss(network, fit.everything[hidden:], fit.everything[:hidden]).backward()
    step = time.perf_counter() - start
    return {"epoch": 3 * step, "step": step, "peak": peak(), "load": loaded}


def peak() -> float:
    """MiB this process has ever held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()

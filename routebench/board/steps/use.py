"""Whom routers that see answers ask: calls, first asked, and the commonest ways to an answer."""

from __future__ import annotations

from collections import Counter

import numpy as np

from routebench.metrics.setting import RouterChoices, Setting
from routebench.schema import StepPath, StepUse

PATHS = 12
"""The most common ways that are listed."""


def step_use(setting: Setting, one: RouterChoices) -> StepUse:
    """Return shares over the scored queries and seeds; `setting` and `one` hold these alone."""
    assert one.asked is not None, "a router that sees answers has asked for them"
    models = setting.pool.models
    asked = one.asked.reshape(-1, len(models))
    choice = one.choice.reshape(-1)
    score = np.tile(setting.outcomes.score, (len(one.choice), 1))[np.arange(len(choice)), choice]
    calls, rounds = (asked > 0).sum(axis=1), asked.max(axis=1)
    n = len(choice)
    ways: Counter[bytes] = Counter()
    right: Counter[bytes] = Counter()
    for row in range(n):
        way = asked[row].tobytes() + choice[row].tobytes()
        ways[way] += 1
        right[way] += score[row]
    paths = []
    for way, count in sorted(ways.items(), key=lambda item: (-item[1], item[0]))[:PATHS]:
        codes = np.frombuffer(way[: len(models)], dtype=np.int8)
        paths.append(
            StepPath(
                asked=[
                    [models[at] for at in np.flatnonzero(codes == each)]
                    for each in range(1, int(codes.max()) + 1)
                ],
                answer=models[int(np.frombuffer(way[len(models) :], dtype=np.int64)[0])],
                share=count / n,
                accuracy=right[way] / count,
            )
        )
    return StepUse(
        calls={str(k): float((calls == k).mean()) for k in np.unique(calls)},
        rounds={str(k): float((rounds == k).mean()) for k in np.unique(rounds)},
        asked={
            model: float(share)
            for model, share in zip(models, (asked > 0).mean(axis=0), strict=True)
        },
        paths=paths,
    )

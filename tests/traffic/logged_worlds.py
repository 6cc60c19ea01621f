"""Logs made of known worlds: what each model is worth, and how the logger chose."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MODELS = ("large", "mid", "small")
WORTH = (0.8, 0.7, 0.6)


@dataclass
class World:
    """Requests to three models, chosen with known probabilities."""

    n: int = 6_000
    probabilities: Sequence[float] = (0.8, 0.1, 0.1)
    seed: int = 0

    def records(self) -> list[dict[str, Any]]:
        """Return a record per request, in the fields of the table of events."""
        rng = np.random.default_rng(self.seed)
        chosen = rng.choice(3, self.n, p=self.probabilities)
        reward = rng.random(self.n) < np.array(WORTH)[chosen]
        return [
            {
                "event": f"e{i}",
                "time": 1_772_000_000 + 400 * i,
                "session": f"s{i // 3}",
                "query": f"question {i}",
                "task": "ab"[i % 2],
                "chosen": MODELS[a],
                "candidates": list(MODELS),
                "probabilities": list(self.probabilities),
                "propensity": self.probabilities[a],
                "reward": float(y),
                "input_tokens": 100,
                "output_tokens": 50 * (a + 1),
                "cost_usd": (0.003, 0.002, 0.001)[a],
            }
            for i, (a, y) in enumerate(zip(chosen.tolist(), reward.tolist(), strict=True))
        ]


def write(path: Path, records: Sequence[dict[str, Any]]) -> Path:
    """Write records as JSON lines."""
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def events(folder: Path, records: Sequence[dict[str, Any]]) -> Path:
    """Return the table of events of records, imported by the names of their fields."""
    from routebench.traffic.logs.importing import import_logs

    names = dict.fromkeys(name for one in records for name in one)
    out = folder / "events.parquet"
    import_logs([write(folder / "log.jsonl", records)], out, mapping={n: n for n in names})
    return out

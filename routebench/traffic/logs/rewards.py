"""Rewards that came after the log: files of event and reward, joined to events by their id."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from routebench.errors import DataError
from routebench.traffic.logs.records import records
from routebench.traffic.logs.values import count, moment, text


class Rewards:
    """Rewards by event."""

    def __init__(self) -> None:
        self._by: dict[str, tuple[float, str | None, Any]] = {}
        self.found = 0
        """How many have found their event."""

    def __len__(self) -> int:
        return len(self._by)

    def add(self, event: str, reward: float, source: str | None, at: Any) -> None:
        """Add the reward of an event; a later one replaces it."""
        self._by[event] = (reward, source, at)

    def of(self, event: str | None, top: float = 1.0) -> dict[str, Any]:
        """Return the reward columns of an event; empty where none came."""
        known = self._by.get(event) if event is not None else None
        if known is None:
            return {}
        self.found += 1
        reward, source, at = known
        return {"reward": reward / top, "reward_source": source, "reward_time": at}


def read_rewards(paths: Sequence[Path]) -> Rewards:
    """Read files with the columns event and reward, and optionally source and time."""
    rewards = Rewards()
    for path in paths:
        for place, record in records(path):
            event, reward = text(record.get("event")), count(record.get("reward"))
            if event is None:
                raise DataError(f"{place}: no event", "columns: event, reward, source, time")
            if reward is None:
                if record.get("reward") in (None, ""):
                    continue  # unknown
                raise DataError(f"{place}: the reward {record['reward']!r} is no number")
            at = moment(record.get("time"), place)
            rewards.add(event, reward, text(record.get("source")) or path.name, at)
    return rewards

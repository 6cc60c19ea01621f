"""The log of requests, as off-policy evaluation reads it: one JSON object a line."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from routebench.errors import OptionError
from routebench.files import reason
from routebench.serve.api_errors import Hidden

VERSION = 1


@dataclass(slots=True)
class ServedEvent:
    """All that is logged of one request."""

    id: str
    requested: str
    """The model that the client named."""
    session: str | None
    stream: bool
    point: str | None = None
    started: float = field(default_factory=time.perf_counter)
    at: float = field(default_factory=time.time)
    chosen: str | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    greedy: str | None = None
    """What the router would have chosen without exploration."""
    explored: bool = False
    quality: Mapping[str, float] = field(default_factory=dict)
    confidence: float | None = None
    policy: str | None = None
    reason: str = ""
    route_seconds: float = 0.0
    answered_by: str | None = None
    calls: list[dict[str, Any]] = field(default_factory=list)
    tokens: Mapping[str, int] = field(default_factory=dict)
    usd: float = 0.0
    """NaN where the cost of a call is not known."""
    first_seconds: float | None = None
    """Until the first event of a stream."""
    status: int = 0
    error: str | None = None
    messages: Any = None
    answer: Any = None
    finished: bool = False
    seconds: float = 0.0
    """Measures from the request's head to the answer's end."""

    @property
    def fallbacks(self) -> list[str]:
        """Return the models that were asked in vain, or did not fit into the budget."""
        lost = (call["model"] for call in self.calls if call["error"] is not None)
        return [model for model in dict.fromkeys(lost) if model != self.answered_by]

    def to_json(self, policy_version: str, texts: bool) -> dict[str, Any]:
        """Return the event as it is logged; messages and answer with `texts` alone."""
        told: dict[str, Any] = {
            "version": VERSION,
            "event": self.id,
            "time": datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds"),
            "policy_version": policy_version,
            "requested": self.requested,
            "point": self.point,
            "session": self.session,
            "stream": self.stream,
            "candidates": list(self.probabilities),
            "probabilities": list(self.probabilities.values()),
            "chosen": self.chosen,
            "propensity": self.probabilities.get(self.chosen) if self.chosen else None,
            "greedy": self.greedy,
            "explored": self.explored,
            "quality": dict(self.quality),
            "confidence": self.confidence,
            "policy": self.policy,
            "reason": self.reason,
            "answered_by": self.answered_by,
            "fallbacks": self.fallbacks,
            "calls": self.calls,
            "tokens": dict(self.tokens),
            "cost_usd": None if math.isnan(self.usd) else self.usd,
            "latency_s": round(self.seconds, 6),
            "first_s": self.first_seconds,
            "route_s": self.route_seconds,
            "status": self.status,
            "error": self.error,
        }
        if texts:
            told |= {"messages": self.messages, "answer": self.answer}
        return told


class EventLog:
    """Appends events to a file, in whole lines: those of a moment together."""

    def __init__(self, place: Path, hidden: Hidden, policy_version: str, texts: bool) -> None:
        self._hidden, self._version, self.texts = hidden, policy_version, texts
        self.failures = 0
        """Events that could not be written."""
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = place.open("a", encoding="utf-8")
        except OSError as error:
            raise OptionError(f"--log {place}: {reason(error)}") from error

    def write(self, events: Iterable[ServedEvent]) -> None:
        """Append events; a full disk loses events, never answers."""
        lines = [self._line(event) for event in events]
        try:
            self._file.write("".join(lines))
            self._file.flush()
        except OSError as error:
            if not self.failures:
                print(f"warning: --log: {reason(error)}", file=sys.stderr)  # noqa: T201
            self.failures += len(lines)

    def _line(self, event: ServedEvent) -> str:
        told = event.to_json(self._version, self.texts)
        return self._hidden.text(json.dumps(told, separators=(",", ":"))) + "\n"

    def close(self) -> None:
        """Close the file."""
        self._file.close()

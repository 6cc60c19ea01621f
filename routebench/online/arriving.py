"""From a loaded suite to the stream of an online run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from routebench.config import RunConfig
from routebench.data.splits import Split, make_split
from routebench.errors import OptionError
from routebench.online.settings import SHARES, StreamSettings
from routebench.online.stream import (
    Arrivals,
    Stream,
    arrivals,
    complete,
    continued,
    make_stream,
    swapped,
)
from routebench.records import SuiteData


@dataclass(frozen=True)
class Arriving:
    """A suite whose test queries arrive one after the other, before it is priced."""

    data: SuiteData
    """With what drifts: its cells are those that will be revealed."""
    split: Split
    at: Arrivals
    settings: StreamSettings

    @classmethod
    def of(cls, config: RunConfig, data: SuiteData, load: Callable[[RunConfig], SuiteData]) -> Self:
        """Split a suite and let it drift; `load` reads a later table like the first.

        Raises:
            OptionError: the suite has users, or no cells that could be exchanged.
        """
        if data.users is not None:
            raise OptionError("--protocol online: this suite has users", "--protocol query")
        settings = StreamSettings.of(config.online)
        split = make_split(data, config.split, None, config.split_seed, SHARES, "online")
        at = arrivals(data, split, settings, config.split_seed)
        if settings.swap is not None:
            data = swapped(data, at, settings.swap)
        if settings.later is not None:
            second = config.model_copy(update={"suite": config.suite_name, "data": settings.later})
            later = load(second)
            data = continued(data, later, at)
            data = replace(data, files=(*data.files, *later.files))
        return cls(data, split, at, settings)

    def stream(self, priced: SuiteData, seeds: int) -> tuple[SuiteData, Split, Stream]:
        """Return the priced suite, the split and the stream, without queries that lack a cell."""
        if self.settings.trade_off and priced.outcomes.cost is None:
            raise OptionError("--online trade_off: this run has no costs", "--prices FILE")
        split, gone = complete(priced, self.split)
        if gone:
            note = f"{gone:,} queries do not arrive: some model has no usable answer to them"
            priced = replace(priced, notes=(*priced.notes, note))
        return priced, split, make_stream(split, self.at, self.settings, seeds)

"""Hashes of a run: what decides whether boards may be compared, and which jobs are done already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from routebench.config import RunConfig
from routebench.data.fingerprints import outcomes_fingerprint, pool_fingerprint, suite_fingerprint
from routebench.data.splits import Split
from routebench.encode.encoded import EncoderInfo
from routebench.jobs import arrow_io
from routebench.jobs.entrant import Entrant, digest
from routebench.online.settings import StreamSettings
from routebench.plugin import discovery
from routebench.plugin.extensions import Extension, Extensions
from routebench.prices.apply import PriceInfo
from routebench.records import SuiteData
from routebench.schema import Fingerprints


def fingerprints(
    config: RunConfig,
    data: SuiteData,
    split: Split,
    prices: PriceInfo,
    extensions: Extensions,
) -> Fingerprints:
    """Return the hashes that decide whether two boards may be compared.

    `data` is the suite before it was priced.
    """
    judge = ["judge", data.judge or "recorded", config.set.get(data.judge or "")]
    if data.judge and (around := extensions.around("judge")):
        judge.append({name: one.options for name, one in around.items()})
    return Fingerprints(
        suite=suite_fingerprint(data),
        split=split.fingerprint,
        outcomes=outcomes_fingerprint(data),
        judge=digest(judge),
        pool=pool_fingerprint(data),
        prices=prices.fingerprint,
    )


def dependencies(
    config: RunConfig,
    data: SuiteData,
    prints: Fingerprints,
    encoder: EncoderInfo,
    around: Mapping[str, Extension],
) -> dict[str, Any]:
    """Return the inputs of every router's decisions, besides its own options and code."""
    extensions = {name: one.options for name, one in around.items()}
    seen: dict[str, Any] = {}
    if data.training_only:
        seen["training_only"] = sorted(data.training_only)
    if config.protocol == "online":
        seen["online"] = StreamSettings.of(config.online).model_dump(exclude={"later"})
    return (
        ({"extensions": extensions} if extensions else {})
        | seen
        | {
            "fingerprints": prints.model_dump(),
            "pool": arrow_io.pool_to_json(data.pool),
            "shown": sorted(data.visible),
            "encoder": encoder.identity,
            "perturbed": config.perturb,
            "shots": config.shots,
            "objective": config.objective,
            "device": config.device,
        }
    )


def code(encoder: EncoderInfo, around: Mapping[str, Extension]) -> dict[str, Any]:
    """Return hashes of the code, besides a router's own, that finished jobs depend on."""
    extensions = {name: discovery.code_hash(one.info) for name, one in around.items()}
    return {"encoder code": discovery.code_hash(encoder.plugin)} | (
        {"extension code": extensions} if extensions else {}
    )


def run_hash(config: RunConfig, shared: dict[str, Any], entrants: list[Entrant]) -> str:
    """Return 12 hex digits over all that decides the numbers: no paths, no code versions."""
    routers: list[Any] = [[e.label, e.options] for e in entrants]
    if any(entrant.steps for entrant in entrants):
        routers.append(config.answers_as)
    if config.inner_folds is not None:
        routers.append({"inner folds": config.inner_folds})
    return digest([shared, routers, config.seeds, config.max_missing], 12)

"""The conformance suite: built-in routers pass it, and every check catches its own mistake."""

from __future__ import annotations

import copy
import functools
import subprocess
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from broken_checkpoints import Pickles
from broken_contracts import CrashesInFit, MisnamedHook
from broken_routers import BROKEN
from broken_routing import LooksAtTheBatch, WantsPrices, WantsTasks
from failures import failures
from sound_router import CLOCK, Sound
from test_check_online import FAULTS as ONLINE_FAULTS
from test_check_steppers import FAULTS

from routebench.plugin.described import family
from routebench.plugin.discovery import installed, load
from routebench.testing import (
    PluginCheck,
    Tables,
    check_router,
    contract,
    parametrize_with_checks,
    router_checks,
    subject,
    synthetic_tables,
)
from routebench.testing.conformance import CHECKS

OWN = [info for info in installed("router") if info.distribution == "routebench"]
# Graphs and language models are trained for long by default: briefly in their own tests.
LONG = {"personalized", "causal-lm", "policy"}
NETWORKS = {"mf", "hybrid-deterministic", "hybrid-probabilistic", "hybrid-transformed"}
NETWORKS |= {info.name for info in OWN if family(info) == "published"}
"""Their own tests train small ones too."""
READY = {info.name: load(info) for info in OWN if info.ready and info.name not in LONG}


@parametrize_with_checks([router for name, router in READY.items() if name not in NETWORKS])
def test_built_in_routers_conform(check: PluginCheck) -> None:
    check()


@pytest.mark.slow
@parametrize_with_checks([router for name, router in READY.items() if name in NETWORKS])
def test_built_in_networks_conform(check: PluginCheck) -> None:
    check()


@functools.cache
def _tables(sizes: tuple[int, ...], settings: tuple[tuple[str, Any], ...]) -> Tables:
    return synthetic_tables(*sizes, **dict(settings))


@pytest.fixture(autouse=True, scope="module")
def made_once() -> Iterator[None]:
    """Make tables of a kind once: hundreds of checks get copies of them."""

    def copied(*sizes: int, **settings: Any) -> Tables:
        return copy.deepcopy(_tables(sizes, tuple(sorted(settings.items()))))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subject, "synthetic_tables", copied)
        yield


def test_a_sound_router_passes() -> None:
    check_router(Sound)
    check_router(Sound, {"floor": 0.5})


@pytest.mark.usefixtures("in_tmp")
@pytest.mark.parametrize("router", BROKEN)
def test_broken_router_fails_its_check_and_no_other(router: Any) -> None:
    assert list(failures(router_checks(router))) == [router.broken]


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder, on a clock that only a router moves on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(contract, "time", SimpleNamespace(perf_counter=lambda: CLOCK.seconds))


def test_no_check_is_without_a_router_that_breaks_it() -> None:
    broken = {router.broken for router in BROKEN} | {
        router.fault[0] for router in (*FAULTS, *ONLINE_FAULTS)
    }
    assert broken == {check.name for check in CHECKS}


def test_message_says_what_was_expected_seen_and_to_do() -> None:
    with pytest.raises(AssertionError) as caught:
        check_router(LooksAtTheBatch)
    expected = (
        "LooksAtTheBatch breaks check_batch_equals_single\n"
        "  expected: the same choice for a query in a batch and alone\n"
        "  seen: "
    )
    assert str(caught.value).startswith(expected)
    assert "hint: compute nothing over the batch" in str(caught.value)


def test_crash_is_placed_in_the_routers_file() -> None:
    with pytest.raises(
        AssertionError, match=r"ZeroDivisionError: by design \(broken_contracts"
    ) as e:
        check_router(CrashesInFit)
    assert isinstance(e.value.__cause__, ZeroDivisionError)


def test_all_broken_rules_are_told_at_once() -> None:
    class Twice(WantsTasks):
        save = Pickles.save
        load = Pickles.load

    with pytest.raises(AssertionError) as caught:
        check_router(Twice)
    assert "breaks check_text_only" in str(caught.value)
    assert "breaks check_no_pickle" in str(caught.value)


def test_needs_turns_a_failure_into_a_skip() -> None:
    class SaysSo(WantsPrices):
        def needs(self, pool: Any, shown: Any, priced: bool) -> str | None:
            return None if priced else "needs prices"

    check_router(SaysSo)
    (check,) = [c for c in router_checks(SaysSo) if c.name == "check_unpriced"]
    with pytest.raises(unittest.SkipTest, match="needs prices"):
        check()


def test_checks_that_build_on_a_broken_one_name_it() -> None:
    (check,) = [c for c in router_checks(MisnamedHook) if c.name == "check_save_and_load"]
    with pytest.raises(unittest.SkipTest, match="until check_hooks passes"):
        check()


def test_wrong_option_is_named() -> None:
    with pytest.raises(AssertionError, match="Sound has no option 'flor'"):
        check_router(Sound, {"flor": 1})


def test_synthetic_signal_can_be_learned() -> None:
    score = synthetic_tables(40, 20, 400).test.outcomes.score
    assert score.max(axis=1).mean() > score.mean(axis=0).max() + 0.2


def test_pytest_is_not_needed() -> None:
    code = "import sys, routebench.testing; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""The pytest fixture `routebench_gate`: a router's repository gates inside its own tests.

Loaded by pytest wherever RouteBench is installed, so nothing is imported before it is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from routebench.board.gate_schema import GateResult

_PathLike = str | os.PathLike[str]


@pytest.fixture(scope="session")
def routebench_gate() -> Callable[..., GateResult]:
    """Compare two runs; the test fails with the gate's table where the command would.

    `routebench_gate(baseline, candidate, rules="gate.toml", inconclusive="pass")`: the rules
    are a file, and any of its keys by name, which win over it. Returns the result.
    """

    def check(
        baseline: _PathLike, candidate: _PathLike, rules: _PathLike | None = None, **given: Any
    ) -> GateResult:
        __tracebackhide__ = True
        from routebench.board import gating
        from routebench.board import rules as gate_rules
        from routebench.errors import RoutebenchError

        try:
            values = gate_rules.read(Path(rules)) if rules else {}
            made = gate_rules.make(values | given, str(rules or "routebench_gate"))
            result = gating.gate(Path(baseline), Path(candidate), made)
        except RoutebenchError as error:
            pytest.fail("\n".join(filter(None, [error.message, error.hint])), pytrace=False)
        if result.exit_code:
            pytest.fail(_table(result), pytrace=False)
        return result

    return check


def _table(result: GateResult) -> str:
    from io import StringIO

    from rich.console import Console

    from routebench.report import gate_terminal, terminal

    out = StringIO()
    gate_terminal.show(result, Console(file=out, width=terminal.WIDE, highlight=False))
    return out.getvalue()

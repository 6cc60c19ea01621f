"""The pytest fixture `routebench_gate`: gate a router inside its repository's own tests.

Loaded by pytest wherever RouteBench is installed, so nothing is imported before it is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from routebench.comparison.schema import GateResult

_PathLike = str | os.PathLike[str]


@pytest.fixture(scope="session")
def routebench_gate() -> Callable[..., GateResult]:
    """Compare two runs, and fail the test with the gate's table where the command would fail.

    `routebench_gate(baseline, candidate, rules="gate.toml", inconclusive="pass")`: the rules
    are a file, and any of its keys by name, which win over it. Returns the result.
    """

    def check(
        baseline: _PathLike, candidate: _PathLike, rules: _PathLike | None = None, **given: Any
    ) -> GateResult:
        __tracebackhide__ = True
        from routebench.comparison import gate
        from routebench.comparison import rules as gate_rules
        from routebench.errors import RoutebenchError

        try:
            values = gate_rules.read(Path(rules)) if rules else {}
            made = gate_rules.make(values | given, str(rules or "routebench_gate"))
            result = gate.gate(Path(baseline), Path(candidate), made)
        except RoutebenchError as error:
            pytest.fail("\n".join(filter(None, [error.message, error.hint])), pytrace=False)
        if result.exit_code:
            pytest.fail(_table(result), pytrace=False)
        return result

    return check


def _table(result: GateResult) -> str:
    from io import StringIO

    from routebench.report.gate import terminal as gate_terminal
    from routebench.report.terminal import console

    out = StringIO()
    gate_terminal.show(result, console.page(out))
    return out.getvalue()

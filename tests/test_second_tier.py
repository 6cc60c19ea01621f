"""The two tiers of the tests."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parent


def test_slow_tests_are_marked_in_their_own_file() -> None:
    """For `-m slow` files without the mark are not even imported: see `conftest.py`."""
    shared = [path for path in TESTS.rglob("*.py") if not path.name.startswith("test_")]
    marked = [path.name for path in shared if "mark.slow" in path.read_text("utf-8")]
    assert marked == ["conftest.py"]

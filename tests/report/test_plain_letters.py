"""A terminal without the tables' signs shows plain letters, and never loses a minus."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from test_verdict_table import SENTENCE, judged

from routebench.board.run_folder import to_json
from routebench.schema import Leaderboard


def test_ascii_output(tmp_path: Path) -> None:
    from test_terminal import board

    made = board(judged("mf"), headline=SENTENCE)
    assert isinstance(made, Leaderboard)
    place = tmp_path / "leaderboard.json"
    place.write_text(to_json(made))
    assert json.loads(place.read_text())["headline"] == SENTENCE
    done = subprocess.run(
        [sys.executable, "-m", "routebench", "show", str(place), "--curves"],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        check=True,
    )
    text = done.stdout.decode("ascii")
    assert "mf: 61% cheaper at +0.1 pp (at worst -0.9): within 1 pp, proven" in text
    assert "+0.1 (-0.9)" in text
    assert "64.1 +-5.0" in text
    assert "?" not in text

"""The notebook of the examples, executed by a kernel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "first_run.ipynb"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the kernel's own libraries
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    for module in ("ipykernel", "pandas"):
        pytest.importorskip(module)
    monkeypatch.setenv("ROUTEBENCH_DATA", str(tmp_path / "kept"))
    for name in [name for name in os.environ if name.startswith("PYTEST_")]:
        monkeypatch.delenv(name)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # it is kept without
    done = nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": tmp_path}}
    )
    done.execute()
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    shown = [str(each.get("data", {})) for cell in outputs for each in cell]
    assert any("ByWord" in text and "<table " in text for text in shown)
    progress = [text for text in shown if "<progress" in text]
    assert progress
    assert "failed" not in progress[-1]
    assert any("pass" in text for text in shown[-1:])
    assert len(list((tmp_path / "kept" / "routers").glob("*/ByWord.py"))) == 1

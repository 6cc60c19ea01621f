"""The kept grid of the embedded suites is what its file asks for."""

from __future__ import annotations

from pathlib import Path

from routebench.grid import file as grid_file
from routebench.grid.schema import GridResult, to_json
from routebench.plugin.described import several

FIELD = Path(__file__).parents[2] / "results" / "field"


def test_the_kept_result_has_the_suites_and_routers_of_its_file() -> None:
    text = (FIELD / "grid.json").read_text()
    result, grid = GridResult.model_validate_json(text), grid_file.read(FIELD / "field.toml")
    assert to_json(result) == text
    assert [suite.name for suite in result.suites] == [run.name for run in grid.runs]
    config = grid.runs[0].config
    family, *others = config.router
    published = several(family)
    assert published is not None
    named = {*(info.name for info in published), *others}
    assert {router.router for router in result.routers} == named
    assert all(suite.seeds == config.seeds for suite in result.suites)
    assert all(set(router.entries) == {"simpleqa", "personaroute"} for router in result.routers)
    assert result.ranks is not None
    assert result.ranks.sentence in (FIELD / "grid.html").read_text()
    assert "routebench grid results/field/field.toml" in (FIELD / "README.md").read_text()

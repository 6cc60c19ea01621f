"""PersonaRoute-Bench: users ask the same queries and weigh quality against cost differently.

The benchmark (https://arxiv.org/abs/2511.16883) is read from its CSV files; without any, an
invented set of its shape stands in, answered by a simulated pool.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from routebench.data.long_table import from_long
from routebench.errors import DataError, OptionError
from routebench.files import sha256
from routebench.records import Floats, Ints, Pool, SuiteData, Users
from routebench_suites.personaroute.files import UserPanel, read_panel
from routebench_suites.personaroute.simulated import simulate

QUERIES = 240  # by user in the large embedded set, over its four tasks


class PersonaRoute:
    """Queries of several tasks, models of different price, users of different preference."""

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        data: str | None = Field(
            default=None,
            description="a CSV of PersonaRoute-Bench, a folder with its train, validation and test"
            " files, or a number of simulated users; by default nine",
        )
        source: Literal["embedded", "recorded"] | None = Field(
            default=None, description="by default, what `data` makes possible"
        )
        descriptions: Path | None = Field(
            default=None, description="LLM_Descriptions.json; found beside the data where it lies"
        )

    def __init__(self, options: Options) -> None:
        self.options = options

    def load(self) -> SuiteData:
        """Load the queries with every model's effect and cost, and the users beside them."""
        data, source = self.options.data, self.options.source
        simulated = data is None or data.isdecimal()
        if source == "recorded" and simulated:
            raise OptionError("--source recorded: no file is named", "--data router_user_data.csv")
        if source == "embedded" and not simulated:
            raise OptionError(f"--source embedded: {data} is a file", "leave out one of them")
        if data is None or data.isdecimal():
            # What the answers were made with.
            here = Path(__file__).parent
            files = (here / "simulated.py", here / "simulated_data")
            return _suite(self._simulated(int(data or 9)), "simulated", files)
        path = Path(data)
        return _suite(read_panel(path, self.options.descriptions), "recorded", (path.resolve(),))

    def _simulated(self, users: int) -> UserPanel:
        if users < 2:
            raise OptionError(f"personaroute:{users}: at least two users are needed")
        return simulate() if users == 9 else simulate(users, QUERIES // 4)


def _suite(panel: UserPanel, source: str, files: tuple[Path, ...]) -> SuiteData:
    """Convert the panel to canonical order, with costs normalised to [0, 1] where needed."""
    if len(panel.models) < 2:
        raise DataError(f"personaroute: at least two models are needed, not {panel.models}")
    # By what they are, not by where they stand: rows in another order are the same queries.
    ids = np.array(
        [_id(task, text) for task, text in zip(panel.task, panel.text, strict=True)], dtype=object
    )
    cost = panel.cost if panel.cost_normalised else _normalised(panel)
    query, model = np.nonzero(~np.isnan(panel.effect))  # what is not there was never asked
    columns = {
        "query_id": ids[query],
        "query": panel.text[query],
        "task": panel.task[query],
        "model": np.array(panel.models, dtype=object)[model],
        "score": panel.effect[query, model],
    }
    if panel.split is not None:
        columns["split"] = panel.split[query]
    data = from_long(
        pa.table(columns),
        name="personaroute",
        source=source,
        place="personaroute",
        pool=Pool(
            panel.models,
            panel.input_price,
            panel.output_price,
            description=panel.model_description,
        ),
        visible=frozenset({"task", "user", "preference"}),
        files=files,
        notes=panel.notes + (() if panel.cost_normalised else (_SCALED,)),
    )
    place = {name: at for at, name in enumerate(ids)}
    order = np.array([place[name] for name in data.ids], dtype=np.int64)
    embedding = None if panel.embedding is None else panel.embedding[order]
    return replace(
        data,
        queries=replace(data.queries, embedding=embedding),
        outcomes=replace(data.outcomes, relative_cost=cost[order]),
        users=_users(panel, order),
    )


_SCALED = (
    "costs are scaled by the range of the training file; under --folds or --split hash some of its"
    " queries are tested"
)


def _id(task: str, text: str) -> str:
    return sha256(f"{task}\x1f{text}".encode(errors="surrogatepass"))[:16]


def _users(panel: UserPanel, order: Ints) -> Users:
    return Users(
        panel.users,
        panel.preference,
        None if panel.asked is None else panel.asked[:, order].T.copy(),
        None if panel.user_split is None else panel.user_split == "test",
    )


def _normalised(panel: UserPanel) -> Floats:
    """Return costs between each task's cheapest and dearest call in training, cut to [0, 1]."""
    if panel.split is None:
        raise DataError(
            "personaroute: costs are not in [0, 1], and no file says what is training",
            "bring the cost column to [0, 1], or give a folder with train, val and test files",
        )
    cost = panel.cost.copy()
    for task in np.unique(panel.task.astype(str)):
        rows = panel.task == task
        seen = panel.cost[rows & (panel.split == "train")]
        if not np.isfinite(seen).any():
            raise DataError(f"personaroute: task {task!r} has no cost in training")
        low, high = np.nanmin(seen), np.nanmax(seen)
        cost[rows] = np.clip((panel.cost[rows] - low) / max(high - low, 1e-12), 0.0, 1.0)
    return cost

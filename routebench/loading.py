"""A run's suite: loaded, graded, with what routers may see, and as it arrives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from routebench.config import RunConfig
from routebench.data.added import with_added
from routebench.data.splits import Split, inner_parts
from routebench.errors import OptionError
from routebench.judge.finals import read_finals
from routebench.judge.suite import judge_answers
from routebench.online.arriving import Arriving
from routebench.plugin import discovery, options
from routebench.plugin.extensions import Extensions
from routebench.records import Codes, State, SuiteData


def load_data(config: RunConfig, extensions: Extensions | None = None) -> SuiteData:
    """Load the suite, set what routers may see, and grade its ungraded answers.

    `extensions` may wrap the judge; by default those that are installed.
    """
    suite = discovery.load(discovery.find("suite", config.suite_name))
    names = ("source", "map", "score_max")
    given = {"data": config.suite_data} | {name: getattr(config, name) for name in names}
    values = config.set.get(config.suite_name, {}) | {k: v for k, v in given.items() if v}
    data: SuiteData = suite(options.validate(suite, config.suite_name, values)).load()
    missing = [name for name in config.show if getattr(data.queries, name) is None]
    if missing:
        raise OptionError(f"--show {missing[0]}: this suite has no {missing[0]} column")
    data = replace(data, visible=data.visible | set(config.show))
    data = show_tasks(data, config.task)
    data = replace(data, answers_as=config.answers_as or config.judge or data.judge)
    if config.add:
        data = with_added(data, added_outcomes(config.add), Path(config.add).name)
    if config.judge is None and not (data.outcomes.state == State.UNGRADED).any():
        return replace(data, judge=None)  # the suite's own judge has nothing to do
    if judge := config.judge or data.judge:
        extensions = extensions or Extensions(config.set)
        data = judge_answers(data, judge, config.set.get(judge, {}), extensions)
    return replace(data, judge=judge)


def added_outcomes(file: str) -> SuiteData:
    """Return the outcomes of the store or table that `--add` names."""
    table = discovery.load(discovery.find("suite", "table"))
    found: SuiteData = table(options.validate(table, "table", {"data": file})).load()
    return found


def arriving_queries(
    config: RunConfig, recorded: SuiteData, extensions: Extensions
) -> Arriving | None:
    """Return the loaded suite as it arrives, with what drifts; None for another protocol."""
    if config.protocol != "online":
        return None
    return Arriving.of(config, recorded, lambda other: load_data(other, extensions))


def with_finals(config: RunConfig, data: SuiteData) -> SuiteData:
    """Return the suite with the final answers that routers are shown."""
    values = config.set.get(data.answers_as or "", {})
    return read_finals(data, values, named=config.answers_as is not None)


def show_tasks(data: SuiteData, to: str | None) -> SuiteData:
    """Return the suite with its tasks seen by no router, in training, or in all that they do.

    By default routers learn from tasks where there are any, and route without, unless the suite
    shows them: who logs traffic knows where it came from, and a query alone does not tell.
    """
    if data.queries.task is None:
        if to in ("train", "all"):
            raise OptionError(f"--task {to}: this suite has no task column")
        return data
    if to is None:
        to = "all" if "task" in data.visible else "train"
    others = data.visible - {"task"}
    return replace(
        data,
        visible=others | {"task"} if to == "all" else others,
        training_only=frozenset({"task"}) if to == "train" else frozenset(),
    )


def inner_folds(config: RunConfig, data: SuiteData, split: Split) -> Codes | None:
    """Return [n] the inner fold of each query; None where none are asked for."""
    if config.inner_folds is None:
        return None
    if data.users is not None:
        raise OptionError(
            "--inner-folds: this suite has users, whose rewards no operating point is chosen by",
            "leave it out",
        )
    return inner_parts(data, split, config.inner_folds, config.split_seed)

"""The card of a checkpoint: README.md with YAML front matter, as model hubs read it."""

from __future__ import annotations

import json
from typing import Any

from routebench.board.checkpoint.description import CheckpointDescription, CheckpointResults
from routebench.report.format import SOURCES
from routebench.report.markdown import escape
from routebench.schema import Estimate

_PARTS = ("train", "validation", "test")
_PERCENT = ("accuracy", "accuracy_given_attempted", "attempted", "savings_vs_best_single")
_SHOWN = {
    "accuracy": "accuracy, %",
    "reward": "reward",
    "accuracy_given_attempted": "accuracy given attempted, %",
    "total_cost_per_1k": "USD per 1,000 queries",
    "savings_vs_best_single": "cheaper than the best single model by, %",
}


def card(known: CheckpointDescription) -> str:
    """Return the card of a checkpoint."""
    facts = {
        "Router": f"{known.router} ({_plugin(known)})",
        "Suite": f"{known.suite}, {SOURCES[known.source]}",
        "Data": ", ".join(f"{known.queries.get(part, 0):,} {part}" for part in _PARTS)
        + f" queries, split {known.split}; trained on {_and(known.trained_on)}",
        "Models": ", ".join(known.models),
        "Operating point": f"{known.point} (of {', '.join(known.points)})",
        "Encoder": known.encoder,
        "License": known.license or "not stated",
        "Fingerprint": f"suite {known.fingerprints.suite}, outcomes {known.fingerprints.outcomes}, "
        f"split {known.fingerprints.split}, training {known.fingerprint}",
        "Written by": f"RouteBench {known.routebench}, {known.created}",
    }
    if known.inner_folds:
        facts["Inner folds"] = (
            f"{known.inner_folds}; as many fits on parts of train and validation chose its points,"
            " and it was fitted again on both"
        )
    if known.users:
        facts["Users"] = f"{len(known.users)}, each with a weight on quality against cost"
    if known.tasks:
        facts["Tasks"] = ", ".join(known.tasks)
    if known.steps:
        facts["Sees answers"] = "it asks models before it decides"
    lines = ["---", *_front_matter(known), "---", "", f"# {escape(known.router)}", ""]
    lines += [f"- {name}: {escape(text)}" for name, text in facts.items()]
    lines += ["", "## Results", "", *_results(known), "", "## Use", ""]
    lines += [
        "```sh",
        "routebench route CHECKPOINT 'Who wrote Emma?'",
        "routebench route CHECKPOINT --input queries.jsonl --output decisions.jsonl",
        "```",
        "",
        "Nothing in this folder is executed: arrays are safetensors, the rest is JSON.",
    ]
    if known.plugin.get("distribution") is None:
        lines += ["The router is a file's, which is named again: `--router path/to/file.py:Class`."]
    if known.notes:
        lines += ["", "## Notes on the data", "", *(f"- {escape(note)}" for note in known.notes)]
    return "\n".join(lines) + "\n"


def _plugin(known: CheckpointDescription) -> str:
    owner, version = known.plugin.get("distribution"), known.plugin.get("version")
    if owner is None:
        return f"of the file {known.plugin.get('target')}"
    return f"plugin {known.plugin.get('name')} of {owner} {version}"


def _front_matter(known: CheckpointDescription) -> list[str]:
    """Return the lines of YAML; every value is JSON, which YAML reads alike."""
    values: dict[str, Any] = {
        "library_name": "routebench",
        "license": known.license or "other",
        **({} if known.license else {"license_name": "not-stated"}),
        "tags": ["llm-routing", "routebench", known.router.partition("@")[0]],
        "suite": known.suite,
        "data": {
            "source": known.source,
            "trained_on": known.trained_on,
            **{part: known.queries.get(part, 0) for part in _PARTS},
        },
        "operating_point": known.point,
    }
    if (results := known.results) is not None and results.of == "this checkpoint":
        values["metrics"] = {
            name: _interval(one) for name, one in _at_point(known, results).items()
        }
    return [f"{name}: {yaml_value(value)}" for name, value in values.items()]


def _interval(estimate: Estimate) -> dict[str, float | None]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def yaml_value(value: Any) -> str:
    """Return a value in YAML's flow style: JSON, whatever else breaks lines in it escaped.

    >>> yaml_value("a: b" + chr(0x2028))
    '"a: b\\\\u2028"'
    """
    text = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else _escaped(ord(c)) for c in text)


def _escaped(code: int) -> str:
    if 0xD800 <= code < 0xE000:
        code = 0xFFFD  # half of a character, which is none
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _at_point(known: CheckpointDescription, results: CheckpointResults) -> dict[str, Estimate]:
    """Return the shown metrics at the checkpoint's operating point."""
    own = results.metrics if known.point == "most-accurate" else {}
    found = results.point_metrics.get(known.point) or own
    return {name: found[name] for name in _SHOWN if name in found}


def _results(known: CheckpointDescription) -> list[str]:
    results = known.results
    if results is None:
        return ["It was not measured: no test query was routed with it."]
    at, best = _at_point(known, results), results.best_single
    lines = []
    if results.of != "this checkpoint":
        lines += [
            "These are **not** results of this checkpoint, which learned from the test part too:",
            "there is no query left to measure it on. They are those of the same router, trained",
            f"without the test part, on that part (run {escape(results.run)}).",
            "",
        ]
    else:
        where = f"On {results.n:,} test queries of the run {escape(results.run)}"
        if results.seeds > 1 or results.folds > 1:
            where += f", means over {results.seeds} seeds and {results.folds} folds"
        lines += [f"{where}; [ ]: 95% intervals.", ""]
    lines += [f"| | {escape(known.router)}, {escape(known.point)} | best single model |"]
    lines += ["|:--|--:|--:|"]
    for name, one in at.items():
        single = best.get("cost_per_1k" if name == "total_cost_per_1k" else name)
        lines += [f"| {_SHOWN[name]} | {_cell(name, one)} | {_cell(name, single)} |"]
    if results.verdict is not None and results.of == "this checkpoint":
        lines += ["", escape(results.verdict.sentence) + "."]
    return lines


def _cell(name: str, one: Estimate | None) -> str:
    if one is None or one.value is None:
        return "–"
    scale = 100 if name in _PERCENT else 1
    digits = 1 if scale == 100 else 4
    text = f"{scale * one.value:.{digits}f}"
    if one.low is None or one.high is None:
        return text
    return f"{text} [{scale * one.low:.{digits}f}, {scale * one.high:.{digits}f}]"


def _and(words: list[Any]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))

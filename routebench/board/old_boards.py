"""Read boards of older schema versions as boards of this one."""

from __future__ import annotations

from typing import Any

from routebench.plugin.renamed import current_name

OLD_SCHEMA = 1
Values = dict[str, Any]
_POINTS = {"iso_accuracy": "same-accuracy", "iso_accuracy_1pp": "within-1pp"}
_NOTE = (
    "written by an older version: its points were chosen without a correction for the choice of "
    "the best of many on validation, so they tend to fall short; no verdicts were made"
)


def upgraded(values: Values) -> Values:
    """Return the content of a file of schema 1 in the shape of this version.

    Only names and places change, no number does. What schema 1 has not stays unknown.
    """
    try:
        return _from_1(values)
    except (KeyError, TypeError, AttributeError, ValueError):
        # Damaged: what is wrong with it is found where its fields are checked.
        return values | {"schema_version": 2}


def _from_1(values: Values) -> Values:
    diagnostics = dict(values["diagnostics"])
    # The median over the rows of that run, which moved with the company.
    diagnostics |= {"mde": None, "mde_of": None}
    diagnostics["folds"] = [_keys(fold) for fold in diagnostics.get("folds", [])]
    suite = dict(values["suite"])
    suite["notes"] = [*suite.get("notes", []), _NOTE]
    return values | {
        "schema_version": 2,
        "suite": suite,
        "diagnostics": diagnostics,
        "references": _keys(values["references"]),
        "rows": [_row(row) for row in values["rows"]],
    }


def _row(row: Values) -> Values:
    made = {name: value for name, value in row.items() if name != "operating_points"}
    for name in ("router", "plugin"):
        made[name] = current_name(row[name])
    against = {current_name(name): by for name, by in row.get("against", {}).items()}
    measured = against.get("best-single", {})
    quality = measured.get("accuracy") or measured.get("reward") or {}
    points = {
        _POINTS.get(name, name): _point(one)
        for name, one in row.get("operating_points", {}).items()
    }
    made |= {
        "metrics": _keys(row.get("metrics", {})),
        "against": against,
        "points": points,
        "mde": quality.get("mde"),
    }
    if policies := row.get("policies"):
        made["policies"] = policies | {
            name: one | {"reference": one.get("reference") and current_name(one["reference"])}
            for name in ("medium", "large")
            if (one := policies.get(name))
        }
    return made


def _point(one: Values) -> Values:
    lambdas = one["lambdas"]
    names = ("accuracy", "total_cost_per_1k", "savings_vs_best_single")
    return {
        "n": one["n"],
        "lambdas": lambdas,
        "fixed": sum(value is None for value in lambdas) / max(len(lambdas), 1),
        "metrics": {name: one[name] for name in names},
        "against": {"best-single": {"accuracy": one["against_best_single"]}},
    }


def _keys(values: Values) -> Values:
    """Return values whose names may hold that of a renamed reference."""
    return {name.replace("strongest", "most_expensive"): value for name, value in values.items()}

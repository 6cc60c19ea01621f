"""Rows of suites with users: what is called accuracy elsewhere is their reward."""

from __future__ import annotations

from typing import Any, TypeVar

from routebench.schema import Facet, Policies, Row

_V = TypeVar("_V")


def rewarded(row: Row) -> Row:
    """Return the row with its mean scores renamed to mean rewards."""

    def facets(by_value: dict[str, Facet]) -> dict[str, Facet]:
        return {
            name: one.model_copy(update={"accuracy": None, "reward": one.accuracy})
            for name, one in by_value.items()
        }

    changed = {
        # An arena score is made of accuracy and dollars.
        "metrics": renamed(
            {name: one for name, one in row.metrics.items() if name != "arena_score"}, "reward"
        ),
        "seed_spread": renamed(row.seed_spread, "reward"),
        "against": {name: renamed(v, "reward") for name, v in row.against.items()},
        "by_task": facets(row.by_task),
        "by_topic": facets(row.by_topic),
        "by_user": facets(row.by_user),
        "policies": row.policies and _in_rewards(row.policies),
    }
    return row.model_copy(update=changed)


def _in_rewards(policies: Policies) -> Policies:
    """Return the policies with their mean scores renamed to mean rewards."""

    def turned(one: Any) -> Any:
        return one and one.model_copy(update={"accuracy": None, "reward": one.accuracy})

    return Policies(
        use={name: turned(one) for name, one in policies.use.items()},
        medium=turned(policies.medium),
        large=turned(policies.large),
    )


def renamed(values: dict[str, _V], measure: str) -> dict[str, _V]:
    """Return values by metric, the accuracy under the name of the suite's measure."""
    return {measure if name == "accuracy" else name: value for name, value in values.items()}

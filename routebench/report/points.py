"""Operating points as every output writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from routebench.schema import PointResult, Row

_FIRST = ("most-accurate", "same-accuracy")


def in_reading_order(points: Mapping[str, PointResult]) -> list[tuple[str, PointResult]]:
    """Return the points from the most accurate to those that were asked for."""

    def place(name: str) -> tuple[int, str]:
        if name in _FIRST:
            return _FIRST.index(name), name
        return (2 if name.startswith("within-") else 3), name

    return sorted(points.items(), key=lambda item: place(item[0]))


def lambda_words(point: PointResult) -> str:
    """Return `385`, `320 to 410` over seeds and folds, `own`, or how many are a fixed model."""
    if not point.lambdas:
        return "own"
    known = [value for value in point.lambdas if value is not None]
    fixed = len(point.lambdas) - len(known)
    if not known:
        return "fixed"
    return range_words(known) + (f", {fixed} fixed" if fixed else "")


def range_words(values: Sequence[float]) -> str:
    """Return the least and the largest of some values of λ: `320 to 410`, or just `320`."""
    ends = dict.fromkeys(_number(value) for value in (min(values), max(values)))
    return " to ".join(ends)


def _number(value: float) -> str:
    text = f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"
    return text.replace("-", "−")


def pair_words(rows: Sequence[Row]) -> list[str]:
    """Return a line for each pair of models that routers are measured by: `a to b: mf, knn`."""
    pairs: dict[str, list[str]] = {}
    for row in rows:
        value = row.metrics.get("apgr")
        if value is not None and value.value is not None:
            words = "a pair that differs by fold" if row.pair is None else " to ".join(row.pair)
            pairs.setdefault(words, []).append(row.router)
    return [f"{words}: {', '.join(routers)}" for words, routers in pairs.items()]

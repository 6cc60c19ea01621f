"""Samples of queries by the hash of their texts."""

from __future__ import annotations

import hashlib

import numpy as np

from routebench.records import Ints, Table


def sample(table: Table, most: int) -> Table:
    """Return a table of at most so many queries: all of them, or those of lowest hash."""
    if len(table) <= most:
        return table
    rows = sample_rows(table, most)
    users = None if table.users is None else table.users.take(rows)
    return Table(table.queries.take(rows), table.outcomes.take(rows), table.pool, users)


def sample_rows(table: Table, most: int) -> Ints:
    """Return the rows of such a sample, in their order."""
    if len(table) <= most:
        return np.arange(len(table))
    # A prefix of its own: splits hash the text too, and must not be correlated with the draw.
    keys = [hashlib.sha256(f"sample:{text}".encode()).digest() for text in table.queries.text]
    return np.array(sorted(sorted(range(len(keys)), key=keys.__getitem__)[:most]))

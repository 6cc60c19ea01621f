"""`routebench prices`: models' list prices, with their dates and sources."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from routebench.printed import echo_json

if TYPE_CHECKING:
    from routebench.prices.snapshots import ListedModel, Snapshot

COLUMNS = {
    "input": "input_usd_per_mtok",
    "cached": "cached_usd_per_mtok",
    "output": "output_usd_per_mtok",
    "thinking": "thinking_usd_per_mtok",
    "request": "usd_per_request",
}


@click.command()
@click.argument("model", required=False)
@click.option("--provider", metavar="P", help="List prices of this provider, or vendor, only.")
@click.option(
    "--date",
    "day",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="List prices as of this day; by default as of today.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(model: str | None, provider: str | None, day: datetime | None, as_json: bool) -> None:
    """List the newest known list prices, or all of MODEL over time, with their sources.

    Prices are USD per million tokens. Those of a file given with --prices elsewhere win over
    these, and a model that is in neither is an error, never free.
    """
    from routebench.prices import snapshots

    of = _vendors(provider)
    lists = [one for one in snapshots.snapshots() if not of or one.vendor in of]
    lists = [one for one in lists if day is None or one.date <= day.date()]
    shown = _of(model, of, lists) if model else _newest(lists)
    if as_json:
        echo_json(json.dumps([_facts(*pair) for pair in shown], indent=2))
    else:
        _table(shown, noted=model is not None)


def _vendors(provider: str | None) -> tuple[str, ...]:
    from routebench.errors import OptionError, did_you_mean
    from routebench.prices import snapshots

    if provider is None:
        return ()
    known = {one.vendor for one in snapshots.snapshots()}
    of = (provider,) if provider in known else snapshots.vendors(provider)
    if not set(of) & known:
        hint = did_you_mean(provider, known)
        raise OptionError(f"no prices of provider {provider!r} are known", hint)
    return of


def _of(
    model: str, of: tuple[str, ...], lists: list[Snapshot]
) -> list[tuple[str, Snapshot, ListedModel]]:
    """Return the model as every list has it; raise `DataError` where none does."""
    from routebench.errors import DataError, did_you_mean
    from routebench.prices import snapshots

    provider, colon, plain = model.partition(":")
    if colon:
        _vendors(provider)
        of, model = snapshots.vendors(provider), plain
        lists = [one for one in lists if one.vendor in of]
    found = [(model, one, own) for one in lists if (own := one.find(model)) is not None]
    if not found:
        known = snapshots.names(of)
        if model in known:
            first = snapshots.history(model, of)[0][0]
            raise DataError(f"no price of {model} on that day: the first is {first.id}")
        hint = f"{did_you_mean(model, known)}; a run takes others from --prices FILE"
        raise DataError(f"no price of {model} is known", hint)
    return found


def _newest(lists: list[Snapshot]) -> list[tuple[str, Snapshot, ListedModel]]:
    """Return every model as its newest list has it; raise `DataError` without any list."""
    from routebench.errors import DataError

    if not lists:
        raise DataError("no prices of that day or before are known", "without --date: the newest")
    newest = {
        (one.vendor, name): (name, one, own)
        for name in {own.name for one in lists for own in one.models}
        for one in lists
        if (own := one.find(name)) is not None
    }
    return [newest[key] for key in sorted(newest)]


def _facts(name: str, snapshot: Snapshot, listed: ListedModel) -> dict[str, Any]:
    return {
        "model": name,
        "listed_as": listed.name,
        "aliases": list(listed.aliases),
        "vendor": snapshot.vendor,
        "snapshot": snapshot.id,
        "date": str(snapshot.date),
        "source": snapshot.source,
        "note": listed.about,
        **{field: getattr(listed.price, field) for field in COLUMNS.values()},
        "tiers": [tier.model_dump(exclude_none=True) for tier in listed.price.tiers],
    }


def _table(shown: list[tuple[str, Snapshot, ListedModel]], noted: bool) -> None:
    """Print the prices, with a column of notes or only marks where there are any."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from routebench.report.terminal import console

    given = [
        name for name, field in COLUMNS.items() if any(getattr(p.price, field) for *_, p in shown)
    ]
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("model", no_wrap=True)
    for name in given:
        table.add_column(name, justify="right")
    table.add_column("prices of", no_wrap=True)
    if noted:
        table.add_column("note")
    for name, snapshot, listed in shown:
        numbers = [_number(getattr(listed.price, COLUMNS[column])) for column in given]
        under = "" if listed.name == name else f"listed as {listed.name}"
        note = "; ".join(part for part in (under, listed.about) if part)
        mark = "*" if note and not noted else ""
        table.add_row(
            escape(name) + mark, *numbers, snapshot.id, *([escape(note)] if noted else [])
        )
    out = console.make()
    out.print(table)
    out.print("USD per million tokens; no cached or thinking price: as other tokens")
    if not noted:
        out.print("* `routebench prices MODEL` says what these prices hold for")
    for snapshot in sorted({one.id: one for _, one, _ in shown}.values(), key=lambda one: one.id):
        note = f" ({snapshot.note})" if snapshot.note else ""
        out.print(escape(f"{snapshot.id}: {snapshot.source}{note}"), soft_wrap=True)


def _number(value: float | None) -> str:
    return f"{value:.10f}".rstrip("0").rstrip(".") if value else ""

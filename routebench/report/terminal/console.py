"""The terminal, and numbers and names as they stand in its tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import IO, Any, Literal

from rich import box
from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from routebench.printed import plain as in_encoding
from routebench.printed import visible
from routebench.report.format import MISSING, change, symmetric, without_vendors
from routebench.report.format import plain as value_and_interval
from routebench.schema import Estimate

WIDTH, WIDE = 100, 150
SPELT_OUT = 20  # columns more where `±` is written as `+-`: a longer line loses no digit
LABEL = 26  # columns for a router's name


class SafeConsole(RichConsole):
    """A console on which no text but its own styles moves the cursor or changes a colour.

    Control and format characters are shown, `:names:` are no emoji, and what the terminal's
    encoding lacks is written in what it has, before tables are laid out.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(in_encoding(visible(text), self.encoding), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=self._safe(segment.text))

    def _safe(self, text: str) -> str:
        shown = visible(text)
        try:
            shown.encode(self.encoding)
        except UnicodeEncodeError:  # the layout's own, which takes one column
            return in_encoding(shown.replace("…", "~"), self.encoding)
        return shown


def make(error: bool = False, wide: bool = False) -> SafeConsole:
    """Return the terminal, or a page of fixed width for other outputs."""
    made = SafeConsole(stderr=error)
    width = made.width if made.is_terminal else WIDE if wide else WIDTH
    if in_encoding("±", made.encoding) != "±":
        return SafeConsole(stderr=error, width=width + SPELT_OUT)
    return made if made.is_terminal else SafeConsole(stderr=error, width=width)


def page(file: IO[str]) -> SafeConsole:
    """Return a wide page that is written to a file."""
    return SafeConsole(file=file, width=WIDE)


def make_table(*names: str, left: Collection[str] = ()) -> Table:
    """Return a table without rows, whose first and `left` columns are aligned to the left."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for place, name in enumerate(names):
        side: Literal["left", "right"] = "left" if not place or name in left else "right"
        made.add_column(name, justify=side, no_wrap=True)
    return made


def percent(estimate: Estimate) -> str:
    """Return `64.1 ±1.2`: the larger half of the interval, so that it is never understated."""
    return plain(estimate, 100, 1)


def plain(estimate: Estimate, scale: float = 1, digits: int = 3) -> str:
    """Return the value with its interval, scaled; `–` where either is not known."""
    known = estimate.low is not None and estimate.high is not None
    return value_and_interval(estimate, scale, digits).text if known else MISSING


def difference(estimate: Estimate, scale: float = 100, digits: int = 1) -> str:
    """Return `+2.4 [+1.6, +3.2]*` in percentage points; the star where it is significant."""
    if estimate.low is None or estimate.high is None:
        return MISSING
    cell = change(estimate, scale, digits)
    if colour := {"better": "green", "worse": "red"}.get(cell.tone):
        return f"[{colour}]{escape(cell.text)}[/{colour}]"
    return cell.text if cell.text in (MISSING, "=") else escape(cell.text) + " "


def compact(
    estimate: Estimate, scale: float = 100, digits: int = 1, sign: bool = True, unit: str = ""
) -> str:
    """Return `+2.4 ±0.8*`, or `+2.4 [+1.0, +3.2]*` where the halves of the interval differ."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return MISSING
    if estimate.value == estimate.low == estimate.high == 0:
        return "=" if sign else f"0{unit}"
    form = f"{{:{'+' if sign else ''}.{digits}f}}"
    value, low, high = (
        form.format(scale * x).replace("-", "−")
        for x in (estimate.value, estimate.low, estimate.high)
    )
    half = scale * max(estimate.high - estimate.value, estimate.value - estimate.low)
    bounds = f"±{half:.{digits}f}" if symmetric(estimate, scale, digits) else f"[{low}, {high}]"
    cell = change(estimate, scale, digits)
    text = f"{value}{unit} {bounds}" + ("*" if cell.text.endswith("*") else "")
    if colour := {"better": "green", "worse": "red"}.get(cell.tone):
        return f"[{colour}]{escape(text)}[/{colour}]"
    return escape(text) + (" " if sign else "")


def interval(estimate: Estimate | None, scale: float, form: str) -> str:
    """Return `64.1 [62.9, 65.3]`, each number scaled and in the given form."""
    if estimate is None or estimate.value is None or estimate.low is None or estimate.high is None:
        return MISSING
    value, low, high = (
        form.format(scale * x) for x in (estimate.value, estimate.low, estimate.high)
    )
    return escape(f"{value} [{low}, {high}]")


def dollars(estimate: Estimate) -> str:
    """Return USD to four digits."""
    return MISSING if estimate.value is None else f"{estimate.value:#.4g}"


def model_names(models: Iterable[str], room: int) -> dict[str, str]:
    """Return the models' names in at most `room` columns, shortened so that they stay distinct.

    >>> model_names(["llama-8b-instruct", "llama-70b-instruct"], 8)
    {'llama-8b-instruct': 'll…8b-in', 'llama-70b-instruct': 'll…70b-i'}
    """
    full = without_vendors(models)
    made: dict[str, str] = {}
    tried = {model: short(name, room) for model, name in full.items()}
    for model, name in full.items():
        alike = [full[other] for other in full if other != model and tried[other] == tried[model]]
        text = _from_difference(name, alike, room) if alike else tried[model]
        number = 1
        while text in made.values():  # in so few columns they look alike
            number += 1
            text = f"{name[: max(room - len(str(number)) - 1, 0)]}…{number}"
        made[model] = text
    return made


def _from_difference(name: str, others: Iterable[str], room: int) -> str:
    """Return a name's beginning, and what follows from where it differs from all others."""
    place = max(_common(name, other) for other in others)
    head = max(room // 4, 1)
    if place <= head + 1:
        return name if len(name) <= room else name[: room - 1] + "…"
    return f"{name[:head]}…{name[place : place + room - head - 1]}"


def _common(one: str, other: str) -> int:
    """Return the number of characters with which both begin."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def short(name: str, room: int) -> str:
    """Return a name shortened in the middle, as both ends identify it."""
    if len(name) <= room:
        return name
    tail = (room - 1) // 2
    return f"{name[: room - 1 - tail]}…{name[len(name) - tail :]}"

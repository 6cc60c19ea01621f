"""Print text from outside: nothing in it moves the cursor, hides, or turns the writing round."""

from __future__ import annotations

import codecs
import io
import sys
import traceback
from types import TracebackType
from typing import IO, Any

from routebench.redact import seen

PLAIN = "routebench-plain"
"""The error handler for characters that a terminal's encoding does not have."""
_WORDS = {
    "±": "+-", "·": "-", "–": "-", "—": "-", "−": "-", "…": "...", "→": "->", "←": "<-", "×": "x",
    "≤": "<=", "≥": ">=", "≈": "~", "Δ": "diff", "λ": "lambda", "•": "*", "✓": "ok", "✗": "x",
    "─": "-", "“": '"', "”": '"', "‘": "'", "’": "'", "\u00a0": " ", "█": "#", "▏": "|", "␡": "^?",
}  # fmt: skip


def visible(text: str) -> str:
    """Return the text with control and format characters shown; lines and tabs stay.

    >>> visible("a\\x1b[31mb" + chr(0x202e))
    'a␛[31mb<202e>'
    """
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" else seen(c) for c in text)


def one_visible_line(text: str) -> str:
    """Return the text on one line, control and format characters shown."""
    return visible(" ".join(text.split()))


def visible_values(value: Any) -> Any:
    """Return plain data (as of JSON) with all texts in it `visible`, names too."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible_values(name): visible_values(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [visible_values(each) for each in value]
    return value


def echo(text: object = "", err: bool = False, nl: bool = True) -> None:
    """Print a text to standard output or error."""
    _write(visible(str(text)), sys.stderr if err else sys.stdout, nl)


def echo_json(text: str, nl: bool = True) -> None:
    """Print JSON to standard output; what would be shown or lost is escaped as JSON has it."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    kept = "".join(c if c == "\n" or c.isprintable() else _escaped(c) for c in text)
    try:
        kept.encode(encoding)
    except UnicodeEncodeError:
        kept = "".join(c if c.isascii() else _escaped(c) for c in kept)
    _write(kept, sys.stdout, nl)


def _write(text: str, stream: IO[str], nl: bool) -> None:
    # Not click's echo, which writes UTF-8 to a terminal of few characters.
    stream.write(text + "\n" * nl)
    stream.flush()


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


def plain(text: str, encoding: str) -> str:
    """Return the text in what an encoding has, the rest in like characters or escaped.

    >>> plain("64.1 ±1.2 …", "ascii")
    '64.1 +-1.2 ...'
    """
    return text.encode(encoding, PLAIN).decode(encoding)


def prepare() -> None:
    """Let the standard streams take any text, whatever their encoding; show tracebacks so too."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=PLAIN)
    sys.excepthook = _trace


def _trace(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    stream: IO[str] = sys.stderr
    stream.write(visible("".join(traceback.format_exception(kind, error, trace))))


def _replace(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for the characters that cannot be encoded, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(map(_character, lost)), error.end


def _character(character: str) -> str:
    if character in _WORDS:
        return _WORDS[character]
    code = ord(character)
    if 0x2400 <= code < 0x2420:  # a control character that is shown
        return f"^{chr(code - 0x2400 + 0x40)}"
    return character.encode("ascii", "backslashreplace").decode()


codecs.register_error(PLAIN, _replace)

"""The encoding of a text file: UTF-8, or one of the others that spreadsheets and shells write.

Only what can be told is read: UTF-16 and UTF-32 by their marks or zero bytes, and Windows-1252
(latin-1) where nothing in the file speaks for UTF-8. A damaged UTF-8 file stays an error.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Any

from routebench import limits
from routebench.errors import DataError

_HEAD = 1 << 12
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Longer marks first: that of UTF-32 begins with that of UTF-16."""
_MULTIBYTE = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_HINT = "save it as UTF-8"


def open_unpacked(path: Path) -> Any:
    """Open the bytes of a file, unpacked if it is a .gz."""
    return limits.open_gzip(path) if path.suffix.lower() == ".gz" else path.open("rb")


def wide_encoding(path: Path) -> str | None:
    """Return the encoding of a file of two or four bytes a character, by its beginning."""
    with open_unpacked(path) as stream:
        head: bytes = stream.read(_HEAD)
    for mark, name in _MARKS.items():
        if head.startswith(mark):
            return name
    half = len(head) // 2
    even, odd = head[::2].count(0), head[1::2].count(0)
    if half and max(even, odd) > 0.4 * half and min(even, odd) < 0.05 * half:
        return "utf-16-le" if odd > even else "utf-16-be"
    return None


def as_utf8(path: Path) -> tuple[bytes, str]:
    """Return a file's text as UTF-8 without a mark, and the encoding that it is in.

    Raises:
        DataError: naming the line that is in no encoding that can be told.
    """
    with open_unpacked(path) as stream:
        raw: bytes = stream.read()
    if (name := wide_encoding(path)) is not None:
        try:
            text = raw.decode(name)
        except UnicodeDecodeError as error:
            raise DataError(f"{path.name}: is damaged: no {name.upper()} text", _HINT) from error
        return text.removeprefix("\ufeff").encode("utf-8", "surrogatepass"), name.upper()
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if not _is_latin(raw, error):
            line = raw.count(b"\n", 0, error.start) + 1
            raise DataError(
                f"{path.name}: line {line} of the file: the text is not UTF-8", _HINT
            ) from None
        return _latin(raw).encode(), "Windows-1252 (latin-1)"
    return raw, "UTF-8"


def encoding_note(name: str) -> tuple[str, ...]:
    """Return a note on an encoding that is not UTF-8."""
    return () if name == "UTF-8" else (f"the text is {name}, not UTF-8: read as that",)


def _is_latin(raw: bytes, error: UnicodeDecodeError) -> bool:
    cut = error.end == len(raw) and error.reason == "unexpected end of data"
    if cut or _CONTROL.search(raw):
        return False
    multibyte = len(_MULTIBYTE.findall(raw))
    stray = len(re.findall(rb"[\x80-\xff]", _MULTIBYTE.sub(b"", raw)))
    return 20 * multibyte <= stray


def _latin(raw: bytes) -> str:
    try:
        return raw.decode("cp1252")
    except UnicodeDecodeError:  # five bytes have no meaning there
        return raw.decode("latin-1")

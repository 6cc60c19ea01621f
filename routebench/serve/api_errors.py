"""Errors of the server in OpenAI's form, and text from outside made safe to send."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from routebench.redact import redacted, telling

_LONGEST = 600  # characters of a message


class ApiError(Exception):
    """A request that is answered with an error: `{"error": {message, type, param, code}}`."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message = status, message
        self.kind, self.param, self.code = kind, param, code
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Return the body of the response."""
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        }


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """Return the error for a request that breaks the protocol."""
    return ApiError(400, message, param=param, code=code)


class Hidden:
    """The keys that no log, header or body may hold: those of providers and of clients."""

    def __init__(self, keys: Iterable[str]) -> None:
        # Of a server that wants none the key may be any word, such as `none`. And a key may be a
        # part of a longer one, which must be hidden whole.
        known = set(telling(keys, used=True))
        self._keys = sorted(known, key=lambda key: (-len(key), key))

    def text(self, text: str) -> str:
        """Return the text without any of them."""
        return redacted(text, self._keys)

    def line(self, text: str) -> str:
        """Return the text on one line that a person can read, without any of them."""
        line = " ".join(self.text(text[: 20 * _LONGEST]).split())
        if not line.isprintable():
            line = "".join(c if c.isprintable() else " " for c in line)
        return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"

    def header(self, text: str) -> str:
        """Return the text as an HTTP header can hold it: in ASCII, others escaped as `\\u4e2d`."""
        return self.line(text).encode("ascii", "backslashreplace").decode("ascii")

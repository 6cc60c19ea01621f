"""Shared by providers that ask over a network: keys, one client per loop, one-line errors."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from routebench.errors import CallError, OptionError
from routebench.records import Reply
from routebench.redact import redacted, telling

_Client = TypeVar("_Client")

_LONGEST = 300  # characters of a server's message
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*s?\s*")
_PASSING = {408: "timeout", 429: "rate-limited", 504: "timeout"}
_DENIED = {401, 402, 403, 404, 405, 407}  # 402: no credit left


def key(*variables: str) -> str:
    """Return the first of the environment variables that holds a key.

    Raises:
        OptionError: if none does.
    """
    for name in variables:
        if value := os.environ.get(name, "").strip():
            # An HTTP library would quote it in its complaint.
            if not (value.isascii() and value.isprintable()):
                raise OptionError(f"{name}: a key has no such characters; was it copied whole?")
            return value
    raise OptionError(
        f"{' or '.join(variables)} is not set", f"export {variables[0]}=… with the vendor's key"
    )


def sendable(text: str) -> str:
    """Return the text with lone surrogates replaced: they are not UTF-8."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def address(url: str) -> str:
    """Return a server's address without its last slash.

    Addresses are stored and logged, so the error does not repeat it.
    """
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise OptionError("base_url: an address begins with http:// or https:// and a server")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise OptionError(
            "base_url: holds a user, a password or a query", "a key goes into the environment"
        )
    return url.strip().rstrip("/")


def failure(
    status: int, message: str, headers: Mapping[str, str], hint: str = "", kind: str = ""
) -> CallError:
    """Return the error for an HTTP status, with the server's message and its `Retry-After`."""
    if not kind:
        kind = "denied" if status in _DENIED or status < 400 else "rejected"
        kind = _PASSING.get(status, "server" if status >= 500 or status == 409 else kind)
    explanation = " ".join(message.split()) or "no explanation"
    return CallError(kind, f"HTTP {status}: {explanation}", hint, retry_after(headers))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a `Retry-After` in seconds or as a date; None where there is none."""
    lower = {name.lower(): value for name, value in headers.items()}
    if (exact := seconds(lower.get("retry-after-ms"))) is not None:
        return exact / 1000
    given = lower.get("retry-after", "")
    if (delay := seconds(given)) is not None:
        return delay
    try:
        return max(0.0, parsedate_to_datetime(given).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def seconds(text: Any) -> float | None:
    """Return `7`, `0.5` or `0.5s` as seconds; None for anything else."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    return float(match[1]) if match else None


def unsent(error: Exception) -> CallError:
    """Return the error for a call that ended without an HTTP status, or without JSON."""
    kind = type(error).__name__
    text = f"{kind}: {' '.join(str(error).split())}".removesuffix(": ")
    chain = _causes(error)
    names = {each.__name__ for cause in chain for each in type(cause).__mro__}
    if names & {"TimeoutError", "TimeoutException", "APITimeoutError"}:
        return CallError("timeout", f"no answer in time ({kind})")
    # The transport's classes are known by name: importing them takes its time.
    if names & {"TransportError", "APIConnectionError", "OSError"}:
        last = " ".join(str(chain[-1]).split()) or type(chain[-1]).__name__
        hint = "is the address right?" if "ConnectError" in names else ""
        return CallError("server", f"no connection: {last}", hint)
    if isinstance(error, ValueError) or "APIResponseValidationError" in names:
        return CallError("malformed", f"the answer cannot be read: {text}")
    return CallError("rejected", text)


def clean(error: CallError, secret: str) -> CallError:
    """Return the same error, short, without the key and without control characters."""
    message = redacted(error.message.replace(secret, "***"), [secret]) if secret else error.message
    message = "".join(c if c.isprintable() else " " for c in message)
    if len(message) > _LONGEST:
        message = message[: _LONGEST - 1] + "…"
    return CallError(error.kind, message, error.hint, error.retry_after)


async def reply(
    call: Awaitable[Any],
    timeout: float,
    read: Callable[[Any], Reply],
    explain: Callable[[Exception], CallError | Reply],
    secret: str,
) -> Reply:
    """Await a call and return its reply; `explain` turns a library's exception into a failure.

    The `CallError` that is raised has neither cause nor context: the library's own error may hold
    the request's headers, and so the key.
    """
    try:
        async with asyncio.timeout(timeout):
            response = await call
        outcome = _read(read, response)
    except TimeoutError:
        outcome = CallError("timeout", f"no answer in {timeout:g} s")
    except Exception as error:  # libraries raise their transport's errors too
        outcome = explain(error)
    if isinstance(outcome, Reply):
        return _hiding(outcome, secret)
    raise clean(outcome, secret)


def _hiding(reply: Reply, secret: str) -> Reply:
    """Return a reply without the key, as servers that echo a request's headers may answer."""
    known = telling([secret], used=True)
    return replace(
        reply,
        text=redacted(reply.text, known),
        reasoning=redacted(reply.reasoning, known),
        version=redacted(reply.version, known),
    )


def _read(read: Callable[[Any], Reply], response: Any) -> CallError | Reply:
    try:
        return read(response)
    except CallError as error:
        return error
    except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError) as error:
        kind = type(error).__name__
        return CallError("malformed", f"the answer is not in the protocol's form ({kind})")


def confidence(logprobs: Sequence[Any]) -> float:
    """Return the mean of log-probabilities; NaN where there are none, or one can be none."""
    known = [
        float(each)
        for each in logprobs
        if isinstance(each, int | float) and not isinstance(each, bool)
    ]
    possible = len(known) == len(logprobs) and all(-math.inf < each <= 0 for each in known)
    return math.fsum(known) / len(known) if known and possible else math.nan


class PerLoop(Generic[_Client]):
    """One client per event loop: connections belong to the loop that made them."""

    def __init__(self, make: Callable[[], _Client]) -> None:
        self._make = make
        self._made: dict[asyncio.AbstractEventLoop, _Client] = {}

    def get(self) -> _Client:
        """Return the running loop's client, made at its first call."""
        loop = asyncio.get_running_loop()
        if loop not in self._made:
            for old in [each for each in self._made if each.is_closed()]:
                del self._made[old]
            self._made[loop] = self._make()
        return self._made[loop]

    async def close(self, close: Callable[[_Client], Awaitable[None]]) -> None:
        """Close the running loop's client, if there is one."""
        client = self._made.pop(asyncio.get_running_loop(), None)
        if client is not None:
            with contextlib.suppress(OSError):
                await close(client)


def _causes(error: BaseException) -> list[BaseException]:
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) and cause not in chain:
        chain.append(cause)
    return chain

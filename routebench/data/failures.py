"""Texts that are no answer of a model but a server's or a library's word on a failed call."""

from __future__ import annotations

import re
from typing import Any

_STATUS = (
    r"(?:Bad Request|Unauthorized|Payment Required|Forbidden|Request Time-?out|Too Many Requests"
    r"|Internal Server Error|Bad Gateway|Service (?:Temporarily )?Unavailable|Gateway Time-?out"
    r"|Client Error|Server Error)"
)
_CLASSES = (
    r"(?:RateLimitError|APIConnectionError|APITimeoutError|APIStatusError|APIError"
    r"|InternalServerError|ServiceUnavailableError|AuthenticationError|BadRequestError"
    r"|PermissionDeniedError|HTTPError|HTTPStatusError|ReadTimeout|ConnectTimeout"
    r"|ResourceExhausted|DeadlineExceeded|OverloadedError|overloaded_error|ClientError|ServerError"
    r"|ContextWindowExceededError|ContentPolicyViolationError)"
)
SURE = (
    r"Error code: [45]\d\d\b",
    r"(?:API|HTTP)[ _-]?(?:Status )?Error\b",
    r"HTTP(?:/\d(?:\.\d)?)? ?(?:status )?(?:code )?:? ?[45]\d\d\b",
    rf"(?:Error:? )?[45]\d\d:? {_STATUS}",
    rf"{_STATUS}(?: for url: \S+)?\W*$",
    rf"(?:[a-z_]+\.)*{_CLASSES}\b\s*[:(]",
    r"\{\s*['\"](?:error|errors)['\"]\s*:\s*\{\s*['\"](?:message|code|type|status|param)['\"]",
    r"\{\s*['\"]type['\"]\s*:\s*['\"]error['\"]",
    r"(?:<!(?:doctype|DOCTYPE) html[^>]*>\s*)?<html[^>]*>\s*(?:<head[^>]*>)?\s*<title>"
    r"\s*[45]\d\d\b",
    r"upstream (?:connect error|request timeout)",
    r"no healthy upstream\W*$",
    r"Rate limit (?:reached|exceeded)\b",
    r"You exceeded your current quota\b",
    r"(?:Request timed out|Connection error|Connection aborted)\.?$",
)
"""Beginnings that no model writes as its answer."""
LIKELY = (
    r"ERROR\s*:",
    r"(?:Generation|Processing) failed\s*:",
    r"Unexpected error\s*:",
    r"(?:[a-z_]+\.)*(?:TimeoutError|ConnectionError|JSONDecodeError)\b\s*[:(]",
)
"""Beginnings that are a failed call's where no answer tokens were counted."""


def pattern(*, counted: bool) -> str:
    """Return the expression, in the syntax of both Python and RE2, of such texts.

    With `counted` it is for answers whose tokens somebody counted.
    """
    either = SURE if counted else (*SURE, *LIKELY)
    # ERROR and class names are written so; the words of a status in any case.
    return rf"^\s*['\"]?(?:{'|'.join(either)})"


_COUNTED = re.compile(pattern(counted=True))
_UNCOUNTED = re.compile(pattern(counted=False))


def is_failure(text: str, output_tokens: Any = None) -> bool:
    """Return whether a text is a failed call's, not an answer.

    >>> is_failure("Error code: 429 - {'error': {'message': 'Rate limit reached'}}")
    True
    >>> is_failure("The error code 429 means too many requests.")
    False
    """
    return bool((_COUNTED if output_tokens else _UNCOUNTED).search(text))

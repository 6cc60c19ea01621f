"""Read chat completions: an answer, its reasoning and tokens, or why there is no answer.

Servers that speak OpenAI's protocol do so in dialects: errors inside an HTTP 200, content in parts,
reasoning under several names, counts that leave something out. Each is read here.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from routebench.errors import CallError
from routebench.records import Reply
from routebench_providers import live

_CUT = {"length", "max_tokens", "max_output_tokens", "max_new_tokens", "model_length"}
_CUT |= {"model_context_window_exceeded", "token_limit", "error_limit"}
_WITHHELD = {"content_filter", "content_filtered", "safety", "sensitive", "refusal", "recitation"}
_WITHHELD |= {"blocklist", "prohibited_content", "spii", "guardrail_intervened", "error_toxic"}
_BROKEN = {"abort", "aborted", "cancelled", "canceled", "failed", "timeout", "interrupted"}
_BROKEN |= {"insufficient_system_resource", "unavailable", "engine_overloaded"}
"""Finish reasons by what they mean; any other that speaks of an error is broken too."""
_FILTERS = {"content_filter", "content_policy_violation", "responsibleaipolicyviolation"}
_FILTERS |= {"data_inspection_failed", "datainspectionfailed"}
"""Codes of errors that say that a filter took the prompt or the answer."""
NO_CREDIT = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
_KINDS = {
    "rate_limit": 429,
    "too_many": 429,
    "overloaded": 503,
    "timeout": 504,
    "authentication": 401,
    "api_key": 401,
    "invalid_request": 400,
}
"""Words of an error's code or type, and the HTTP status that they stand for."""


def read(response: Any) -> Reply:
    """Return the reply that a chat completion with HTTP 200 holds.

    Raises:
        CallError: where it holds an error instead, or half an answer.
    """
    choice = response.choices[0] if response.choices else None
    message = None if choice is None else choice.message
    text, reasoning = _texts(message)
    if error := _error(response) or _error(choice) or _error(message):
        return _failed(error, text, response)
    version = response.model or ""
    usage = {} if choice is None else _usage(response.usage)
    if choice is None or message is None:
        reason = "" if choice is None else str(choice.finish_reason or "").lower()
        if reason in _WITHHELD or _filtered(response, choice):
            return Reply("", **usage, finish="refused", version=version)
        raise _nothing(response, choice)
    refusal = _refusal(message)
    taken = refusal or _filtered(response, choice)
    finish = "refused" if taken else _finish(choice, text or reasoning, response)
    said = refusal or text
    return Reply(said, **usage, finish=finish, version=version, reasoning=reasoning)


def read_with_confidence(response: Any) -> Reply:
    """Return the reply, with the mean log-probability of its tokens where the server sends them."""
    reply = read(response)
    choice = response.choices[0] if response.choices else None
    content = getattr(getattr(choice, "logprobs", None), "content", None)
    tokens = content if isinstance(content, list) else []
    return replace(reply, confidence=live.confidence([getattr(t, "logprob", None) for t in tokens]))


def _finish(choice: Any, text: str, response: Any) -> str:
    """Return how the answer ended.

    Raises:
        CallError: where its provider broke off. What came before may have been charged.
    """
    reason = choice.finish_reason
    # Null is what a stream has before its end; servers without finish reasons leave it out.
    if reason is None and "finish_reason" in choice.model_fields_set and response.usage is None:
        raise CallError("malformed", "the answer ended without a reason, and without its tokens")
    name = str(reason or "stop").lower().replace("-", "_")
    if name in _CUT:
        return "length"
    if name in _WITHHELD:
        return "refused"
    if name in _BROKEN or "error" in name:
        kind = "malformed" if text else "server"
        raise CallError(kind, f"the answer was broken off: it ended with {reason}")
    return "stop"


def _texts(message: Any) -> tuple[str, str]:
    """Return a message's answer, and the reasoning that the server keeps apart from it.

    The answer is as it came: reasoning that stands in it, in tags, stays there.
    """
    content = getattr(message, "content", None)
    parts = [content] if isinstance(content, dict) else content
    if not isinstance(parts, list):
        return str(content or ""), _reasoning(message)
    kept = [{"text": part} if isinstance(part, str) else part for part in parts]
    kept = [part for part in kept if isinstance(part, dict)]
    text = "".join(str(p.get("text") or "") for p in kept if p.get("type", "text") in _TEXT)
    thought = "".join(_thought(part) for part in kept if part.get("type", "text") not in _TEXT)
    return text, _reasoning(message) or thought


_TEXT = {"text", "output_text"}
_REASONING = ("reasoning_content", "reasoning", "thinking", "reasoning_details", "thinking_blocks")


def _reasoning(message: Any) -> str:
    """Return the first of a message's fields that holds reasoning; servers repeat it in several."""
    given = (_thought(getattr(message, name, None)) for name in _REASONING)
    return next(filter(None, given), "")


def _thought(value: Any) -> str:
    """Return the text of reasoning: a text, a block of one, or a list of these."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(_thought, value))
    if isinstance(value, dict):
        names = ("text", "thinking", "reasoning", "reasoning_content", "summary", "content")
        return next(filter(None, (_thought(value.get(name)) for name in names)), "")
    return ""


def _refusal(message: Any) -> str:
    refusal = getattr(message, "refusal", None)
    content = getattr(message, "content", None)
    if not refusal and isinstance(content, list):
        parts = (part.get("refusal") for part in content if isinstance(part, dict))
        refusal = next(filter(None, parts), None)
    return str(refusal or "")


def _filtered(*holders: Any) -> bool:
    """Return whether a content filter says that it took the answer, as Azure's does beside it."""
    names = ("content_filter_results", "content_filter_result", "prompt_filter_results")
    found = [getattr(holder, name, None) for holder in holders for name in names]
    return any(map(_flagged, found))


def _flagged(value: Any) -> bool:
    if isinstance(value, dict):
        return value.get("filtered") is True or any(map(_flagged, value.values()))
    return isinstance(value, list) and any(map(_flagged, value))


def _error(holder: Any) -> Any:
    """Return the error that an answer or a choice carries, in whatever form; None for none."""
    error = getattr(holder, "error", None)
    if isinstance(error, dict) and not any(error.values()):
        return None
    return error if error and not isinstance(error, (bool, int, float)) else None


def _failed(error: Any, text: str, response: Any) -> Reply:
    """Return a refusal for a filter's error; raise the failure for any other."""
    holder = error[0] if isinstance(error, list) and error else error
    given = holder if isinstance(holder, dict) else {"message": str(holder)}
    inner = given.get("error")
    given = inner if isinstance(inner, dict) else given
    names = [str(given.get(name) or "").lower() for name in ("code", "type", "status")]
    if is_filter(given):
        return Reply("", finish="refused", version=response.model or "")
    raise _failure(given, names, text)


def is_filter(error: Any) -> bool:
    """Return whether an error says that a filter took the prompt: this one, not the model."""
    if not isinstance(error, dict):
        return False
    inner, details = error.get("innererror"), error.get("metadata")  # Azure's, OpenRouter's
    codes = [error.get("code"), error.get("type")]
    codes += [inner.get("code")] if isinstance(inner, dict) else []
    moderated = isinstance(details, dict) and bool(details.get("flagged_input"))
    return moderated or any(str(code).lower() in _FILTERS for code in codes)


def _failure(given: dict[str, Any], names: list[str], text: str) -> CallError:
    code = str(given.get("code") or "")
    message = str(given.get("message") or given.get("msg") or "")
    status = int(code) if code.isdecimal() else 0
    if not 400 <= status < 600:
        words = (number for word, number in _KINDS.items() if any(word in n for n in names))
        status = next(words, 500)
    kind = "denied" if NO_CREDIT.intersection(names) else ""
    failure = live.failure(status, message, {}, kind=kind)
    # Half an answer may have been charged.
    kind = "malformed" if text and failure.passing else failure.kind
    said = " ".join(message.split()) or "no explanation"
    named = f" {code}" if code else ""
    return CallError(kind, f"HTTP 200 with an error{named}: {said}", failure.hint)


def _nothing(response: Any, choice: Any) -> CallError:
    """Return the failure for an answer without a message, with the words it has instead."""
    if choice is not None:
        return CallError("malformed", "the answer has no message")
    more = response.model_extra or {}
    base = more.get("base_resp")
    holder = base if isinstance(base, dict) else more
    names = ("message", "msg", "detail", "status_msg", "error_msg")
    said = next((holder[name] for name in names if isinstance(holder.get(name), str)), "")
    return CallError("malformed", "the answer has no choices" + (f": {said}" if said else ""))


def _usage(usage: Any) -> dict[str, Any]:
    """Return token counts by the name of a `Reply`'s field; reasoning counts as output.

    Counts that exclude each other are no counts, and say so in `miscounted`.
    """
    given, came = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    if given is None or came is None:
        return {}
    total = _count(usage, "total_tokens")
    cached = _count(getattr(usage, "prompt_tokens_details", None), "cached_tokens") or 0.0
    details = getattr(usage, "completion_tokens_details", None)
    reasoning = _count(details, "reasoning_tokens") or 0.0
    beside = given + came if total is None else total
    hidden = beside - given - came
    if math.isnan(hidden + cached + reasoning):
        return {"miscounted": "contradictory"}
    # Some servers count reasoning in the total only; Anthropic's cached tokens are beside the
    # prompt's, and what the total has more is these, at another price.
    explained = not hidden or reasoning in (0, hidden)
    if hidden < 0 or cached > given or not explained or (hidden and hidden == cached):
        return {"miscounted": "contradictory"} if given or came else {"miscounted": "zero"}
    return {
        "input_tokens": given,
        "output_tokens": came + hidden,
        "cached_tokens": cached,
        "thinking_tokens": max(reasoning, hidden),
    }


def _count(holder: Any, name: str) -> float | None:
    """Return a count, also one sent as text; None where there is none, NaN for what is no count."""
    value = holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        count = float(value)
    except (ValueError, OverflowError):
        return math.nan
    return count if count.is_integer() else math.nan

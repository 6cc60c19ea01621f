"""Google's Gemini models, through google-genai."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from routebench.errors import CallError
from routebench.hookspecs import ChatEndpoint
from routebench.records import Reply, Request
from routebench_providers import live

_OWN = "https://generativelanguage.googleapis.com"
_OPEN = 1000  # connections at most
_WITHHELD = {
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "ESCALATION",
    "MODEL_ARMOR",
}
"""Finish reasons of an answer that is kept back."""
_BROKEN = {"OTHER", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"}
"""Those of an answer that ends before its end."""


class Gemini:
    """Asks the Gemini API; the key is GEMINI_API_KEY or GOOGLE_API_KEY of the environment."""

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        temperature: float | Literal["default"] = Field(
            default=0.0, description="`default` leaves it to the model"
        )
        max_output_tokens: int | None = Field(
            default=None, gt=0, description="of an answer, those of thinking included"
        )
        thinking_budget: int | None = Field(
            default=None,
            ge=-1,
            description="tokens to think with; 0: none, -1: as many as the model likes",
        )
        thinking_level: str | None = Field(
            default=None, description="of models that take no budget: low, high …"
        )
        seed: int | None = Field(
            default=None, description="of a request's first sample; the next ones count up"
        )
        system: str | None = Field(default=None, description="system instruction")
        base_url: str | None = Field(
            default=None,
            description="another server; by default GOOGLE_GEMINI_BASE_URL, else Google's",
        )
        logprobs: bool = Field(
            default=False,
            description="ask for log-probabilities: their mean is kept as the model's confidence",
        )
        timeout: float = Field(default=600.0, gt=0, description="seconds to wait for an answer")

    def __init__(self, options: Options) -> None:
        self.options = options

    def parameters(self) -> dict[str, Any]:
        """Return all that an answer depends on besides model, prompt and sample."""
        given = self.options.model_dump(exclude_none=True, exclude={"base_url", "timeout"})
        if given["temperature"] == "default":
            del given["temperature"]
        if not given["logprobs"]:
            del given["logprobs"]
        return given | ({"base_url": self._base_url} if self._base_url else {})

    def ready(self) -> None:
        """Raise an `OptionError` where there is no key and the server needs one."""
        _ = self._key

    def chat_endpoint(self) -> ChatEndpoint:
        """Return Gemini's chat completions in OpenAI's protocol; an `OptionError` without a key."""
        limit = self.options.max_output_tokens
        defaults = {} if limit is None else {"max_tokens": limit}
        url = f"{self._base_url or _OWN}/v1beta/openai/chat/completions"
        return ChatEndpoint(url, self._key, defaults)

    async def ask(self, request: Request) -> Reply:
        """Make one call, never repeated, and return its reply.

        Raises:
            OptionError: where there is no key.
            CallError: where no answer comes.
        """
        key, (client, _) = self._key, self._clients.get()
        call = client.aio.models.generate_content(
            model=request.model,
            contents=live.sendable(request.prompt),
            config=self._config(request.sample),
        )
        read = _with_confidence if self.options.logprobs else _reply
        return await live.reply(call, self.options.timeout, read, _explain, key)

    async def close(self) -> None:
        """Close the connections of the running loop."""
        if "_clients" in self.__dict__:
            await self._clients.close(_close)

    @cached_property
    def _base_url(self) -> str | None:
        given = self.options.base_url or os.environ.get("GOOGLE_GEMINI_BASE_URL", "").strip()
        url = live.address(given) if given else _OWN
        return None if url == _OWN else url

    @property
    def _key(self) -> str:
        return live.key("GEMINI_API_KEY", "GOOGLE_API_KEY")

    @cached_property
    def _clients(self) -> live.PerLoop[Any]:
        return live.PerLoop(self._client)

    def _client(self) -> tuple[Any, Any]:
        """Return the library's client, and the connections under it."""
        import httpx2  # type: ignore[import-not-found,unused-ignore]
        from google import genai
        from google.genai import types

        # By itself the library would take aiohttp where that is installed, and else keep to 100.
        limits = httpx2.Limits(max_connections=_OPEN, max_keepalive_connections=_OPEN)
        # The key is in a header of its own, which would go along to any other server.
        transport = httpx2.AsyncClient(limits=limits, timeout=None, follow_redirects=False)
        options = types.HttpOptions(
            base_url=self._base_url or _OWN,
            timeout=round(self.options.timeout * 1000),
            retry_options=types.HttpRetryOptions(attempts=1),
            httpx_async_client=transport,
        )
        client = genai.Client(vertexai=False, api_key=self._key, http_options=options)
        return client, transport

    def _config(self, sample: int) -> Any:
        from google.genai import types

        options, given = self.options, self.parameters()
        thinking = {
            name: given[name] for name in ("thinking_budget", "thinking_level") if name in given
        }
        return types.GenerateContentConfig(
            temperature=given.get("temperature"),
            max_output_tokens=options.max_output_tokens,
            seed=None if options.seed is None else options.seed + sample,
            system_instruction=options.system,
            response_logprobs=options.logprobs or None,
            thinking_config=types.ThinkingConfig(**thinking) if thinking else None,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        )


async def _close(made: tuple[Any, Any]) -> None:
    client, transport = made
    await transport.aclose()
    await client.aio.aclose()
    client.close()


def _reply(response: Any) -> Reply:
    version = response.model_version or ""
    if not response.candidates:
        feedback = response.prompt_feedback
        if feedback is None or feedback.block_reason is None:
            raise CallError("malformed", "the answer has no candidates, and no reason why")
        return Reply("", **_usage(response.usage_metadata, ""), finish="refused", version=version)
    candidate = response.candidates[0]
    parts = (candidate.content.parts if candidate.content else None) or []
    text = "".join(part.text for part in parts if part.text and not part.thought)
    reasoning = "".join(part.text for part in parts if part.text and part.thought)
    reason = str(getattr(candidate.finish_reason, "value", candidate.finish_reason) or "STOP")
    if reason in _WITHHELD:
        finish = "refused"
    elif reason == "MAX_TOKENS":
        finish = "length"
    elif reason == "STOP" or (text and reason not in _BROKEN):
        finish = "stop"
    else:
        what = "was broken off" if text else "is empty"
        raise CallError("malformed", f"the answer {what}; it ended with {reason}")
    usage = _usage(response.usage_metadata, text)
    return Reply(text, **usage, finish=finish, version=version, reasoning=reasoning)


def _with_confidence(response: Any) -> Reply:
    """Return the reply, with the mean log-probability of its tokens where Google sends it."""
    reply = _reply(response)
    mean = response.candidates[0].avg_logprobs if response.candidates else None
    return replace(reply, confidence=live.confidence([mean]))


def _usage(usage: Any, text: str) -> dict[str, Any]:
    """Return token counts by the name of a `Reply`'s field; thoughts count as output."""
    if usage is None or usage.prompt_token_count is None:
        return {}
    # Google leaves out counts of 0.
    thoughts, spoken = usage.thoughts_token_count or 0, usage.candidates_token_count
    given = usage.prompt_token_count + (usage.tool_use_prompt_token_count or 0)
    total = usage.total_token_count
    if total is not None and total < given + thoughts + (spoken or 0):
        return {"miscounted": "contradictory"}
    return {
        "input_tokens": float(given),
        "output_tokens": math.nan if spoken is None and text else float((spoken or 0) + thoughts),
        "cached_tokens": float(usage.cached_content_token_count or 0),
        "thinking_tokens": float(thoughts),
    }


def _explain(error: Exception) -> CallError:
    """Return the failure that google-genai's exception stands for."""
    status = getattr(error, "code", None)
    if type(error).__module__ != "google.genai.errors" or not isinstance(status, int):
        return live.unsent(error)
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    message = str(getattr(error, "message", None) or getattr(error, "status", None) or "")
    details = _details(getattr(error, "details", None))
    kind, hint = "", ""
    if _holds(details, "reason", "API_KEY_INVALID") or "API key" in message:
        kind, hint = "denied", "look at GEMINI_API_KEY"
    elif status == 400 and getattr(error, "status", None) == "FAILED_PRECONDITION":
        kind = "denied"  # not in this country, or not without billing
    elif status == 429 and _holds(details, "quotaId", "PerDay"):
        kind, hint = "denied", "the day's quota is used up"
    failure = live.failure(status, message, dict(headers), hint, kind)
    delays = (live.seconds(detail.get("retryDelay")) for detail in details)
    if failure.retry_after is None:
        failure.retry_after = next((delay for delay in delays if delay is not None), None)
    return failure


def _details(body: Any) -> list[dict[str, Any]]:
    """Return the details of an error's body: google.rpc's RetryInfo, ErrorInfo, QuotaFailure …"""
    error = body.get("error", body) if isinstance(body, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    objects = (
        [each for each in details if isinstance(each, dict)] if isinstance(details, list) else []
    )
    inner = [v for each in objects for v in each.get("violations") or [] if isinstance(v, dict)]
    return objects + inner


def _holds(details: list[dict[str, Any]], name: str, text: str) -> bool:
    return any(text in str(detail.get(name, "")) for detail in details)

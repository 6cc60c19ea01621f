"""OpenAI's models, and those of any server that speaks its protocol: vLLM, Ollama, OpenRouter …"""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from routebench.errors import CallError
from routebench.hookspecs import ChatEndpoint
from routebench.records import Reply, Request
from routebench_providers import live
from routebench_providers.openai import replies

_OWN = "https://api.openai.com/v1"
_KEY = "OPENAI_API_KEY"
_FOR_ALL = {"unsupported_parameter", "unsupported_value"}
"""Error codes for options that the model does not take."""


class OpenAICompatible:
    """Asks a server's chat completions; the key is OPENAI_API_KEY of the environment."""

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        base_url: str | None = Field(
            default=None,
            description="another server, up to its /v1; by default OPENAI_BASE_URL, else OpenAI's",
        )
        temperature: float | Literal["default"] = Field(
            default=0.0, description="`default` leaves it to the model: some take no other"
        )
        max_tokens: int | None = Field(
            default=None, gt=0, description="of an answer, those of reasoning included"
        )
        limit_as: Literal["auto", "max_tokens", "max_completion_tokens"] = Field(
            default="auto",
            description="what max_tokens is called: OpenAI's reasoning models know only"
            " max_completion_tokens, some other servers only max_tokens; auto goes by the server",
        )
        seed: int | None = Field(
            default=None, description="of a request's first sample; the next ones count up"
        )
        system: str | None = Field(default=None, description="system message")
        reasoning_effort: str | None = Field(
            default=None, description="of reasoning models: low, medium, high …"
        )
        api_key_env: str | None = Field(
            default=None,
            description=f"name of the variable that holds the key; by default {_KEY}, which"
            " servers other than OpenAI's may do without",
        )
        logprobs: bool = Field(
            default=False,
            description="ask for log-probabilities: their mean is kept as the model's confidence",
        )
        extra_body: dict[str, Any] = Field(
            default_factory=dict, description="more fields for every request, as a table"
        )
        timeout: float = Field(default=600.0, gt=0, description="seconds to wait for an answer")

    def __init__(self, options: Options) -> None:
        self.options = options

    def parameters(self) -> dict[str, Any]:
        """Return all that an answer depends on besides model, prompt and sample."""
        away = {"base_url", "timeout", "api_key_env", "limit_as"}
        given = self.options.model_dump(mode="json", exclude_none=True, exclude=away)
        if given["temperature"] == "default":
            del given["temperature"]
        if not given["logprobs"]:
            del given["logprobs"]
        if not given["extra_body"]:
            del given["extra_body"]
        return given | ({"base_url": self._base_url} if self._elsewhere else {})

    def ready(self) -> None:
        """Raise an `OptionError` where there is no key and the server needs one."""
        _ = self._key

    def chat_endpoint(self) -> ChatEndpoint:
        """Return the server's chat completions; an `OptionError` where there is no key."""
        options, defaults = self.options, dict(self.options.extra_body)
        if options.max_tokens is not None:
            defaults[self._limit] = options.max_tokens
        return ChatEndpoint(f"{self._base_url}/chat/completions", self._key, defaults)

    async def ask(self, request: Request) -> Reply:
        """Make one call, never repeated, and return its reply.

        Raises:
            OptionError: where there is no key and the server needs one.
            CallError: where no answer comes.
        """
        key, client = self._key, self._clients.get()
        call = client.chat.completions.create(
            model=request.model,
            messages=self._messages(request.prompt),
            **self._settings(request.sample),
        )
        read = replies.read_with_confidence if self.options.logprobs else replies.read
        return await live.reply(call, self.options.timeout, read, _explain, key)

    async def close(self) -> None:
        """Close the connections of the running loop."""
        if "_clients" in self.__dict__:
            await self._clients.close(lambda client: client.close())

    @cached_property
    def _base_url(self) -> str:
        given = self.options.base_url or os.environ.get("OPENAI_BASE_URL", "").strip()
        return live.address(given) if given else _OWN

    @property
    def _elsewhere(self) -> bool:
        return self._base_url != _OWN

    @property
    def _limit(self) -> str:
        """Return what the server calls the limit on an answer's tokens."""
        if self.options.limit_as != "auto":
            return self.options.limit_as
        return "max_tokens" if self._elsewhere else "max_completion_tokens"

    @property
    def _key(self) -> str:
        named = self.options.api_key_env
        if named is None and self._elsewhere and not os.environ.get(_KEY, "").strip():
            return ""
        return live.key(named or _KEY)

    @cached_property
    def _clients(self) -> live.PerLoop[Any]:
        return live.PerLoop(self._client)

    def _client(self) -> Any:
        import openai

        return openai.AsyncOpenAI(
            base_url=self._base_url,
            api_key=self._key or "none",  # the library wants one
            max_retries=0,
            timeout=self.options.timeout,
        )

    def _messages(self, prompt: str) -> list[dict[str, str]]:
        system = self.options.system
        first = [{"role": "system", "content": system}] if system is not None else []
        return [*first, {"role": "user", "content": live.sendable(prompt)}]

    def _settings(self, sample: int) -> dict[str, Any]:
        options = self.options
        settings: dict[str, Any] = {}
        if options.temperature != "default":
            settings["temperature"] = options.temperature
        if options.max_tokens is not None:
            settings[self._limit] = options.max_tokens
        if options.seed is not None:
            settings["seed"] = options.seed + sample
        if options.reasoning_effort is not None:
            settings["reasoning_effort"] = options.reasoning_effort
        if options.logprobs:
            settings["logprobs"] = True
        if options.extra_body:
            settings["extra_body"] = options.extra_body
        return settings


def _explain(error: Exception) -> CallError | Reply:
    """Return the failure that openai's exception stands for; Azure's filter is a refusal."""
    status = getattr(error, "status_code", None)
    response = getattr(error, "response", None)
    if response is None or not isinstance(status, int) or status == 200:
        return live.unsent(error)
    body = getattr(error, "body", None)
    explanation = body.get("message") if isinstance(body, dict) else None
    message = str(explanation or body or "")
    code = str(getattr(error, "code", None) or "")
    if replies.is_filter(body):
        return Reply("", finish="refused")
    kind, hint = "", ""
    if code in _FOR_ALL or code in replies.NO_CREDIT:
        kind = "denied"
    if code in _FOR_ALL and (option := _option(getattr(error, "param", None))):
        hint = option
    elif status == 401:
        hint = f"look at {_KEY}, or at the variable that api_key_env names"
    return live.failure(status, message, dict(response.headers), hint, kind)


def _option(parameter: Any) -> str:
    """Return the option to set where a model does not take a parameter."""
    if parameter in ("max_tokens", "max_completion_tokens"):
        other = {"max_tokens": "max_completion_tokens"}.get(parameter, "max_tokens")
        return f"--set openai.limit_as={other}"
    return "--set openai.temperature=default" if parameter == "temperature" else ""

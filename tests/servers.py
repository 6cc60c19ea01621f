"""A local server that speaks the Gemini and the OpenAI protocol, with faults on demand.

    with Server(faults={"429": 0.1, "hang": 0.02}) as server:
        ...  # GOOGLE_GEMINI_BASE_URL=server.url, or OPENAI_BASE_URL=server.url + "/v1"
        assert len(server.billed()) == ...

What happens to a request is a hash of seed, model, prompt and how many requests for the same came
before it: the same in any order and at any speed. As a program it prints its address and serves
until it is ended: `python tests/servers.py --fault 429=0.1 --rate 100 --log FILE`. `GET /log` is
the log so far, as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import runpy
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any

import protocols
from listening import AsyncServer
from protocols import Asked, Speaks

Answer = Callable[[str, str], str]
"""(prompt, model) to the text of the answer."""
Script = Callable[[str, int], str | tuple[int, Any] | None]
"""(prompt, attempt from 0) to an outcome out of `OUTCOMES`, to a status with the JSON to send, or
to None to leave it to the faults."""

ATTEMPTS = ("429", "500", "503", "hang", "malformed", "html", "page", "reset")
"""Faults that may be gone at the next attempt: statuses, no answer at all, HTTP 200 with half of
the JSON, a proxy's 502 in HTML, a page with HTTP 200, a connection closed without a word."""
BROKEN = ("error200", "stump", "silent")
"""Such faults too, with HTTP 200: an error, half an answer, neither text nor usage."""
PROMPTS = ("refused", "safety", "400")
"""What a prompt meets at every attempt: a blocked prompt (a `message.refusal`), an answer withheld
by a filter, a bad request."""
ODD = ("zero", "contradictory", "reasoned", "hollow")
"""Answers that a prompt gets at every attempt: usage of 0, usage that excludes itself, reasoning
apart, and reasoning without an answer."""
OUTCOMES = ("answered", "empty", *ATTEMPTS, *BROKEN, *PROMPTS, *ODD)
BILLED = ("answered", "empty", "refused", "safety", *ODD)

PLANTED = {
    "escape": "\x1b[2J\x1b]0;owned\x07\x1b[31mParis\x1b[0m",
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>Paris",
    "nul": "Pa\x00ris\x00",
    "huge": "Paris " * 175_000,
}
"""Answers that must do no harm where they are stored and shown."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One request, as it was logged when it came in."""

    at: float
    """Seconds since the server started."""
    model: str
    prompt: str
    attempt: int
    """Requests for the same model and prompt before this one, those over the limit not counted."""
    outcome: str
    """One of `OUTCOMES`, or `limited` (over the rate), `denied` (key), `unknown` (model), `raw`."""
    open: int
    """Requests that were being answered when this one came, itself included."""
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def billed(self) -> bool:
        """Whether a whole answer was paid for; half ones (`malformed`) are not counted."""
        return self.outcome in BILLED


class Bucket:
    """Requests per second, and how many may come at once; no rate is no limit."""

    def __init__(self, rate: float | None, burst: float | None = None) -> None:
        self.rate = rate
        self.burst = burst if burst is not None else max(1.0, rate or 1.0)
        self._level, self._seen = self.burst, time.monotonic()

    def wait(self) -> float | None:
        """Take one and return None, or the seconds until there is one."""
        if self.rate is None:
            return None
        now = time.monotonic()
        self._level = min(self.burst, self._level + (now - self._seen) * self.rate)
        self._seen = now
        if self._level >= 1:
            self._level -= 1
            return None
        return (1 - self._level) / self.rate


def echo(prompt: str, model: str) -> str:
    """Says which model it is, and the prompt's end."""
    return f"{model}: {prompt[-200:]}"


def facts(accuracy: float = 0.7) -> Answer:
    """Answers the embedded questions, right or wrong by a hash of model and question."""
    from routebench_suites.questions import EMBEDDED, read_questions

    known = {question.query: question.reference for question in read_questions(EMBEDDED)}
    values = sorted(set(known.values()))

    def answer(prompt: str, model: str) -> str:
        if (right := known.get(prompt.strip())) is None:
            return "I don't know."
        if uniform("right", model, prompt) < accuracy:
            return right
        return values[int(uniform("wrong", model, prompt) * len(values))]

    return answer


def uniform(*parts: object) -> float:
    """A number in [0, 1) that hangs on the parts alone."""
    text = "\x1f".join(map(str, parts)).encode("utf-8", "backslashreplace")
    return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest()) / 2**56


class Server(AsyncServer):
    """Answers in the protocols of Gemini and OpenAI, with faults.

    Args:
        answer: What the models say; by default they repeat the prompt.
        faults: Share of attempts (of prompts, for those in `PROMPTS` and `ODD`) per outcome.
        script: Decides before the faults do.
        rate, burst: Requests per second, and at once, before 429; `limit` changes them.
        latency: Mean seconds an answer takes, from half to one and a half times that.
        retry_after: Seconds that an injected 429 or 503 asks for; None: it does not say.
        form: `seconds`, `date` or `body` (Gemini's RetryInfo), or `mixed`, one per request.
        key: The key that requests must bring; a wrong one is echoed, as some servers do.
        models: The models there are; None: any.
        thinking, cached: Tokens of every answer that are reasoning; of every prompt, cached.
        log: A file that gets one JSON line per request, before it is answered.
    """

    def __init__(
        self,
        answer: Answer = echo,
        *,
        faults: Mapping[str, float] | None = None,
        script: Script | None = None,
        seed: int = 0,
        rate: float | None = None,
        burst: float | None = None,
        latency: float = 0.0,
        retry_after: float | None = 1.0,
        form: str = "mixed",
        key: str | None = None,
        models: Sequence[str] | None = None,
        thinking: int = 0,
        cached: int = 0,
        log: Path | None = None,
        port: int = 0,
    ) -> None:
        self.faults = dict(faults or {})
        assert set(self.faults) <= set(OUTCOMES), self.faults
        self.answer, self.script, self.seed = answer, script, seed
        self.latency, self.retry_after, self.form = latency, retry_after, form
        self.key, self.models, self.thinking, self.cached = key, models, thinking, cached
        super().__init__(port)
        self.log: list[Entry] = []
        self._bucket = Bucket(rate, burst)
        self._attempts: Counter[tuple[str, str]] = Counter()
        self._open = 0
        self._file = log.open("a") if log else None

    @property
    def url(self) -> str:
        """For Gemini; the OpenAI protocol is at `url + "/v1"`."""
        return super().url

    def billed(self) -> list[Entry]:
        """The requests that were paid for: answered whole, refusals included."""
        return [entry for entry in self.log if entry.billed]

    def counts(self) -> Counter[str]:
        """Requests by outcome."""
        return Counter(entry.outcome for entry in self.log)

    def limit(self, rate: float | None, burst: float | None = None) -> None:
        """From now on, so many requests per second."""
        self._bucket = Bucket(rate, burst)

    def __exit__(self, *what: object) -> None:
        super().__exit__(*what)
        if self._file:
            self._file.close()

    async def run(self, ready: threading.Event | None = None) -> None:
        self._start = time.monotonic()
        await super().run(ready)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if (reply := await self._made(reader)) is None:
            return False
        writer.write(reply)
        return True

    async def _made(self, reader: asyncio.StreamReader) -> bytes | None:
        """Read a request and make its reply; None: close the connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        path = path.partition("?")[0]
        if method == "GET":
            return self._get(path)
        speaks: Any = protocols.Gemini() if ":generateContent" in path else protocols.OpenAI()
        if not path.endswith((":generateContent", "/chat/completions")):
            return _reply(404, speaks.error(404, f"no such path: {path}", None))
        self._open += 1
        try:
            return await self._ask(speaks, speaks.asked(path, json.loads(raw)), headers, reader)
        finally:
            self._open -= 1

    def _get(self, path: str) -> bytes:
        if path == "/log":
            return _reply(200, [asdict(entry) for entry in self.log])
        if path.endswith("/models"):
            data = [{"id": name, "object": "model"} for name in self.models or ()]
            return _reply(200, {"object": "list", "data": data})
        return _reply(404, {"error": {"message": f"no such path: {path}"}})

    async def _ask(
        self, speaks: Any, asked: Asked, headers: dict[str, str], reader: asyncio.StreamReader
    ) -> bytes | None:
        cell = (asked.model, asked.prompt)
        attempt = self._attempts[cell]
        given = headers.get(speaks.key_header, "").removeprefix("Bearer ")
        wait = raw = None
        if self.key is not None and given != self.key:
            outcome = "denied"
        elif self.models is not None and asked.model not in self.models:
            outcome = "unknown"
        elif (wait := self._bucket.wait()) is not None:
            outcome = "limited"
        else:
            self._attempts[cell] += 1
            decided = self._outcome(asked, attempt)
            raw = decided if isinstance(decided, tuple) else None
            outcome = decided if isinstance(decided, str) else "raw"
        at = time.monotonic() - self._start
        entry = Entry(at, *cell, attempt, outcome, self._open, asked.body, headers)
        self.log.append(entry)
        if self._file:
            self._file.write(json.dumps(asdict(entry)) + "\n")
            self._file.flush()
        if outcome in BILLED and self.latency:
            drawn = uniform(self.seed, "latency", *cell, attempt)
            await asyncio.sleep(self.latency * (0.5 + drawn))
        if outcome == "hang":
            await reader.read(1)  # until the client gives up
            return None
        return _reply(*raw) if raw else self._spoken(speaks, asked, entry, wait)

    def _outcome(self, asked: Asked, attempt: int) -> str | tuple[int, Any]:
        if self.script and (outcome := self.script(asked.prompt, attempt)):
            assert isinstance(outcome, tuple) or outcome in OUTCOMES, outcome
            return outcome
        cell = (asked.model, asked.prompt)
        attempts = (*ATTEMPTS, *BROKEN)
        for kinds, key in ((PROMPTS, cell), (attempts, (*cell, attempt)), (ODD, cell)):
            drawn = uniform(self.seed, kinds[0], *key)
            for kind in kinds:
                drawn -= self.faults.get(kind, 0.0)
                if drawn < 0:
                    return kind
        return "answered"

    def _spoken(
        self, speaks: Speaks, asked: Asked, entry: Entry, wait: float | None
    ) -> bytes | None:
        outcome = entry.outcome
        if outcome in ("answered", "malformed"):
            text = self.answer(asked.prompt, asked.model)
            what = protocols.said(asked, text, self.thinking, self.cached)
            whole = _reply(200, speaks.answer(asked, what))
            return whole if outcome == "answered" else _halved(whole)
        if outcome in ("refused", "safety", "empty"):
            what = protocols.said(asked, "", 0, self.cached)
            how = "blocked" if outcome == "refused" else outcome
            return _reply(200, speaks.refused(asked, what, how))
        if outcome in (*BROKEN, *ODD):
            what = protocols.said(asked, self.answer(asked.prompt, asked.model), 0, 0)
            return _reply(200, speaks.odd(asked, what, outcome))
        if outcome == "reset":
            return None
        if outcome in ("html", "page"):
            html = f"<html>{outcome}</html>".encode()
            return _message(502 if outcome == "html" else 200, html, ("text/html", ()))
        return self._error(speaks, entry, wait)

    def _error(self, speaks: Any, entry: Entry, wait: float | None) -> bytes:
        numbers = {"limited": 429, "denied": speaks.wrong_key, "unknown": 404}
        status = numbers[entry.outcome] if entry.outcome in numbers else int(entry.outcome)
        messages = {
            "denied": f"API key not valid: {entry.headers.get(speaks.key_header, 'none')}",
            "unknown": f"The model `{entry.model}` does not exist",
            "400": "Invalid value in the request.\nSee the documentation.",
        }
        message = messages.get(entry.outcome, f"fault {entry.outcome}: try again later")
        if status not in (429, 503):
            return _reply(status, speaks.error(status, message, None))
        if entry.outcome != "limited":
            wait = self.retry_after
        forms = ("seconds", "date", "body")
        drawn = uniform(self.seed, "form", entry.model, entry.prompt, entry.attempt)
        form = forms[int(3 * drawn)] if self.form == "mixed" else self.form
        headers = []
        if wait is not None and form == "date":
            headers = [f"Retry-After: {formatdate(math.ceil(time.time() + wait), usegmt=True)}"]
        elif wait is not None and form == "seconds":
            # Whole seconds as HTTP has it; less than one only where the test asks for it.
            given = math.ceil(wait) if entry.outcome == "limited" else wait
            headers = [f"Retry-After: {given:g}"]
        body = speaks.error(status, message, wait if form == "body" else None)
        return _reply(status, body, headers)


def _reply(status: int, body: Any, headers: Sequence[str] = ()) -> bytes:
    return _message(status, json.dumps(body).encode(), ("application/json", headers))


def _halved(whole: bytes) -> bytes:
    """The same HTTP 200 with the first half of the JSON."""
    content = whole.partition(b"\r\n\r\n")[2]
    return _message(200, content[: len(content) // 2], ("application/json", ()))


def _message(status: int, content: bytes, about: tuple[str, Sequence[str]]) -> bytes:
    kind, more = about
    lines = [f"HTTP/1.1 {status} -", f"Content-Type: {kind}", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, *more, "", ""]).encode() + content


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--answers", default="echo", help="echo, facts, or FILE.py:FUNCTION")
    parser.add_argument("--fault", action="append", default=[], metavar="OUTCOME=SHARE")
    parser.add_argument("--form", default="mixed")
    parser.add_argument("--key")
    parser.add_argument("--models", type=lambda text: text.split(","))
    parser.add_argument("--log", type=Path)
    for name, default in (("seed", 0), ("thinking", 0), ("cached", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, default in (("latency", 0.0), ("retry-after", 1.0), ("rate", None), ("burst", None)):
        parser.add_argument(f"--{name}", type=float, default=default)
    given = vars(parser.parse_args())
    place, _, name = given.pop("answers").rpartition(":")
    given["answer"] = runpy.run_path(place)[name] if place else {"echo": echo, "facts": facts}[name]
    if name == "facts" and not place:
        given["answer"] = facts()
    pairs = (fault.partition("=") for fault in given.pop("fault"))
    given["faults"] = {outcome: float(share) for outcome, _, share in pairs}
    asyncio.run(Server(**given).run())


if __name__ == "__main__":
    main()

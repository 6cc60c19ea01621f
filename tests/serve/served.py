"""A gateway on a port of this machine, in a thread, with servers of models behind it."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from once import once
from runs import finish

from routebench.board.trained import open_router
from routebench.prices.listed import load_file
from routebench.serve import app, server
from routebench.serve.assembled import ServeOptions, assemble
from routebench.serve.gateway import Gateway

DATA = Path(__file__).parents[1] / "data"
POLICIED = f"{Path(__file__).parents[1] / 'policied.py'}:Policied"
KEY = "sk-planted-0123456789-key"
"""The key of both providers."""
HELLO = [{"role": "user", "content": "Translate this sentence into French: good morning."}]


def a_run(factory: pytest.TempPathFactory) -> Path:
    """Return a run on the table of the tests, made once."""

    def make(folder: Path) -> None:
        finish(
            folder / "run",
            suite=f"table:{DATA / 'outcomes.csv'}",
            prices=str(DATA / "prices.toml"),
            router=("knn", POLICIED, "best-single"),
            perturb=0,
        )

    return once(factory, "served run", make) / "run"


def options(url: str, other: str | None = None, **given: Any) -> ServeOptions:
    """Options with one server for all models, and another one for `swift-small`."""
    values: dict[str, dict[str, Any]] = {"openai": {"base_url": url}} | given.pop("values", {})
    providers = ["openai"]
    if other is not None:
        providers.append("swift-small=gemini:swift-small")
        values["gemini"] = {"base_url": other.removesuffix("/v1")}
    given = {"prices": load_file(DATA / "prices.toml"), "timeout": 20.0} | given
    return ServeOptions(providers, values, **given)


class Served:
    """A running gateway."""

    def __init__(self, gateway: Gateway, url: str, client: Any, keys: Sequence[str]) -> None:
        self.gateway, self.url, self.client = gateway, url, client
        self.headers = {"Authorization": f"Bearer {keys[0]}"} if keys else {}

    def post(self, content: Any, **more: Any) -> Any:
        """Ask for a chat completion; return the response."""
        return self.client.post(f"{self.url}/chat/completions", json=content, **more)

    def metrics(self) -> dict[str, float]:
        """Return all metrics by name with labels."""
        if self.client.is_closed:  # and the gateway too, which has counted everything
            text = self.gateway.metrics.text().decode()
        else:
            place = f"{self.url.removesuffix('/v1')}/metrics"
            text = self.client.get(place, headers=self.headers).raise_for_status().text
        lines = text.splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}


@contextlib.contextmanager
def serving(
    run: Path, router: str | None, chosen: ServeOptions, point: str | None = None, **http: Any
) -> Iterator[Served]:
    """Serve a router of a run until the end of the context."""
    import httpx
    import uvicorn

    pytest.importorskip("aiohttp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", KEY)
        patch.setenv("GEMINI_API_KEY", KEY)
        patch.delenv("OPENAI_BASE_URL", raising=False)
        gateway = assemble(open_router(run, router, point=point), chosen)
    application = app.build(gateway, app.HttpOptions(**http))
    running = uvicorn.Server(server.configured(application, 5.0))
    listening = server.bound("127.0.0.1", 0)
    url = server.address(listening)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not running.started:
        assert thread.is_alive(), "the server has not started"
        time.sleep(0.005)
    try:
        with httpx.Client(timeout=30, verify=False) as client:
            yield Served(gateway, url, client, http.get("keys", ()))
    finally:
        running.should_exit = True
        thread.join(20)
        listening.close()


def logged(place: Path) -> list[dict[str, Any]]:
    """Return the events of a log."""
    return [json.loads(line) for line in place.read_text().splitlines()]


def body(**fields: Any) -> dict[str, Any]:
    """Return a request for the router."""
    return {"model": "routebench", "messages": HELLO} | fields

"""The `vllm` provider on a tiny random model, and vLLM's own server through the `openai` one.

They need an environment with vLLM; on a machine without a GPU one whose vLLM runs on CPU.
"""

from __future__ import annotations

import asyncio
import importlib.util
import math
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import tiny

from routebench.errors import CallError, DataError
from routebench.records import Reply, Request
from routebench_providers.openai.provider import OpenAICompatible
from routebench_providers.vllm.provider import VLLMOffline

there = pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="needs vllm")
alone = [there, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
SMALL: dict[str, Any] = {"dtype": "float32", "enforce_eager": True, "max_model_len": 128}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two models of other weights."""
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("models")
    return [str(tiny.save(folder / name, seed)) for seed, name in enumerate("ab")]


@pytest.fixture(scope="module", autouse=True)
def cpu() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


def made(**options: Any) -> VLLMOffline:
    return VLLMOffline(VLLMOffline.Options(**(SMALL | options)))


def test_parameters_are_what_answers_depend_on() -> None:
    assert VLLMOffline(VLLMOffline.Options()).parameters() == {
        "temperature": 0.0,
        "max_tokens": 512,
        "seed": 0,
        "chat": True,
        "dtype": "auto",
    }
    given = made(system="Be brief.", template={"enable_thinking": False}, tensor_parallel_size=2)
    assert given.parameters().keys() - VLLMOffline(VLLMOffline.Options()).parameters().keys() == {
        "system",
        "template",
        "max_model_len",
    }


@pytest.mark.usefixtures("models")
class TestOffline:
    pytestmark = alone

    def test_a_batch_of_two_models(self, models: list[str]) -> None:
        a, b = models
        provider = made(max_tokens=8, temperature=1.0, seed=3)
        requests = [
            Request(a, "What is the capital of Italy?"),
            Request(b, "What is the capital of Italy?"),
            Request(a, "What? " * 200),
            Request(a, "What is the capital of Italy?", 1),
            Request(b, "lone \ud800 and ☃"),
        ]
        with ThreadPoolExecutor(1) as pool:  # as a collector asks
            first = pool.submit(provider.answer, requests).result()
            again = pool.submit(provider.answer, [requests[3], requests[1]]).result()
            provider.close()
        assert again.text == (first.text[3], first.text[1])
        assert first.text[2] is None
        assert first.note
        assert first.note[2] == "the prompt has 603 tokens, the model takes 128"
        assert first.note[:2] == (None, None)
        assert len({first.text[0], first.text[1], first.text[3]}) == 3
        words = tiny.tokenizer()
        asked = words.apply_chat_template(
            [{"role": "user", "content": requests[0].prompt}],
            add_generation_prompt=True,
            return_dict=True,
        )
        assert first.input_tokens[0] == len(asked["input_ids"])
        assert math.isnan(first.input_tokens[2])
        assert 1 <= first.output_tokens[0] <= 8
        assert first.latency is None

    def test_without_the_template_the_prompt_is_all(self, models: list[str]) -> None:
        provider = made(max_tokens=4, chat=False)
        answers = provider.answer([Request(models[0], "Rome")])
        provider.close()
        assert answers.input_tokens[0] == len(tiny.tokenizer().encode("Rome"))

    def test_what_cannot_be_loaded_or_asked(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="nowhere: vLLM cannot load it"):
            made().answer([Request(str(tmp_path / "nowhere"), "q")])
        bare = str(tiny.save(tmp_path / "bare", template=False))
        provider = made()
        with pytest.raises(DataError, match="its chat template fails") as caught:
            provider.answer([Request(bare, "q")])
        provider.close()
        assert caught.value.hint == "--set vllm.chat=false asks without one"


@pytest.fixture(scope="module")
def served(models: list[str]) -> Iterator[str]:
    """The address of vLLM's OpenAI server for the first model, here called `tiny`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "vllm"), "serve", models[0], "--dtype", "float32"]
    command += ["--enforce-eager", "--max-model-len", "512", "--port", str(port)]
    command += ["--host", "127.0.0.1", "--served-model-name", "tiny"]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait(f"{url}/health", server)
            yield url + "/v1"
        finally:
            server.terminate()


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 400
    while server.poll() is None and time.monotonic() < until:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(1)
        else:
            return
    pytest.fail(f"vLLM's server did not start (exit code {server.poll()})")


class TestServer:
    pytestmark = alone

    def test_fifty_questions(self, served: str) -> None:
        pytest.importorskip("openai")
        options = OpenAICompatible.Options(base_url=served, max_tokens=16, seed=1)
        provider = OpenAICompatible(options)

        async def ask() -> list[Any]:
            requests = [Request("tiny", f"What is the capital of country {i}?") for i in range(50)]
            requests += [Request("tiny", "long " * 600), Request("huge", "q")]
            calls = [provider.ask(request) for request in requests]
            try:
                return await asyncio.gather(*calls, return_exceptions=True)
            finally:
                await provider.close()

        *replies, too_long, unknown = asyncio.run(ask())
        assert {type(reply) for reply in replies} == {Reply}
        assert {reply.finish for reply in replies} <= {"stop", "length"}
        assert all(15 < reply.input_tokens < 60 for reply in replies)
        assert all(1 <= reply.output_tokens <= 16 for reply in replies)
        assert {reply.version for reply in replies} == {"tiny"}
        assert isinstance(too_long, CallError)
        assert isinstance(unknown, CallError)
        assert (too_long.kind, unknown.kind) == ("rejected", "denied")


@pytest.mark.slow
def test_the_files_of_a_tiny_model_are_small(models: list[str]) -> None:
    assert sum(os.path.getsize(f) for f in Path(models[0]).iterdir()) < 2_000_000

"""Collect a suite's answers from vLLM's own OpenAI server, as the `openai` provider asks it.

    python benchmarks/vllm_server.py --vllm ENVIRONMENT/bin/vllm [--questions 50]

A language model of random weights is made on the spot, so that nothing is downloaded: what it says
is nonsense, and what is measured is the way from suite to stored answer. vLLM may live in an
environment of its own; without a GPU it has to be one whose vLLM runs on CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "providers"))
import tiny


@contextmanager
def serving(vllm: Path, model: Path, log: Path) -> Iterator[str]:
    """vLLM's server for the model under the name `tiny`: its address, up to /v1."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [vllm, "serve", model, "--served-model-name", "tiny", "--max-model-len", "512"]
    command += ["--host", "127.0.0.1", "--port", port, "--dtype", "float32", "--enforce-eager"]
    environment = os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    with (
        log.open("w") as said,
        subprocess.Popen(
            [str(word) for word in command], env=environment, stdout=said, stderr=said
        ) as server,
    ):
        try:
            while server.poll() is None:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                    break
                except (urllib.error.URLError, OSError):
                    time.sleep(0.5)
            else:
                sys.exit(f"vLLM's server did not start:\n{log.read_text()[-2000:]}")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()


def collect(url: str, folder: Path, questions: int) -> dict[str, Any]:
    """`routebench collect` on that many SimpleQA questions: its own summary, and the seconds."""
    prices = folder / "prices.toml"
    prices.write_text("[tiny]\ninput_usd_per_mtok = 0.05\noutput_usd_per_mtok = 0.1\n")
    command = [sys.executable, "-m", "routebench", "collect", "--suite", "simpleqa", "--json"]
    command += ["--models", "openai:tiny", "--limit", str(questions), "--judge", "exact"]
    command += ["--store", str(folder / "answers.sqlite"), "--prices", str(prices)]
    command += ["--set", f"openai.base_url={url}", "--set", "openai.max_tokens=32"]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.monotonic() - started
    if done.returncode:
        sys.exit(f"collect ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found | {"seconds": round(seconds, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vllm", type=Path, default=Path(sys.executable).parent / "vllm")
    parser.add_argument("--questions", type=int, default=50)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = tiny.save(folder / "model")
        started = time.monotonic()
        with serving(given.vllm, model, folder / "server.log") as url:
            print(f"server started in {time.monotonic() - started:.1f} s")
            for step in ("first", "again: all is known"):
                print(f"{step}:", json.dumps(collect(url, folder, given.questions), indent=1))


if __name__ == "__main__":
    main()

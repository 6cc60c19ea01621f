"""Compare every router that uses torch on CUDA with itself on a CPU, and time language models.

benchmarks/gpu.sh    (or: python benchmarks/gpu.py [--out FOLDER] [--queries 1500] [--layers 12])

Runs `routebench run` on a table made on the spot, once on each device, with one split and seed.
Prints for each router the decisions that differ, the test scores, the seconds of fitting and
routing, and the peak memory of the process and of the device. A causal LM of random weights is
built too (some 100 million parameters) and tuned in bfloat16 by SFT + DPO (`policy`) and with LoRA
(`causal-lm`), in 4-bit where bitsandbytes is installed, and run by vLLM beside transformers where
that is. Downloads nothing. Without CUDA it runs its CPU part, with small sizes, and says so.
Exits 1 where a run fails, or where devices disagree by more than arithmetic in another order does.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NETWORKS = ("mf", "hybrid-deterministic", "bert", "embedllm", "p2l", "carrot", "router-dc")
GRAPHS = ("irt", "graph-router", "uniroute")
LANGUAGE = ("causal-lm", "policy")
DIFFER, APART = 0.02, 0.02
"""Share of decisions that may differ, and by how much the score may where training is random."""
QUICK = ("pretrain_epochs=1", "num_epochs=1", "hidden_size=32", "vocabulary=400")


def write_table(path: Path, n: int) -> None:
    """Write outcomes of three models, each of them right where its words are in the text."""
    rng = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(400)])
    kind, rows = rng.integers(3, size=n), []
    for i, k in enumerate(kind):
        text = " ".join([*rng.choice(words, 8), f"topic{k}", str(i)])
        for m, cost in enumerate((1e-4, 3e-4, 1e-3)):
            score = float(rng.random() < (0.9 if m == k else 0.3))
            rows.append(
                {"query_id": f"q{i}", "query": text, "model": f"model-{m}", "task": f"t{k}",
                 "score": score, "cost_usd": cost, "input_tokens": 12, "output_tokens": 90}
            )  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), path)


def build_model(folder: Path, layers: int, width: int) -> int:
    """Write a Llama of random weights with a tokenizer of its own; return its parameters."""
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        special_tokens=["</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([f"word{i} topic{i % 3} model-{i % 3}" for i in range(3000)], trainer)
    fast: Any = transformers.PreTrainedTokenizerFast
    tokenizer = fast(tokenizer_object=bpe, eos_token="</s>")
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=8,
        num_key_value_heads=8,
        max_position_embeddings=1024,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(0)
    model: Any = transformers.LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return int(model.num_parameters())


class Bench:
    """Runs, kept in a folder."""

    def __init__(self, folder: Path, table: Path) -> None:
        self.folder, self.table, self.failed = folder, table, 0

    def run(self, name: str, router: str, device: str, *options: str) -> Path | None:
        """Run one router; print its seconds and memory; None where it failed."""
        folder = name.lower().replace(" ", "-").replace(":", "").replace("+-", "")
        out, start = self.folder / f"{folder}-{device}", time.perf_counter()
        suite = ["--suite", f"table:{self.table}"] if router != "personalized" else []
        words = [
            "run",
            *(suite or ["--suite", "personaroute"]),
            "--router",
            f"{router},best-single",
        ]
        words += ["--device", device, "--perturb", "0", "--quiet", "--out", str(out)]
        for option in options:
            words += ["--set", f"{router}.{option}"]
        done = subprocess.run(
            [sys.executable, "-m", "routebench", *words],
            capture_output=True,
            text=True,
            check=False,
        )
        took = time.perf_counter() - start
        place = out / "leaderboard.json"
        board = json.loads(place.read_text()) if place.exists() else {"rows": []}
        timing = board.get("timing", {}).get("routers", {}).get(router)
        if done.returncode or timing is None:
            self.failed += 1
            rows = [row["message"] for row in board["rows"] if row["router"] == router]
            lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
            print(f"FAIL  {name:28} {device:6} {rows[0] if rows else lines[-1]}", flush=True)
            return None
        process_mib = timing["peak_rss_bytes"] / 2**20
        device_mib = timing.get("peak_device_bytes", 0) / 2**20
        print(
            f"      {name:28} {device:6} fit {timing['fit_seconds']:7.1f} s  route"
            f" {timing['route_seconds']:6.2f} s  {process_mib:6.0f} MiB  device"
            f" {device_mib:6.0f} MiB  whole {took:5.1f} s",
            flush=True,
        )
        return out

    def compare(self, name: str, one: Path | None, other: Path | None, exact: bool) -> None:
        """Say how many decisions of two runs differ, and how far their test scores are apart."""
        if one is None or other is None:
            return
        (first, gained), (second, there) = (decisions(one), decisions(other))
        differ = sum(first[key] != second[key] for key in first)
        apart = abs(gained - there)
        good = differ <= DIFFER * len(first) if exact else apart <= APART
        self.failed += not good
        print(
            f"{'PASS' if good else 'FAIL'}  {name:28} {differ} of {len(first)} decisions differ,"
            f" scores {gained:.3f} and {there:.3f}",
            flush=True,
        )


def decisions(run: Path) -> tuple[dict[tuple[str, str], str], float]:
    """Return the choices by query and user of the router that is no reference, and its score."""
    rows = pq.read_table(run / "decisions.parquet").to_pylist()
    (name,) = {row["router"] for row in rows} - {"best-single"}
    board = json.loads((run / "leaderboard.json").read_text())
    (row,) = (row for row in board["rows"] if row["router"] == name)
    own = {(r["query"], r["user"] or ""): r["choice"] for r in rows if r["router"] == name}
    return own, float(row["metrics"]["accuracy"]["value"])


def main() -> int:
    """Run all parts; return 1 where one fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder to keep the runs in")
    parser.add_argument("--queries", type=int, help="1,500, and 300 without CUDA")
    parser.add_argument("--layers", type=int, help="of the language model: 12, and 2 without CUDA")
    given = parser.parse_args()
    import torch

    cuda = torch.cuda.is_available()
    where = torch.cuda.get_device_name() if cuda else "no CUDA: the CPU part alone, at small sizes"
    print(f"torch {torch.__version__}, {where}", flush=True)
    devices = ("cpu", "cuda") if cuda else ("cpu",)
    with tempfile.TemporaryDirectory() as home:
        folder = given.out or Path(home)
        folder.mkdir(parents=True, exist_ok=True)
        table = folder / "outcomes.parquet"
        write_table(table, given.queries or (1_500 if cuda else 300))
        bench = Bench(folder, table)
        for router in (*NETWORKS, *GRAPHS, "personalized"):
            options = ("train_epoch=20",) if router == "personalized" else ()
            made = [bench.run(router, router, device, *options) for device in devices]
            if cuda:
                bench.compare(router, made[0], made[1], exact=router != "bert")
        for router in LANGUAGE:
            options = () if cuda else QUICK
            made = [bench.run(router, router, device, *options) for device in devices]
            if cuda:  # in bfloat16 on CUDA: other weights, hence the scores alone
                bench.compare(router, made[0], made[1], exact=False)
        _large(bench, devices[-1], given.layers or (12 if cuda else 2), 768 if cuda else 64)
    print("all hold" if not bench.failed else f"{bench.failed} failed")
    return 1 if bench.failed else 0


def _large(bench: Bench, device: str, layers: int, width: int) -> None:
    """Tune a language model built on the spot, and run it by every engine that is installed."""
    base = bench.folder / "base"
    size = build_model(base, layers, width)
    print(f"a language model of {size / 1e6:.1f} million parameters", flush=True)
    shared = (f"base_model={base}", "num_epochs=1", "batch_size=16")
    bench.run("policy: SFT + DPO", "policy", device, *shared, "use_lora=false")
    lora = bench.run("causal-lm: LoRA", "causal-lm", device, *shared)
    if find_spec("bitsandbytes") is None or device == "cpu":
        print("      4-bit: needs CUDA and bitsandbytes")
    else:
        bench.run("causal-lm: 4-bit", "causal-lm", device, *shared, "quantization=4bit")
    if find_spec("vllm") is None or device == "cpu":
        print("      vLLM: needs CUDA and vllm")
    else:
        served = bench.run("causal-lm: vLLM", "causal-lm", device, *shared, "engine=vllm")
        bench.compare("vLLM and transformers", served, lora, exact=True)


if __name__ == "__main__":
    sys.exit(main())

"""A base model tuned on examples, which answers a prompt with one of its labels."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from routebench.errors import DataError
from routebench.hookspecs import Context
from routebench.records import Floats, Usage
from routebench_routers.language import adjustments, bases, engines, tune
from routebench_routers.language.options import LanguageOptions
from routebench_routers.language.prepare import prepare
from routebench_routers.language.prompts import Prompts, Template
from routebench_routers.language.tune import Plan

Row = Mapping[str, str]
"""An example: prompt and completion, or prompt, chosen and rejected; and the query."""

Weighted = tuple[str, int, float]
"""A query, one of its right labels, and the example's weight."""

_ANSWER = 8
"""Tokens reserved for a label and the end token."""


@dataclass
class LanguageModel:
    """The language model of a router: prepared, tuned in stages, saved and queried."""

    options: LanguageOptions
    template: Template
    device: str = "cpu"
    work: Path | None = None
    """Working folder of the training; None for a loaded model."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Facts to report: base model, parameters, where it was pretrained."""
    curves: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    """Loss by step of each stage."""
    answer_room: int = _ANSWER
    """Tokens reserved for the answer."""
    positions: int | None = None
    """Tokens that the base model can read at once; None where nothing limits them."""
    _base: Path = Path()
    _plan: Plan | None = None
    _merged: Path | None = None
    _model: Path | None = None
    _engine: engines.Engine | None = None
    _files: list[Path] = field(default_factory=list)

    @classmethod
    def prepare(
        cls,
        options: LanguageOptions,
        template: Template,
        queries: Sequence[str],
        context: Context,
        told: Callable[[float, str], None],
        answer_room: int = _ANSWER,
        also: Sequence[str] = (),
    ) -> LanguageModel:
        """Prepare a base model that has tokens for the labels but is not yet tuned to choose.

        `also` are texts that an embedded model will have to write: its vocabulary covers them.
        """
        asked, limit = options.max_length, bases.limit_of(options)
        options = adjustments.fitted(options, limit)
        made = cls(options, template, context.device, context.work, answer_room=answer_room)
        made.positions = limit
        kept = made._kept(context)
        said = kept / "base.json"
        if not said.exists():
            with one_thread(context.device):
                facts = prepare(options, template, queries, kept / "base", context.seed, told, also)
            said.write_text(json.dumps(facts))
        made.facts = json.loads(said.read_text())
        losses = made.facts.pop("pretrain_loss", [])
        made.curves["pretrain"] = [{"epoch": i + 1, "loss": x} for i, x in enumerate(losses)]
        made._base = kept / "base"
        made._open(bases.load_tokenizer(made._base))
        made._say(asked)
        return made

    def probe(
        self,
        examples: Sequence[Weighted],
        held_out: Sequence[Weighted],
        context: Context,
        told: Callable[[float, str], None],
    ) -> None:
        """Learn the labels' rows from the base model's states, before it is tuned."""
        if (self._base / bases.LABELS).exists():
            return
        told(0.0, "reading the prompts")
        both = [*examples, *held_out]
        prompts = self.prompts.encode(self.prompts.of([text for text, _, _ in both]))
        label = np.array([one for _, one, _ in both], dtype=np.int64)
        weight = np.array([share for _, _, share in both])
        with one_thread(self.device):
            model = bases.load_model(
                tune.source(self.options, self._base),
                self.prompts.tokenizer,
                self.options,
                self.device,
            )
            loss = bases.learn_labels(
                model.eval(),
                prompts,
                label,
                weight,
                len(held_out),
                len(self.prompts.tokenizer),
                self._base,
            )
        self.curves["probe"] = [{"step": 0, "eval_loss": loss}] if loss == loss else []

    def tune(
        self,
        stage: str,
        rows: Sequence[Row],
        held_out: Sequence[Row],
        passes: int,
        context: Context,
        told: Callable[[float, str], None],
        *,
        learning_rate: float | None = None,
        beta: float = 0.1,
    ) -> None:
        """Learn from examples; `rows` are `passes` passes of equal length, one after the other."""
        folder = self._kept(context) / stage
        folder.mkdir(exist_ok=True)
        plan = Plan(
            stage=stage,
            data=_write(folder / "train.jsonl", rows),
            held_out=_write(folder / "held_out.jsonl", held_out) if held_out else None,
            base=self._base,
            adapter=self._plan.out if self._plan else None,
            out=folder / "out",
            work=folder / "steps",
            options=self.options,
            passes=passes,
            learning_rate=learning_rate or self.options.learning_rate,
            beta=beta,
            seed=context.seed,
            device=self.device,
        )
        plan.out.mkdir(exist_ok=True)
        plan.work.mkdir(exist_ok=True)
        with one_thread(self.device):
            if not (plan.out / "curve.json").exists():  # else a killed run finished this stage
                tune.tune(plan, told)
        self.curves[stage] = json.loads((plan.out / "curve.json").read_text())
        self._plan = plan
        self._files.append(plan.data)
        self._engine = None

    def save(self, folder: Path) -> None:
        """Save the tuned model, its training files and its curves into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self._merge()
        assert self._model is not None
        if self._model != folder / "model":
            shutil.copytree(self._model, folder / "model", dirs_exist_ok=True)
        for file in self._files:
            place = folder / "training" / f"{file.parent.name}.jsonl"
            place.parent.mkdir(exist_ok=True)
            shutil.copyfile(file, place)
        (folder / "training.json").write_text(json.dumps(self.curves))
        (folder / "language.json").write_text(
            json.dumps(
                {
                    "head": self.template.head,
                    "tail": self.template.tail,
                    "labels": self.template.labels,
                    "kind": self.template.kind,
                    "device": self.device,
                    "facts": self.facts,
                    "answer_room": self.answer_room,
                    "positions": self.positions,
                },
                indent=2,
            )
        )

    @classmethod
    def load(cls, folder: Path, options: LanguageOptions) -> LanguageModel:
        """Load a saved model, on the device it was trained on if that is available."""
        place = folder / "language.json"
        if not place.is_file():
            raise DataError(f"no language model in {folder}: language.json is missing")
        said = json.loads(place.read_text())
        template = Template(said["head"], said["tail"], tuple(said["labels"]), said["kind"])
        device = said["device"] if _usable(said["device"]) else "cpu"
        limit = said.get("positions")
        options = adjustments.fitted(options, limit)
        made = cls(options, template, device, None, said["facts"], answer_room=said["answer_room"])
        made.positions = limit
        made._model = folder / "model"
        made._open(bases.load_tokenizer(made._model))
        assert made.engine  # load it now: routing does not include loading
        return made

    def log_probs(self, queries: Sequence[str]) -> tuple[Floats, Usage]:
        """Return [n, k] the log-probabilities of the labels, and the usage."""
        ids = self.prompts.encode(self.prompts.of(queries))
        with one_thread(self.device):
            found = self.engine.label_log_probs(ids, self.label_ids)
        return found, self._usage(ids, np.ones(len(ids)))

    def generate(
        self, queries: Sequence[str], choices: Sequence[str] | None = None, after: str = ""
    ) -> tuple[list[str], Usage]:
        """Return the text that the model generates after each prompt, and the usage.

        `after` is a prefix of the answer; with one, prose without labels is generated.
        """
        prompts = [prompt + after for prompt in self.prompts.of(queries)]
        ids = self.prompts.encode(prompts)
        with one_thread(self.device):
            texts = self.engine.generate(ids, choices, self.label_ids if after else ())
        written = [len(own) + 1 for own in self.prompts.encode(texts)]
        return texts, self._usage(ids, np.array(written, dtype=np.float64))

    @property
    def engine(self) -> engines.Engine:
        """Return the engine that runs the model, loaded on first use."""
        if self._engine is None:
            self._merge()
            assert self._model is not None
            options = self.options
            if self.work is not None:  # training still holds the GPU memory that vLLM would take
                options = options.model_copy(update={"engine": "transformers"})
            self._engine = engines.load(self._model, options, self.device)
        return self._engine

    def _merge(self) -> None:
        """Write the model of the last stage, for the engine and for `save`."""
        if self._plan is None or self._merged == self._plan.out:
            return
        assert self.work is not None
        place = self.work / f"model-{self._plan.stage}"
        with one_thread("cpu"):
            tune.finish(self._plan, place)
        self.facts["parameters"] = _numbers(place)
        self._merged, self._model, self._engine = self._plan.out, place, None

    def _open(self, tokenizer: Any) -> None:
        room = self.options.max_length - self.answer_room
        self.prompts = Prompts(self.template, tokenizer, room, self.positions)
        self.label_ids = tokenizer.convert_tokens_to_ids(self.template.tokens())

    def _say(self, asked: int) -> None:
        """State on the board what the base model made different."""
        if self.options.max_length < asked:
            self.facts["max_length"] = self.options.max_length
            warnings.warn(
                f"max_length {asked:,} cut to {self.options.max_length:,}: the base model has no"
                " more positions",
                stacklevel=2,
            )
        for name in ("end_token", "open_prompts"):
            if name in self.facts:
                warnings.warn(f"base model, {name}: {self.facts[name]}", stacklevel=2)

    def _usage(self, ids: Sequence[Sequence[int]], written: Floats) -> Usage:
        read = np.array([len(own) for own in ids], dtype=np.float64)
        options = self.options
        cost = read * options.input_usd_per_mtok + written * options.output_usd_per_mtok
        return Usage(read, written, cost / 1e6)

    def _kept(self, context: Context) -> Path:
        return context.kept or context.work


class one_thread:  # noqa: N801  read as `with one_thread(device)`
    """A context in which torch uses one thread if the device is a CPU, as in every job."""

    def __init__(self, device: str) -> None:
        self.on = device == "cpu"

    def __enter__(self) -> None:
        import torch

        self.threads = torch.get_num_threads()
        if self.on:
            torch.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        import torch

        torch.set_num_threads(self.threads)


def _numbers(place: Path) -> int:
    """Count the parameters in a folder's weight files, without the labels' learned rows."""
    from safetensors import safe_open

    count = 0
    for path in place.rglob("*.safetensors"):
        if path.name == bases.LABELS:
            continue
        with safe_open(path, "np") as arrays:
            names = arrays.keys()
            count += sum(int(np.prod(arrays.get_slice(name).get_shape())) for name in names)
    return count


def _write(place: Path, rows: Sequence[Row]) -> Path:
    text = "".join(json.dumps(dict(row), ensure_ascii=False) + "\n" for row in rows)
    place.write_text(text, encoding="utf-8")
    return place


def _usable(device: str) -> bool:
    import torch

    return device == "cpu" or torch.cuda.is_available()

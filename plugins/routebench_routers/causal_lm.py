"""A causal language model tuned to name the model that answers a query best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from routebench.hookspecs import Context, hookimpl
from routebench.plugin import checkpoint
from routebench.plugin.selection import Chooser, best, best_single, utility
from routebench.records import Decisions, Floats, Ints, Pool, Queries, Table
from routebench.routers.confidence import Confidence
from routebench_routers.language.model import LanguageModel, Weighted
from routebench_routers.language.options import LanguageOptions, check_base, paper
from routebench_routers.language.prompts import Template
from routebench_routers.pairing import Calibration, calibrate, known_enough, share_of_ties, worth

_TIE = 1e-9


class CausalLM:
    """A causal language model tuned to complete a prompt with the name of the best model.

    The prompt is an instruction, the models' names, `Query: …` and `Best LLM:`.

    Source: the causal LM router of LLMRouter and RouteLLM (arXiv 2406.18665), with LoRA (arXiv
    2106.09685) on all linear layers; preset `paper`: Llama-2-7B, LoRA r 16, alpha 32, dropout .1,
    lr 2e-5, 3 epochs of batches of 4, at most 512 tokens, merged after training. The embedded
    base is a small Llama with a BPE vocabulary, both made of the training queries alone.

    Deviations: every model is one added token, so that the likeliest answer is one forward pass,
    nothing fails to parse, and every model has a probability (`decode = generate` writes names
    instead: freely, or restricted to the names). Ties are not broken by the order of columns:
    each pass over the queries draws one of the best models, and a query that all models fail
    is left out. With the embedded base the pass with the lowest loss on validation is kept.
    Expected scores are calibrated on validation as those of `mf` are, which keeps their order.
    """

    family = "language models"

    class Options(LanguageOptions):
        decode: Literal["score", "generate"] = Field(
            "score", description="likeliest of the models' tokens, or a written name"
        )
        constrained: bool = Field(
            True, description="decode = generate: nothing but the models' names can be written"
        )

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": paper(base_model="meta-llama/Llama-2-7b-hf")
    }

    def __init__(self, options: Options) -> None:
        self.options = options
        self._model: LanguageModel | None = None
        self._names: tuple[str, ...] = ()
        self._columns: Ints
        self._fallback = 0
        self._chooser: Chooser
        self._calibration: Calibration | None = None
        self._confidence = Confidence()
        self._ties = 0.0
        self._asked = self._unparsed = 0

    libraries = ("torch", "transformers.modeling_utils")
    effort = 75

    @property
    def starts_processes(self) -> bool:
        """Return whether training runs in several processes, or vLLM serves."""
        return self.options.processes > 1 or self.options.engine == "vllm"

    def needs(self, pool: Pool, shown: frozenset[str], priced: bool) -> str | None:
        """Return why a run cannot use it, or None: it needs two models.

        Raises an `OptionError` where the base model is not on this machine.
        """
        check_base(self.options)
        return None if len(pool) > 1 else f"needs two models: this pool has {pool.models[0]} only"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self._names = train.pool.models
        self._chooser = Chooser.learn(train, context.objective)
        known = np.flatnonzero(known_enough(train.outcomes.ok))
        # Sorted by name: neither the prompt nor what is learned depends on the columns' order.
        self._columns = np.array(sorted(known, key=self._names.__getitem__), dtype=np.int64)
        self._fallback = best_single(train.outcomes, train.outcomes.mean_cost())
        values = self._worth(train)
        self._ties = share_of_ties(values)
        queries = [str(text) for text in train.queries.text]
        share = _Shares(context, pretrain=0.25)
        rows = self._examples(train, context.seed)
        if len({label for _, label in rows}) < 2:
            context.progress(1.0, "no query tells one model from another: best single model")
            return
        self._model = LanguageModel.prepare(
            self.options,
            self._template(),
            sorted(queries),
            context,
            share.first,
            answer_room=self._room(),
        )
        if self.options.decode == "score":
            self._model.probe(self._tied(train), self._tied(validation), context, share.second)
        self._model.tune(
            "sft",
            self._prompted(rows),
            self._prompted(self._examples(validation, context.seed, passes=2)),
            self.options.num_epochs,
            context,
            share.second,
        )
        self._calibrate(train, validation)
        context.progress(1.0, f"{len(rows):,} examples, {self._ties:.0%} of model pairs tie")

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        if self._model is None:
            return Decisions(np.full(len(queries), self._fallback, dtype=np.int64))
        texts = [str(text) for text in queries.text]
        if self.options.decode == "generate":
            return self._written(texts)
        found, usage = self._model.log_probs(texts)
        assert self._calibration is not None, "fit calibrates what is scored"
        quality = self._spread(self._calibration(found))
        choice = best(self._spread(found), self._chooser.cost)
        sure = self._confidence(quality, choice)
        return Decisions(choice, quality=quality, confidence=sure, usage=usage)

    def facts(self) -> dict[str, str | float]:
        """Return the base model's facts, shares of ties and parse failures, and trimmed prompts."""
        told: dict[str, str | float] = {"ties": self._ties}
        if self._model is not None:
            told |= self._model.facts | {"trimmed_prompts": self._model.prompts.trimmed}
        if self._asked:
            told["parse_failures"] = self._unparsed / self._asked
        return told

    def save(self, folder: Path) -> None:
        meta: dict[str, Any] = {
            "models": self._names,
            "columns": [int(column) for column in self._columns],
            "fallback": self._fallback,
            "ties": self._ties,
            "chooser": self._chooser.to_json(),
            "confidence": asdict(self._confidence),
            "tuned": self._model is not None,
        }
        arrays = {}
        if self._calibration is not None:
            values = asdict(self._calibration)
            arrays = {name: values.pop(name) for name in ("shift", "ease")}
            meta["calibration"] = values
        checkpoint.save(folder, meta, arrays)
        if self._model is not None:
            self._model.save(folder / "language")

    def load(self, folder: Path) -> None:
        meta, arrays = checkpoint.load(folder)
        self._names = tuple(meta["models"])
        self._columns = np.array(meta["columns"], dtype=np.int64)
        self._fallback, self._ties = meta["fallback"], meta["ties"]
        self._chooser = Chooser.from_json(meta["chooser"])
        self._confidence = Confidence(**meta["confidence"])
        if "calibration" in meta:
            self._calibration = Calibration(**(meta["calibration"] | arrays))
        if meta["tuned"]:
            self._model = LanguageModel.load(folder / "language", self.options)

    def _template(self) -> Template:
        names = tuple(self._names[column] for column in self._columns)
        return Template(
            head="Name the LLM that answers the query best.\n"
            f"Available LLMs: {', '.join(names)}\nQuery: ",
            tail="\nBest LLM:",
            labels=names,
            kind="llm",
        )

    def _room(self) -> int:
        return 8 if self.options.decode == "score" else self.options.max_new_tokens

    def _worth(self, table: Table) -> Floats:
        values = utility(table.outcomes.score, self._chooser.cost, self._chooser.objective)
        return worth(values, table.outcomes.score)[:, self._columns]

    def _examples(
        self, table: Table, seed: int, passes: int | None = None
    ) -> list[tuple[str, int]]:
        """Return queries with their best models, pass by pass; ties are drawn anew in each pass."""
        texts = table.queries.text
        # Sorted by text: what is learned does not depend on the order of rows.
        order = np.array(sorted(range(len(texts)), key=texts.__getitem__), dtype=np.int64)
        known = np.nan_to_num(self._worth(table)[order], nan=-np.inf)
        top = known.max(axis=1, keepdims=True, initial=-np.inf)
        told = np.flatnonzero(np.isfinite(top[:, 0]))
        rng = np.random.default_rng(seed)
        found = []
        for _ in range(passes or self.options.num_epochs):
            drawn = np.where(known >= top - _TIE, rng.random(known.shape), -1.0).argmax(axis=1)
            found += [(str(texts[order[row]]), int(drawn[row])) for row in rng.permutation(told)]
        return found

    def _tied(self, table: Table) -> list[Weighted]:
        """Return every query with each of its best models, among which its weight is divided."""
        known = np.nan_to_num(self._worth(table), nan=-np.inf)
        top = known.max(axis=1, keepdims=True, initial=-np.inf)
        tied = np.isfinite(known) & (known >= top - _TIE)
        texts = table.queries.text
        found = [
            (str(texts[row]), int(label), 1.0 / int(tied[row].sum()))
            for row, label in zip(*np.nonzero(tied), strict=True)
        ]
        return sorted(found)

    def _prompted(self, rows: Sequence[tuple[str, int]]) -> list[dict[str, str]]:
        assert self._model is not None
        answers = self._model.template.tokens()
        if self.options.decode == "generate":
            answers = [f" {label}" for label in self._model.template.labels]
        prompts = self._model.prompts.of([text for text, _ in rows])
        return [
            {"prompt": prompt, "completion": answers[label], "query": text}
            for prompt, (text, label) in zip(prompts, rows, strict=True)
        ]

    def _calibrate(self, train: Table, validation: Table) -> None:
        if self.options.decode == "generate" or self._model is None:
            return
        # Without validation, calibrate on training: overconfident, but the order is kept.
        validation = validation if len(validation) else train
        found, _ = self._model.log_probs([str(text) for text in validation.queries.text])
        known = train.outcomes.score[train.outcomes.ok]
        score = np.where(validation.outcomes.ok, validation.outcomes.score, np.nan)
        cost = None
        if self._chooser.objective.cost and self._chooser.cost is not None:
            cost = np.nan_to_num(self._chooser.cost[self._columns])
        bounds = np.array([known.min(), known.max()])
        self._calibration = calibrate(found, score[:, self._columns], cost, bounds)
        quality = self._spread(self._calibration(found))
        choice = best(self._spread(found), self._chooser.cost)
        self._confidence = Confidence.learn(quality, choice, validation)

    def _spread(self, values: Floats) -> Floats:
        """Return [n, m] the values by model; NaN for models that have no label."""
        whole = np.full((len(values), len(self._names)), np.nan)
        whole[:, self._columns] = values
        return whole

    def _written(self, texts: list[str]) -> Decisions:
        """Return decisions by generated names; the best single model where a text names none."""
        assert self._model is not None
        labels = self._model.template.labels
        choices = [f" {label}" for label in labels] if self.options.constrained else None
        written, usage = self._model.generate(texts, choices)
        found = [named(text, labels) for text in written]
        self._asked += len(found)
        self._unparsed += found.count(None)
        choice: Ints = np.array(
            [self._fallback if one is None else self._columns[one] for one in found],
            dtype=np.int64,
        )
        return Decisions(choice, usage=usage)


def named(text: str, names: Sequence[str]) -> int | None:
    """Return the position of the name that a text is, after normalisation; None if it is none.

    The whole text counts: `gpt-4o-mini` is not `gpt-4`, nor is a sentence that holds a name.
    """
    said = _normal(text)
    for place, name in enumerate(names):
        if said == _normal(name):
            return place
    return None


def _normal(text: str) -> str:
    return " ".join(text.split()).strip(" .\"'`*").casefold()


class _Shares:
    """Progress callbacks of a fit that consists of two stages."""

    def __init__(self, context: Context, pretrain: float) -> None:
        self.context = context
        self.pretrain = pretrain

    def first(self, done: float, note: str) -> None:
        self.context.progress(self.pretrain * done, note)

    def second(self, done: float, note: str) -> None:
        self.context.progress(self.pretrain + (1 - self.pretrain) * done, note)

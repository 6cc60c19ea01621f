"""A language model tuned to predict the policy of a query, with rules to map it to a model."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from routebench.errors import RoutebenchError
from routebench.hookspecs import Context, hookimpl
from routebench.plugin import checkpoint
from routebench.plugin.budget import Budget
from routebench.records import Decisions, Floats, Ints, Pool, Queries, Table
from routebench.routers.confidence import Confidence
from routebench_routers.hybrid.labels import samples_of
from routebench_routers.language.model import LanguageModel
from routebench_routers.language.options import LanguageOptions, check_base, paper
from routebench_routers.policy import oracle as oracles
from routebench_routers.policy.cues import grounded
from routebench_routers.policy.decision import Boundary, calibration, ceiling, mean_scores
from routebench_routers.policy.examples import (
    REASONING,
    Balance,
    Lessons,
    any_reasons,
    preferences,
    supervised,
)
from routebench_routers.policy.mapper import Mapper
from routebench_routers.policy.oracle import POLICIES, Oracle
from routebench_routers.policy.prompt import ask_for, is_policy

if TYPE_CHECKING:
    import pyarrow as pa

_CHECKED = 32  # validation queries on which generation is tested


class PolicyRouter:
    """A language model that predicts a query's policy, and a mapper from policies to models.

    Training queries on which the medium model is right are `standard`, those that only the large
    one gets are `complex`, the others `ambiguous` (nine cells, see `oracle`). A causal LM learns
    to name the policy of a query: supervised (SFT), then on pairs of the right and a wrong policy
    (DPO, arXiv 2305.18290). Rules in TOML, which no training sees, map a policy to a model.
    Preset `paper`: Gemma-2-2B-it, 4-bit QLoRA, SFT for 3 epochs and DPO for 1.

    Deviations: a policy is one added token, so that its probability is read off directly and no
    answer fails to parse; reasons are written on demand, after the policy, and never decide; the
    reasons taught name only cues of the query. Rare policies are taught more often (`balance`).
    The policy decided is not the most probable one, but the point that validation supports: from
    a calibrated probability of policies for the medium model on, the least at which validation
    loses `max_drop` percent of the large model's quality at most, with a standard error to spare
    (not in preset `paper`). Taught to be balanced, the model finds all policies about as probable
    where texts do not tell them apart, and the most probable one mixes the two models at random.
    `confidence` is the probability that the chosen model is right, calibrated on validation; the
    reason holds that of the policy. The rules on words are off unless `rules` is true.
    """

    family = "language models"

    class Options(LanguageOptions):
        medium: str | None = Field(None, description="the model for standard queries")
        large: str | None = Field(None, description="the model for complex queries")
        max_new_tokens: int = Field(64, ge=1, description="tokens of a reason at most")
        dpo_epochs: int = Field(1, ge=0, description="passes over pairs of policies; 0: SFT alone")
        dpo_learning_rate: float = Field(3e-4, gt=0, description="peak learning rate of DPO")
        beta: float = Field(0.1, gt=0, description="how strongly DPO holds on to what SFT learned")
        balance: Balance = Field(
            "full", description="how often rare policies are taught: as they come, or oftener"
        )
        decide: Literal["validated", "most-probable"] = Field(
            "validated", description="the policy at the point of max_drop, or the most probable"
        )
        max_drop: float = Field(
            1.0, ge=0, le=100, description="percent of quality that validation may lose (validated)"
        )
        reasons: bool = Field(True, description="teach the model to write reasons")
        explain: bool = Field(False, description="write a reason with every decision")
        rules: bool = Field(
            False, description="apply the mapping's rules on words and length, not its table alone"
        )
        mapping: str | None = Field(
            None, description="TOML file of rules from policies to models, or its text"
        )

        @field_validator("mapping")
        @classmethod
        def _read(cls, value: str | None) -> str | None:
            """Read the file, so that later changes to it do not affect a checkpoint."""
            if value is None or "\n" in value:
                return value
            try:
                return Mapper.load(value).dump()
            except RoutebenchError as error:
                raise ValueError(str(error)) from error

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": paper(
            base_model="google/gemma-2-2b-it",
            quantization="4bit",
            dpo_learning_rate=5e-6,
            decide="most-probable",
        )
    }
    route_options = ("mapping", "rules", "explain", "engine", "max_new_tokens", "temperature")

    def __init__(self, options: Options) -> None:
        self.options = options
        self.budget: Budget | None = None
        """Budget for routed calls, outside benchmarks; the mapping's first rule observes it."""
        self._models: tuple[str, ...] = ()
        self._pair = (0, 0)
        self._labels: tuple[str, ...] = ()
        self._model: LanguageModel | None = None
        self._oracle: pa.Table
        self._worth: Floats
        self._scale: dict[str, Floats] | None = None
        self._confidence = Confidence()
        self._boundary = Boundary()
        self._facts: dict[str, str | float] = {}

    libraries = ("torch", "transformers.modeling_utils")
    effort = 95

    @property
    def starts_processes(self) -> bool:
        """Return whether training runs in several processes, or vLLM serves."""
        return self.options.processes > 1 or self.options.engine == "vllm"

    def needs(self, pool: Pool, shown: frozenset[str], priced: bool) -> str | None:
        """Return why a run cannot use it, or None.

        It needs two models, and their names or prices. Raises an error where the base model is
        not on this machine, or where the mapping names a model that is not in the pool.
        """
        check_base(self.options)
        lack = oracles.lacks(pool, priced, self.options.medium, self.options.large)
        if lack is None:
            self._mapper().columns(pool.models, 0, 1)
        return lack

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        options = self.options
        self._models = train.pool.models
        self._pair = oracles.choose_pair(train.pool, train.outcomes, options.medium, options.large)
        found = oracles.oracle(train, *self._pair)
        checked = oracles.oracle(validation, *self._pair)
        self._oracle = oracles.to_table(found, train)
        self._labels = tuple(policy for policy in POLICIES if policy in found.policy)
        self._describe(found)
        self._worth = mean_scores(train, found, self._labels)
        if len(self._labels) > 1:
            self._teach(
                Lessons.of(train, found, self._labels),
                Lessons.of(validation, checked, self._labels),
                context,
            )
        self._calibrate(validation, checked)
        context.progress(1.0, str(self._facts["cells"]) if len(found) else "no query to learn from")

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        texts = [str(text) for text in queries.text]
        found, usage = self._ask(texts)
        label = self._decided(found)
        share = np.exp(found)[np.arange(len(texts)), label]
        names = [self._labels[one] if self._labels else "standard" for one in label]
        mapper = self._mapper()
        column = mapper.columns(self._models, *self._pair)
        rules = self.options.rules or self.budget is not None
        mapped = [
            mapper.decide(policy, text, self.budget) if rules else mapper.static(policy)
            for policy, text in zip(names, texts, strict=True)
        ]
        choice = np.array([column[one.tier] for one in mapped], dtype=np.int64)
        quality = self._quality(found)
        inside = np.isin(choice, self._pair).all()
        reasons = [
            f"{policy} ({p:.2f}); {one.rule}: {one.detail}"
            for policy, p, one in zip(names, share, mapped, strict=True)
        ]
        if self.options.explain and self._model is not None:
            reasons = [
                f"{own}. {text}"
                for own, text in zip(reasons, self.explain(texts, names), strict=True)
            ]
        return Decisions(
            choice,
            quality=quality if inside else None,
            confidence=self._confidence(quality, choice) if inside else None,
            policy=np.array(names, dtype=object),
            reason=np.array(reasons, dtype=object),
            usage=usage,
        )

    def explain(self, texts: Sequence[str], policies: Sequence[str]) -> list[str]:
        """Return the reason that the model writes for each query and policy."""
        assert self._model is not None
        written = [""] * len(texts)
        for policy, token in zip(self._labels, self._model.template.tokens(), strict=True):
            rows = [row for row, own in enumerate(policies) if own == policy]
            said, _ = self._model.generate([texts[row] for row in rows], after=token + REASONING)
            for row, text in zip(rows, said, strict=True):
                written[row] = " ".join(text.split())
        return written

    def facts(self) -> dict[str, str | float]:
        """Return the oracle's cells, the base model's facts, and measures of its training."""
        told = dict(self._facts)
        if self._model is not None:
            told |= self._model.facts | {"trimmed_prompts": self._model.prompts.trimmed}
        return told

    def save(self, folder: Path) -> None:
        import pyarrow.parquet as pq

        meta = {
            "models": self._models,
            "pair": self._pair,
            "labels": self._labels,
            "confidence": asdict(self._confidence),
            "boundary": self._boundary.to_json(),
            "facts": self._facts,
            "mapping": self._mapper().dump(),
            "tuned": self._model is not None,
        }
        arrays = {"worth": self._worth, **(self._scale or {})}
        checkpoint.save(folder, meta, arrays)
        pq.write_table(self._oracle, folder / "oracle.parquet")
        if self._model is not None:
            self._model.save(folder / "language")

    def load(self, folder: Path) -> None:
        meta, arrays = checkpoint.load(folder)
        self._models, self._pair = tuple(meta["models"]), tuple(meta["pair"])
        self._labels, self._facts = tuple(meta["labels"]), meta["facts"]
        self._confidence = Confidence(**meta["confidence"])
        self._boundary = Boundary.from_json(meta.get("boundary"))
        self._worth = arrays.pop("worth")
        self._scale = arrays or None
        if meta["tuned"]:
            self._model = LanguageModel.load(folder / "language", self.options)

    def _mapper(self) -> Mapper:
        text = self.options.mapping
        return Mapper.load() if text is None else Mapper.parse(text, "mapping")

    def _describe(self, found: Oracle) -> None:
        medium, large = (self._models[column] for column in self._pair)
        # C, I, N: correct, incorrect, not attempted; the medium model first.
        cells = ", ".join(f"{one[0]}{two[0]} {n}" for (one, two), n in found.counts().items())
        self._facts = {"medium": medium, "large": large, "cells": cells}
        self._facts |= {f"train_{name}": share for name, share in found.distribution().items()}
        if missing := [policy for policy in POLICIES if policy not in self._labels]:
            warnings.warn(
                f"training has no {' and no '.join(missing)} query: nothing else can be decided"
                if len(self._labels) < 2
                else f"training has no {' and no '.join(missing)} query: it is never decided",
                stacklevel=2,
            )

    def _teach(self, lessons: Lessons, checked: Lessons, context: Context) -> None:
        options, seed = self.options, context.seed
        template = ask_for(self._labels)
        self._model = model = LanguageModel.prepare(
            options,
            template,
            lessons.texts,
            context,
            lambda done, note: context.progress(0.25 * done, note),
            answer_room=8 + (options.max_new_tokens if options.reasons else 0),
            also=any_reasons(lessons, template.tokens(), seed) if options.reasons else (),
        )
        answers = model.template.tokens()
        rng = np.random.default_rng([seed, 1])
        passes = lessons.passes(options.num_epochs, options.balance, rng)
        held_out = checked.passes(1, options.balance, rng) if len(checked) else []
        if held_out:
            model.probe(
                lessons.weighted(options.balance),
                checked.weighted(options.balance),
                context,
                lambda done, note: context.progress(0.25, note),
            )
        model.tune(
            "sft",
            supervised(lessons, passes, model.prompts, answers, options.reasons),
            supervised(checked, held_out, model.prompts, answers, False),
            options.num_epochs,
            context,
            lambda done, note: context.progress(0.25 + 0.45 * done, f"SFT, {note}"),
        )
        self._measure("sft", checked)
        if options.dpo_epochs:
            rng = np.random.default_rng([seed, 2])
            rows = np.concatenate(lessons.passes(options.dpo_epochs, options.balance, rng))
            model.tune(
                "dpo",
                preferences(lessons, rows, model.prompts, answers, rng),
                [],
                options.dpo_epochs,
                context,
                lambda done, note: context.progress(0.7 + 0.28 * done, f"DPO, {note}"),
                learning_rate=options.dpo_learning_rate,
                beta=options.beta,
            )
            self._measure("dpo", checked)
        self._try_writing(checked)

    def _measure(self, stage: str, checked: Lessons) -> None:
        """Measure on validation how often the right policy leads, and its log-odds in nats."""
        if not len(checked):
            return
        found, _ = self._ask(checked.texts)
        rows = np.arange(len(checked))
        right = found[rows, checked.label]
        others = found.copy()
        others[rows, checked.label] = -np.inf
        self._facts[f"{stage}_right"] = float((found.argmax(axis=1) == checked.label).mean())
        self._facts[f"{stage}_margin"] = float((right - others.max(axis=1)).mean())

    def _try_writing(self, checked: Lessons) -> None:
        """Measure whether free text is exactly a policy and reasons name actual cues."""
        if not len(checked) or self._model is None:
            return
        rows = np.linspace(0, len(checked) - 1, min(_CHECKED, len(checked))).astype(int)
        texts = [checked.texts[row] for row in rows]
        written, _ = self._model.generate(texts)
        tokens = self._model.template.tokens()
        valid = [is_policy(own, tokens) for own in written]
        self._facts["format_validity"] = float(np.mean(valid))
        if self.options.reasons:
            found, _ = self._ask(texts)
            names = [self._labels[one] for one in found.argmax(axis=1)]
            said = self.explain(texts, names)
            quality = np.array([grounded(own, text) for own, text in zip(said, texts, strict=True)])
            if np.isfinite(quality).any():
                self._facts["reasoning_quality"] = float(np.nanmean(quality))
            self._facts["reasons_naming_a_cue"] = float(np.isfinite(quality).mean())

    def _ask(self, texts: Sequence[str]) -> tuple[Floats, Any]:
        """Return [n, k] the policies' log-probabilities; 0 where there is only one policy."""
        if self._model is None:
            return np.zeros((len(texts), max(1, len(self._labels)))), None
        return self._model.log_probs(texts)

    def _calibrate(self, validation: Table, checked: Oracle) -> None:
        """Calibrate probabilities, the boundary and the confidence on validation."""
        if self._model is None or not len(checked):
            return
        # Only policies that occur in training; validation may have others.
        told = np.isin(checked.policy.astype(str), self._labels)
        everything, _ = self._ask([str(text) for text in validation.queries.text])
        policy = checked.policy[told].astype(str)
        self._scale = calibration(everything[checked.rows[told]], policy, self._labels)
        mapper = self._mapper()
        column = mapper.columns(self._models, *self._pair)
        model = np.array([column[mapper.static(name).tier] for name in self._labels])
        share = self._shares(everything)
        if inside := np.isin(model, self._pair).all():
            samples = samples_of(validation, *self._pair)
            large = [bool(one == self._pair[1]) for one in model]
            if self.options.decide == "validated":
                drop = self.options.max_drop
                self._boundary = Boundary.learn(share[samples.rows], large, samples, drop)
        choice = model[self._decided(everything)]
        policies = {name: column[mapper.static(name).tier] for name in POLICIES}
        decided = {"decided": choice, "most_probable": model[everything.argmax(axis=1)]}
        decided["unbalanced"] = model[share.argmax(axis=1)]
        decided = {name: own[checked.rows] for name, own in decided.items()}
        self._facts |= ceiling(validation, checked, policies, decided)
        if inside:
            self._confidence = Confidence.learn(self._quality(everything), choice, validation)

    def _decided(self, found: Floats) -> Ints:
        """Return [n] the policy decided for each query, by number."""
        if self._boundary.least is not None:
            return self._boundary.decide(self._shares(found))
        most: Ints = found.argmax(axis=1)
        return most

    def _shares(self, found: Floats) -> Floats:
        """Return [n, k] the policies' calibrated probabilities, for their log-probabilities."""
        logit = found
        if self._scale is not None:
            logit = found @ self._scale["weight"].T + self._scale["shift"]
        share = np.exp(logit - logit.max(axis=1, keepdims=True))
        shares: Floats = share / share.sum(axis=1, keepdims=True)
        return shares

    def _quality(self, found: Floats) -> Floats:
        """Return [n, m] the expected scores of the pair; NaN for all other models."""
        quality = np.full((len(found), len(self._models)), np.nan)
        quality[:, list(self._pair)] = self._shares(found) @ self._worth
        return quality

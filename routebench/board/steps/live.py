"""A trained router and live models: who is asked, what they answer, and what it came to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from routebench.board.trained import TrainedRouter, ask_chosen
from routebench.bought import Stepped
from routebench.collect import planning
from routebench.collect.budget import SpendingBudget
from routebench.collect.live_answers import AskedModel, Finals, LiveAnswers
from routebench.collect.rate_limits import Limits
from routebench.errors import OptionError, did_you_mean
from routebench.judge.finals import FinalsReader
from routebench.plugin import discovery
from routebench.prices.lists import PriceList
from routebench.records import Decisions, Queries

Values = dict[str, dict[str, Any]]


def targets(
    models: Sequence[str],
    providers: Sequence[str],
    values: Values,
    prices: PriceList | None,
    timeout: float,
) -> dict[str, planning.TargetModel]:
    """Return who is asked for each model of a run, nothing being asked yet.

    `providers` are NAME, who has all models, or MODEL=NAME:MODEL, for one that has another
    provider or another name there.

    Raises:
        OptionError: a model that nobody is named for, or that cannot be asked.
    """
    named = providers_of(models, providers)
    made = planning.targets([named[model] for model in models], values, prices, timeout)
    planning.check_ready(made)
    return dict(zip(models, made, strict=True))


def providers_of(models: Sequence[str], providers: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return provider and name there of each model, all as the user names them.

    A model called `NAME:MODEL` is MODEL of the provider NAME, where that is one of those named:
    a run folder alone makes nobody pay.
    """
    of_one: dict[str, tuple[str, str]] = {}
    of_all: list[str] = []
    for text in providers:
        model, equals, who = text.rpartition("=")
        if not equals:
            of_all.append(text.strip())
            continue
        if model not in models:
            raise OptionError(
                f"--provider {text}: the run has no model {model!r}", did_you_mean(model, models)
            )
        provider, _, name = who.partition(":")
        of_one[model] = provider.strip(), name.strip() or model
    for model in models:
        provider, colon, name = model.partition(":")
        if colon and name and provider in of_all:
            of_one.setdefault(model, (provider, name))
        elif len(of_all) == 1:
            of_one.setdefault(model, (of_all[0], model))
    lost = [model for model in models if model not in of_one]
    if lost:
        installed = ", ".join(info.name for info in discovery.installed("provider"))
        raise OptionError(
            f"no provider is named for {lost[0]}",
            f"--provider NAME, or --provider '{lost[0]}=NAME:MODEL' for one of another name there;"
            f" providers: {installed}",
        )
    return of_one


def finals_reader(trained: TrainedRouter, judge: str | None, values: Values) -> Finals:
    """Return what reads final answers: a judge, with the options that it had in the run."""
    if judge is None:
        return lambda questions, texts: [None] * len(texts)  # as in the run
    known = trained.description
    own = known.answers_options if judge == known.answers_as else {}
    return FinalsReader(judge, own | values.get(judge, {}))


def live_answers(
    asked: Mapping[str, planning.TargetModel],
    models: tuple[str, ...],
    finals: Finals,
    usd: float | None,
    spent: float,
    timeout: float,
) -> LiveAnswers:
    """Return the source of answers, within a budget in USD of which some may be spent."""
    if not (math.isfinite(spent) and spent >= 0):
        raise OptionError(f"--spent {spent}: is no amount of money")
    return LiveAnswers(asked, models, finals, SpendingBudget(usd, spent), Limits(timeout=timeout))


def answered(
    trained: TrainedRouter,
    source: LiveAnswers,
    queries: Queries,
    chosen: Decisions | None = None,
    prompts: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Ask the models that the router wants; return the answers and all calls as plain values.

    `chosen` are the decisions of a router that sees no answers: those models are asked. The model
    and its answer are None where nobody gave one. `usd` is None where the cost of a call is not
    known. `prompts` are what models are asked, by default the queries.
    """
    source.begin([str(text) for text in queries.text] if prompts is None else prompts)
    if chosen is None:
        stepped = trained.step_queries(queries, source)
    else:
        stepped = ask_chosen(chosen.choice, trained.models, source)
    return [_answer(trained, source, stepped, row) for row in range(len(queries))]


def _answer(
    trained: TrainedRouter, source: LiveAnswers, stepped: Stepped, row: int
) -> dict[str, Any]:
    at = int(stepped.answer[row])
    came = bool(stepped.bought.answered[row, at])
    asked = [call for (query, _), call in source.calls.items() if query == row]
    calls = [_call(call, stepped, row, trained.models) for call in asked]
    calls.sort(key=lambda call: call["round"])
    usd = sum(call.usd for call in asked)
    told: dict[str, Any] = {
        "query": source.texts[row],
        "model": trained.models[at] if came else None,
        "answer": stepped.bought.response[row, at] if came else None,
        "final": stepped.bought.final[row, at] if came else None,
    }
    if trained.point is not None:
        told["point"] = trained.point
    if came and stepped.confidence is not None:
        told["confidence"] = float(stepped.confidence[row])
    if came and stepped.reason is not None:
        told["reason"] = str(stepped.reason[row])
    told |= {"asked": calls, "usd": _known(usd), "seconds": _seconds(calls)}
    if (doubt := sum(call.most_usd for call in asked)) > 0:
        told["doubtful_usd"] = doubt
    if source.budget.usd is not None:
        told["budget"] = {
            "limit": source.budget.usd,
            "spent": source.budget.spent + source.budget.doubtful,
        }
    return told


def _call(call: AskedModel, stepped: Stepped, row: int, models: tuple[str, ...]) -> dict[str, Any]:
    model = models.index(call.model)
    told = {
        "model": call.model,
        "round": int(stepped.asked[row, model]),
        "answered": call.answered,
        "final": stepped.bought.final[row, model],
        "usd": _known(call.usd),
        "seconds": call.seconds,
        "input_tokens": _known(float(stepped.bought.input_tokens[row, model])),
        "output_tokens": _known(float(stepped.bought.output_tokens[row, model])),
    }
    return told | ({"error": call.error} if call.error else {})


def _seconds(calls: Sequence[Mapping[str, Any]]) -> float:
    """Return the time until the answer: the slowest call of each round, one after the other."""
    slowest: dict[int, float] = {}
    for call in calls:
        slowest[call["round"]] = max(slowest.get(call["round"], 0.0), call["seconds"])
    return sum(slowest.values())


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value

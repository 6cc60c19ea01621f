"""A decision or an answer as lines of text for a person."""

from __future__ import annotations

from typing import Any


def decision_lines(values: dict[str, Any]) -> str:
    """Return the model and the query, and below them the decision's other facts, as text."""
    facts = []
    if values["model"] in values.get("quality", {}):
        facts.append(f"quality {values['quality'][values['model']]:.3f}")
    if "confidence" in values:
        facts.append(f"confidence {values['confidence']:.3f}")
    if "policy" in values:
        facts.append(f"policy {values['policy']}")
    if "budget" in values:
        facts.append(f"${values['budget']['spent']:.4g} of ${values['budget']['limit']:g} spent")
    lines = [f"{values['model']}  {values['query']}"]
    lines += [f"  {' · '.join(facts)}"] if facts else []
    lines += [f"  {values['reason']}"] if values.get("reason") else []
    return "\n".join(lines)


def answer_lines(values: dict[str, Any]) -> str:
    """Return model, query and answer, and below them who was asked and what it cost, as text."""
    lines = [f"{values['model'] or 'no answer'}  {values['query']}"]
    lines += [f"  | {line}" for line in (values["answer"] or "").splitlines()]
    rounds: dict[int, list[str]] = {}
    lost: dict[str, list[str]] = {}
    for call in values["asked"]:
        known = "cost unknown" if call["usd"] is None else f"${call['usd']:.4g}"
        said = f"{call['final'] or 'no final answer'}, {known}" if call["answered"] else "nothing"
        rounds.setdefault(call["round"], []).append(f"{call['model']} ({said})")
        if "error" in call:
            lost.setdefault(call["error"], []).append(call["model"])
    lines.append("  asked " + ", then ".join(" + ".join(each) for each in rounds.values()))
    lines += [f"  {', '.join(models)}: {error}" for error, models in lost.items()]
    cost = "cost unknown" if values["usd"] is None else f"${values['usd']:.4g}"
    notes = [cost, f"{values['seconds']:.1f} s"]
    if "doubtful_usd" in values:
        notes.append(f"at most ${values['doubtful_usd']:.4g} more for calls that may be charged")
    if "budget" in values:
        notes.append(f"${values['budget']['spent']:.4g} of ${values['budget']['limit']:g} spent")
    if "confidence" in values:
        notes.insert(0, f"confidence {values['confidence']:.3f}")
    if values.get("reason"):
        notes.insert(0, f"stopped: {values['reason']}" if _stepped(values) else values["reason"])
    return "\n".join([*lines, f"  {' · '.join(notes)}"])


def _stepped(values: dict[str, Any]) -> bool:
    """Return whether the router saw answers: it expects no cost beforehand."""
    return "expected_usd" not in values


def summary(queries: int, by_model: dict[str, int], usd: float | None) -> str:
    """Return what a file of queries came to, in one line."""
    models = ", ".join(f"{n:,} {model}" for model, n in sorted(by_model.items(), key=_most_first))
    cost = "cost unknown" if usd is None else f"${usd:.4g}"
    return f"{queries:,} {'query' if queries == 1 else 'queries'}: {models}; {cost}"


def _most_first(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]

"""The prompt that asks a language model for a query's policy, and how its answer is read."""

from __future__ import annotations

from collections.abc import Sequence

from routebench_routers.language.prompts import Template
from routebench_routers.policy.examples import REASONING

_MEANING = {
    "standard": "a medium model is enough",
    "complex": "only a large one will do",
    "ambiguous": "neither can be sure",
}


def ask_for(labels: Sequence[str]) -> Template:
    """Return the prompt around a query, with the policies that may be answered."""
    known = ", ".join(f"{label} ({_MEANING[label]})" for label in labels)
    head = f"Tell the policy that the query calls for: {known}.\nQuery: "
    return Template(head, "\nPolicy:", tuple(labels), "policy")


def is_policy(written: str, tokens: Sequence[str]) -> bool:
    """Return whether a generated text is one label, alone or with a reason after it."""
    label, _, rest = written.strip().partition(">")
    return f"{label}>" in tokens and (not rest.strip() or rest.startswith(REASONING))

"""A server's budget: the most that a call may cost is reserved before it, and settled after."""

from __future__ import annotations

from routebench.collect.budget import LONGEST, OVERHEAD, SpendingBudget
from routebench.records import Reply
from routebench.serve.api_errors import ApiError
from routebench.serve.calls.upstream import UpstreamModel
from routebench.serve.chat import ChatRequest

LINKED = 4096
"""Prompt tokens that are reckoned with for an image or a file that a request links to."""


class Reservation:
    """What is set aside for one call; it is settled once, and given back if it never is."""

    def __init__(self, budget: SpendingBudget, usd: float, model: UpstreamModel) -> None:
        self._budget, self.usd, self._model = budget, usd, model
        self._open = True

    def settle(self, counts: Reply) -> float:
        """Count a call that was answered; return its USD, NaN where its tokens are not known."""
        usd = self._model.target.price.usd(
            counts.input_tokens, counts.output_tokens, counts.cached_tokens, counts.thinking_tokens
        )
        known = usd == usd
        if self._close():
            self._budget.settle(self.usd, self._budget.spent + (usd if known else 0.0), known)
        return usd

    def doubt(self) -> None:
        """Count a call without a whole answer, which may be charged: nobody knows what it cost."""
        if self._close():
            self._budget.settle(self.usd, self._budget.spent, priced=False)

    def release(self) -> None:
        """Give back what was set aside for a call that cost nothing."""
        if self._close():
            self._budget.release(self.usd)

    def _close(self) -> bool:
        was, self._open = self._open, False
        return was


def reserve(budget: SpendingBudget, model: UpstreamModel, chat: ChatRequest) -> Reservation | None:
    """Set aside the most that a call may cost; None where that does not fit into what is left."""
    usd = 0.0 if budget.usd is None else most_usd(model, chat)
    if not budget.take(usd):
        budget.short = True
        return None
    return Reservation(budget, usd, model)


def most_usd(model: UpstreamModel, chat: ChatRequest) -> float:
    """Return the most that a call costs: every byte a token, the answer as long as is allowed.

    Where neither the request nor the provider's options limit the answer, it is taken to have
    `LONGEST` tokens.
    """
    prompt = chat.most_prompt_tokens(LINKED) + OVERHEAD
    return model.target.price.most_usd(prompt, chat.most_tokens(model.defaults, LONGEST))


def used_up(budget: SpendingBudget) -> ApiError:
    """Return the error for a request that no model can be asked for within the budget."""
    if budget.reserved > 0:
        return ApiError(
            429,
            "what is left of the budget is set aside for calls under way",
            kind="rate_limit_error",
            code="budget_reserved",
            headers={"Retry-After": "1"},
        )
    return ApiError(
        429,
        "the budget is used up: no model can be asked within what is left of it",
        kind="insufficient_quota",
        code="insufficient_quota",
        headers={"x-should-retry": "false"},
    )

"""Options of the three hybrid routers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, model_validator

_PAPER = 0.5


class HybridOptions(BaseModel):
    """Options of the `hybrid-*` routers, with the names of the source where it has one."""

    small: str | None = Field(None, description="the small model; found by pair if unset")
    large: str | None = Field(None, description="the large model; found by pair if unset")
    pair: Literal["best", "cost", "size"] = Field(
        "best",
        description="of training costs the cheapest, and with it the most accurate of all others "
        "(best) or the dearest (cost); or small and large by declared size",
    )
    tau: float = Field(
        0.1, gt=0, description="softness of probabilistic labels where a cell has one sample"
    )
    threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="from this predicted label on the small model answers; if neither this nor "
        "another sets it, the least at which validation loses 1 percent of quality at most",
    )
    max_drop: float | None = Field(
        None,
        ge=0,
        le=100,
        description="sets the threshold: percent of quality that validation may lose",
    )
    call_share: float | None = Field(
        None,
        ge=0,
        le=1,
        description="sets the threshold: share of validation that the large model answers",
    )
    loss: Literal["log", "squared"] = Field(
        "log", description="cross-entropy (the paper), or squared error (its public code)"
    )
    hidden_layer_sizes: tuple[int, ...] = Field((128, 64), description="widths of the layers")
    activation: Literal["relu", "tanh", "logistic", "identity"] = Field(
        "relu", description="of the hidden layers"
    )
    solver: Literal["adam", "sgd", "lbfgs"] = Field(
        "adam", description="lbfgs runs all its iterations; the others stop on validation"
    )
    max_iter: int = Field(300, ge=1, description="passes over the training queries at most")
    learning_rate_init: float = Field(1e-3, gt=0, description="first step size of the solver")
    alpha: float = Field(1e-4, ge=0, description="L2 penalty on the weights")
    patience: int | None = Field(
        10, ge=1, description="passes without a better one before it stops; never if unset"
    )

    @model_validator(mode="after")
    def _one_threshold(self) -> HybridOptions:
        given = [
            name
            for name in ("threshold", "max_drop", "call_share")
            if getattr(self, name) is not None
        ]
        if given[:1] == ["threshold"] and self.threshold == _PAPER:
            given = given[1:]  # a preset's value gives way to what sets it otherwise
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} each set the threshold: give one of them")
        if any(width < 1 for width in self.hidden_layer_sizes):
            raise ValueError("hidden_layer_sizes must be at least 1 each")
        return self

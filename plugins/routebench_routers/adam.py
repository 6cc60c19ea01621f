"""Adam by torch's own kernel, without `torch.optim.Adam`, which imports torch's compiler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Adam:
    """Adam (Kingma and Ba, arXiv 1412.6980) with an L2 penalty, as `torch.optim.Adam(fused=True)`.

    Its steps are the same to the last bit. The class of torch adds a second to every process that
    constructs it, as its methods are wrapped for `torch.compile`.
    """

    def __init__(self, parameters: Sequence[Any], lr: float, weight_decay: float = 0.0) -> None:
        import torch
        from torch.optim.adam import adam

        self._update, self._without_gradients = adam, torch.no_grad
        self._parameters = list(parameters)
        self._lr, self._weight_decay = lr, weight_decay
        self._mean = [torch.zeros_like(each) for each in self._parameters]
        self._square = [torch.zeros_like(each) for each in self._parameters]
        self._steps = [torch.zeros((), device=each.device) for each in self._parameters]

    def step(self) -> None:
        """Change the parameters by their gradients, and forget these."""
        with self._without_gradients():
            self._update(
                self._parameters,
                [each.grad for each in self._parameters],
                self._mean,
                self._square,
                [],
                self._steps,
                fused=True,
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=self._lr,
                weight_decay=self._weight_decay,
                eps=1e-8,
                maximize=False,
            )
        for each in self._parameters:
            each.grad = None

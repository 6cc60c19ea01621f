"""Prometheus metrics of a server; labels are names that it knows, never what a client sends."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from routebench.collect.budget import SpendingBudget
from routebench.serve.event_log import ServedEvent

_KINDS = {
    *("authentication_error", "client_gone", "insufficient_quota", "invalid_request_error"),
    *("rate_limit_error", "server_error", "upstream_error"),
}
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class ServeMetrics:
    """The counts of one server, in a registry of its own."""

    def __init__(self, budget: SpendingBudget, known: frozenset[str]) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry = CollectorRegistry()
        self._known = known

        # Looking a label up takes longer than counting.
        def counter(name: str, text: str, *labels: str) -> Any:
            made = Counter(f"routebench_{name}", text, labels, registry=self.registry)
            return cache(made.labels) if labels else made

        def seconds(name: str, text: str, *labels: str) -> Any:
            name = f"routebench_{name}_seconds"
            made = Histogram(name, text, labels, registry=self.registry, buckets=_SECONDS)
            return cache(made.labels) if labels else made

        self._requests = counter(
            "requests", "Requests by named model and status", "model", "status"
        )
        self._decisions = counter("decisions", "Requests by the model that was chosen", "model")
        self._explored = counter("explored", "Requests whose model was drawn by chance")
        self._answers = counter("answers", "Requests by the model that answered", "model")
        self._fallbacks = counter("fallbacks", "Models passed over, by what for", "model", "reason")
        self._failures = counter("upstream_errors", "Calls without an answer", "model", "kind")
        self._errors = counter("errors", "Requests answered with an error", "type")
        self._spend = counter("spend_usd", "USD of answered calls", "model")
        self._tokens = counter("tokens", "Tokens of answered requests", "model", "kind")
        self._unrouted = counter("routing_errors", "Requests that the router could not decide")
        self._whole = seconds("request", "From the request's head to the answer's end")
        self._route = seconds("route", "The router's own time")
        self._upstream = seconds("upstream", "Of a call, to the answer's end", "model")
        self.open = Gauge("routebench_requests_open", "Requests under way", registry=self.registry)
        usd = Gauge("routebench_budget_usd", "The budget", ["part"], registry=self.registry)
        usd.labels("limit").set_function(lambda: math.inf if budget.usd is None else budget.usd)
        usd.labels("spent").set_function(lambda: budget.spent)
        usd.labels("reserved").set_function(lambda: budget.reserved)
        usd.labels("doubtful").set_function(lambda: budget.doubtful)

    def error(self, kind: str) -> None:
        """Count an error that was sent."""
        # The kind of an error that is passed on is what another server calls it.
        self._errors(kind if kind in _KINDS else "other").inc()

    def refused(self, status: int) -> None:
        """Count a request that was refused before its model was known."""
        self._requests("", str(status)).inc()

    def unrouted(self) -> None:
        """Count a request that the router could not decide."""
        self._unrouted.inc()

    def called(self, call: dict[str, Any]) -> None:
        """Count a call that was made; one that did not fit into the budget was not."""
        if call["error"] == "budget":
            return
        if call["error"] is None:
            self._spend(call["model"]).inc(call["usd"] or 0.0)
        else:
            self._failures(call["model"], call["error"]).inc()
        self._upstream(call["model"]).observe(call["seconds"])

    def ended(self, event: ServedEvent, routed: bool) -> None:
        """Count a request that has ended; `routed`: the router was asked which model."""
        name = event.requested if event.requested in self._known else ""
        self._requests(name, str(event.status)).inc()
        self._whole.observe(event.seconds)
        if routed and event.chosen is not None:
            self._decisions(event.chosen).inc()
            self._route.observe(event.route_seconds)
        if event.explored:
            self._explored.inc()
        for model in event.fallbacks:
            last = [call["error"] for call in event.calls if call["model"] == model][-1]
            self._fallbacks(model, last).inc()
        if event.answered_by is not None:
            self._answers(event.answered_by).inc()
            for kind in ("prompt_tokens", "completion_tokens"):
                count = event.tokens.get(kind, 0)
                self._tokens(event.answered_by, kind.partition("_")[0]).inc(count)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        from prometheus_client import generate_latest

        page: bytes = generate_latest(self.registry)
        return page

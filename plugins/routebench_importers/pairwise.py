"""Pairwise judgments: who won a comparison of two models' answers to one query.

A cell of the table is the share of a query's comparisons that a model won, a tie half: each
comparison is an answer of either model with score 1, .5 or 0. Read are

- Chatbot Arena's battles, and tables of one's own: model_a, model_b, and winner (model_a, model_b,
  tie, "tie (bothbad)" or both_bad), as in lmsys/chatbot_arena_conversations and
  lmarena-ai/arena-human-preference-140k with conversation_a and conversation_b; or the columns
  winner_model_a, winner_model_b and winner_tie of lmsys/lmsys-arena-human-preference-55k with
  prompt, response_a and response_b;
- MT-Bench's human judgments (lmsys/mt_bench_human_judgments: as the first, with turn), and
  FastChat's model_judgment/<judge>_pair.jsonl (fastchat/llm_judge/common.py, play_a_match_pair:
  question_id, model_1, model_2, g1_winner, g2_winner, turn) together with its question.jsonl. Where
  the two orders disagree it is a tie, as fastchat/llm_judge/show_result.py counts it;
- AlpacaEval's annotations.json: instruction, generator_1, generator_2, output_1, output_2 and
  preference, 1 to 2, of which 1.5 and the older 0 are a tie (alpaca_eval/metrics/helpers.py at
  d483da3e).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from routebench.data.reading.messages import joined
from routebench.errors import DataError
from routebench.hookspecs import FileHead, ImportPart, Selection
from routebench.importers.files import files_in, head_of, read_records
from routebench.importers.rows import OutcomeRows, Shared, hash_text

_KINDS = {
    "battles": ({"model_a", "model_b", "winner"}, {"model_a", "model_b", "winner_model_a"}),
    "fastchat": ({"model_1", "model_2", "g1_winner", "question_id"},),
    "questions": ({"question_id", "turns"},),
    "alpaca": ({"instruction", "generator_1", "generator_2", "preference"},),
}
_SPARSE = (
    "queries on which only some of the {} models were compared: a router that chooses another has"
    " no result there (--model, pairwise.opponent, .strong and .weak)"
)
_BOTH_BAD = ("tie (bothbad)", "both_bad", "bothbad", "both bad")
_TEXTS = ("query", "prompt", "question", "instruction")


@dataclass(frozen=True, slots=True)
class _Comparison:
    query: str
    models: tuple[Any, Any]
    win: float | None
    """What the first model has of the win; None where nobody judged."""
    responses: tuple[str | None, str | None] = (None, None)
    both_bad: bool = False
    tiers: bool = False
    """Whether tiers stand for models, None for one of no tier."""


class Pairwise:
    """Pairwise judgments: Chatbot Arena, MT-Bench, AlpacaEval; model_a, model_b, winner."""

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid")

        both_bad: Literal["tie", "loss"] = Field(
            default="tie", description="two bad answers are half a win for each, or none"
        )
        opponent: str | None = Field(
            default=None,
            description="model against which all others are scored: only comparisons with it count",
        )

        strong: tuple[str, ...] = Field(
            default=(),
            description='models that count as one, called strong: ["gpt-4*"]; with weak, only'
            " comparisons of the two tiers are read",
        )
        weak: tuple[str, ...] = Field(default=(), description="models that count as one, weak")

    suffixes = (".json", ".jsonl", ".csv", ".parquet", ".json.gz", ".jsonl.gz", ".csv.gz")

    def __init__(self, options: Options) -> None:
        self.options = options

    def recognises(self, head: FileHead) -> bool:
        """Return whether a file begins with a judgment, or a question of MT-Bench."""
        return _kind(head) != ""

    def read(self, paths: Sequence[Path], selection: Selection) -> Iterator[ImportPart]:
        """Yield two rows per comparison; of models that are left out, none of a comparison."""
        files = [
            (file, head_of(file)) for given in paths for file in files_in(given, *self.suffixes)
        ]
        shared, questions = Shared(selection), _questions(files)
        judged = [(file, head) for file, head in files if _kind(head) not in ("", "questions")]
        if not judged:
            file, head = files[0]
            raise DataError(
                f"{file.name}: no pairwise judgments; {head.summary()}",
                "expected: query, model_a, model_b and winner, or a file of Arena, MT-Bench or"
                " AlpacaEval",
            )
        compared: defaultdict[str, set[str]] = defaultdict(set)
        for path, head in judged:
            rows, kind = OutcomeRows(shared), _kind(head)
            for place, record in read_records(path, head.kind, rows.leave_out):
                with rows.row(place):
                    found = self._of_tiers(_comparison(kind, place, record, questions))
                    if self._add(rows, place, found, selection):
                        compared[hash_text(found.query)].update(found.models)
            if path == judged[-1][0]:
                models = set[str]().union(*compared.values())
                some = sum(len(each) < len(models) for each in compared.values())
                if some:
                    rows.notes[_SPARSE.format(len(models))] += some
            yield rows.part(str(path))

    def _of_tiers(self, found: _Comparison) -> _Comparison:
        """Return a comparison of tiers in place of models, where there are any."""
        tiers = {"strong": self.options.strong, "weak": self.options.weak}
        if not any(tiers.values()):
            return found
        first, second = (
            next(
                (n for n, p in tiers.items() if any(fnmatchcase(str(m), each) for each in p)), None
            )
            for m in found.models
        )
        return replace(found, models=(first, second), tiers=True)

    def _add(self, rows: OutcomeRows, place: str, found: _Comparison, selection: Selection) -> bool:
        """Add a comparison's two answers; return whether they are asked for."""
        first, second = found.models
        if found.tiers and (first == second or None in found.models):
            rows.notes[
                "comparisons within a tier, or with a model of none (pairwise.strong, .weak)"
            ] += 1
            return False
        if first == second:
            raise DataError(f"{place} compares {str(first)[:40]!r} with itself")
        if not all(isinstance(model, str) and model for model in found.models):
            raise DataError(f"{place}: a model is null or empty")
        if not all(map(selection.model, found.models)):
            rows.notes["comparisons with a model that is not asked for"] += 1
            return False
        if self.options.opponent not in (None, *found.models):
            rows.notes["comparisons with other opponents (pairwise.opponent)"] += 1
            return False
        win = found.win
        shares = (None, None) if win is None else (win, 1.0 - win)
        if found.both_bad and self.options.both_bad == "loss":
            shares = (0.0, 0.0)
        for model, share, response in zip(found.models, shares, found.responses, strict=True):
            rows.add(
                place,
                query_id=hash_text(found.query),
                query=found.query,
                model=model,
                # --score-max is about scores in files, and a share is none.
                score=None if share is None else share * selection.score_max,
                response=response,
            )
        return True


def _kind(head: FileHead) -> str:
    if head.kind not in ("csv", "parquet", "jsonl", "list"):
        return ""
    names = set(head.names)
    return next(
        (kind for kind, options in _KINDS.items() if any(names >= each for each in options)), ""
    )


def _questions(files: Sequence[tuple[Path, FileHead]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path, head in files:
        if _kind(head) == "questions":
            for place, record in read_records(path, head.kind):
                turns = record["turns"] if isinstance(record.get("turns"), list) else []
                if not turns or not all(isinstance(turn, str) for turn in turns):
                    raise DataError(f"{place}: turns is no list of texts")
                found[str(record.get("question_id"))] = turns
    return found


def _comparison(
    kind: str, place: str, record: dict[str, Any], questions: dict[str, list[str]]
) -> _Comparison:
    if kind == "fastchat":
        return _fastchat(place, record, questions)
    if kind == "alpaca":
        return _alpaca(place, record)
    query, answers = _asked(place, record)
    models = record.get("model_a"), record.get("model_b")
    win, both_bad = _winner(place, record)
    return _Comparison(query, models, win, answers, both_bad)


def _winner(place: str, record: dict[str, Any]) -> tuple[float | None, bool]:
    if "winner" not in record:
        names = ("winner_model_a", "winner_model_b", "winner_tie")
        votes = [str(record.get(name, "")).strip() in ("1", "1.0", "True") for name in names]
        if sum(votes) != 1:
            raise DataError(f"{place}: not one of {', '.join(names)} is 1")
        return (1.0, 0.0, 0.5)[votes.index(True)], False
    winner = record["winner"]
    if winner is None or winner == "":
        return None, False
    word = str(winner).strip().lower()
    if word in _BOTH_BAD:
        return 0.5, True
    named = {"model_a": 1.0, "model_b": 0.0, "tie": 0.5}
    for side, value in (("model_a", 1.0), ("model_b", 0.0)):
        if winner == record.get(side):
            return value, False
    if word not in named:
        raise DataError(
            f"{place}: the winner is {str(winner)[:40]!r}",
            "expected: model_a, model_b, tie, both_bad, or a name of either model",
        )
    return named[word], False


def _asked(place: str, record: dict[str, Any]) -> tuple[str, tuple[str | None, str | None]]:
    """Return the query, of a conversation what the user said, and the two answers to it."""
    talks = [t for side in "ab" if isinstance(t := record.get(f"conversation_{side}"), list)]
    if len(talks) == 2:
        turns = record.get("turn")
        said = [_said(talk, turns if isinstance(turns, int) else None) for talk in talks]
        query = joined(said[0][0])
        answers = said[0][1], said[1][1]
    else:
        held = next((record[name] for name in _TEXTS if record.get(name)), None)
        query = joined(_unpacked(held))
        answers = (
            _last(_unpacked(record.get("response_a"))),
            _last(_unpacked(record.get("response_b"))),
        )
    if query is None:
        raise DataError(
            f"{place} has no query of text", f"expected: {', '.join(_TEXTS)} or conversation_a"
        )
    return query, answers


def _said(talk: list[Any], turns: int | None) -> tuple[list[Any], str | None]:
    """Return the first turns of the user, and the answer to the last of them."""
    asked = [message for message in talk if message.get("role") == "user"][:turns]
    said = [message for message in talk if message.get("role") == "assistant"][: len(asked)]
    return asked, joined(said[-1:]) if said else None


def _unpacked(held: Any) -> Any:
    """Return a text, or the texts of a JSON list that stands in one cell."""
    if isinstance(held, str) and held.startswith("["):
        try:
            found = json.loads(held)
        except (ValueError, RecursionError):
            return held
        return [each for each in found if each is not None] or None
    return held


def _last(held: Any) -> str | None:
    return joined(held[-1:]) if isinstance(held, list) else joined(held)


def _fastchat(place: str, record: dict[str, Any], questions: dict[str, list[str]]) -> _Comparison:
    turns = questions.get(str(record.get("question_id")))
    if turns is None:
        raise DataError(
            f"{place}: there is no question {str(record.get('question_id'))[:40]!r}",
            "name its question.jsonl too",
        )
    count = record.get("turn", 1)
    first = record.get("g1_winner")
    words = {str(first), str(record.get("g2_winner", first))}
    known = {"model_1": 1.0, "model_2": 0.0, "tie": 0.5}
    if "error" in words:
        win = None
    elif not words <= set(known):
        raise DataError(f"{place}: a winner is none of {', '.join(known)}, error")
    else:
        win = known[words.pop()] if len(words) == 1 else 0.5
    models = record.get("model_1"), record.get("model_2")
    return _Comparison("\n\n".join(turns[: count if isinstance(count, int) else 1]), models, win)


def _alpaca(place: str, record: dict[str, Any]) -> _Comparison:
    preference, query = record.get("preference"), record.get("instruction")
    if not isinstance(query, str):
        raise DataError(f"{place}: instruction is no text")
    if preference == 0:
        preference = 1.5
    if preference is not None and not (
        isinstance(preference, int | float) and 1 <= preference <= 2
    ):
        raise DataError(f"{place}: the preference is {str(preference)[:40]!r}, not in [1, 2]")
    answers = joined(record.get("output_1")), joined(record.get("output_2"))
    models = record.get("generator_1"), record.get("generator_2")
    return _Comparison(query, models, None if preference is None else 2.0 - preference, answers)

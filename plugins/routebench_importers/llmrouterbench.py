"""LLMRouterBench's result files: one JSON object per data set, split and model.

As written by ynulihao/LLMRouterBench: data_collector/storage.py and runner.py (at 46d48d49), and
as released in NPULH/LLMRouterBench's bench-release.tar.gz. The header names data set, split and
model; a record has prompt, ground_truth, raw_output, score (0 to 1, or null), prompt_tokens,
completion_tokens and cost (USD of the call). What its own loader reads as a wrong answer at $0:

- A call that failed has no tokens, costs 0, and `Generation failed: …`, `Processing failed: …` or
  nothing as its answer; its score is null, or 0 where an evaluator graded the message.
- An answer that nobody graded has score null beside tokens or a cost: ungraded.
- A cost of 0 beside an answer is a model without a price, or a price that was lost.

Its `split` is the data set's own, `test` nearly everywhere, and no part of a training split here.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from routebench.data.reading.messages import joined
from routebench.errors import DataError
from routebench.hookspecs import FileHead, ImportPart, Selection
from routebench.importers.files import files_in, parse_json
from routebench.importers.rows import OutcomeRows, Shared, hash_text
from routebench_importers.optionless import OptionlessImporter

NEEDED = ("prompt", "score", "prompt_tokens", "completion_tokens", "cost", "raw_output")
EXPECTED = f"a JSON object with dataset_name, split, model_name and records of {', '.join(NEEDED)}"
_FAILURES = ("Generation failed:", "Processing failed:", "Unexpected error:")
_STAMP = re.compile(r"(\d{8}_\d{6})\.json$")
_TAR = (".tar", ".tar.gz", ".tgz")


class LLMRouterBench(OptionlessImporter):
    """LLMRouterBench's result files: a folder, .json, or the released .tar.gz."""

    suffixes = (".json", ".tar.gz")

    def recognises(self, head: FileHead) -> bool:
        """Return whether a file is such an object, or an archive that may hold them."""
        return head.kind == "tar" or (
            head.kind == "json" and {"records", "performance"} <= set(head.names)
        )

    def read(self, paths: Sequence[Path], selection: Selection) -> Iterator[ImportPart]:
        """Yield the rows of every file but demos; of two for the same thing the later one's."""
        shared, stamps = Shared(selection), dict[tuple[str, str, str], str]()
        for name, raw in (each for given in paths for each in _files(given)):
            held = parse_json(raw, name)
            records = held.get("records") if isinstance(held, dict) else None
            if not isinstance(records, list):
                found = ", ".join(list(held)[:12]) if isinstance(held, dict) else "no object"
                raise DataError(
                    f"{name}: no result file; found keys: {found}", f"expected: {EXPECTED}"
                )
            identity = _identity(name, held)
            if (
                held.get("demo")
                or not selection.model(identity[2])
                or not selection.task("/".join(identity[:2]))
            ):
                continue
            match = _STAMP.search(name)
            stamp = match[1] if match else ""
            if identity in stamps:
                if stamps[identity] == stamp:
                    raise DataError(f"{name}: there is another file of {'/'.join(identity)}")
                if stamps[identity] > stamp:
                    continue
            stamps[identity] = stamp
            rows = OutcomeRows(shared, Counter())  # a later file starts anew
            for at, record in enumerate(records, 1):
                with rows.row():
                    _add(rows, f"{name}: record {at}", identity, record)
            yield rows.part("\x1f".join(identity))


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of every result file; an archive is read as it is, nothing is unpacked."""
    if not path.name.lower().endswith(_TAR):
        for file in files_in(path, ".json"):
            yield str(file.relative_to(path.parent)), file.read_bytes()
        return
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                name = Path(member.name).name
                if member.isfile() and name.endswith(".json") and not name.startswith("._"):
                    stream = archive.extractfile(member)
                    assert stream is not None
                    yield member.name, stream.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{path.name}: is damaged or cut short: {error}") from error


def _identity(name: str, held: dict[str, Any]) -> tuple[str, str, str]:
    """Data set, split and model by the header; by the folders for what old headers leave out."""
    folders = ("", "", "", *Path(name).parts)[-4:-1]
    keys = ("dataset_name", "split", "model_name")
    found = tuple(str(held.get(key) or folder) for key, folder in zip(keys, folders, strict=True))
    if not all(found):
        raise DataError(
            f"{name}: says no dataset_name, split or model_name", f"expected: {EXPECTED}"
        )
    return found[0], found[1], found[2]


def _add(rows: OutcomeRows, place: str, identity: tuple[str, str, str], record: Any) -> None:
    missing = [key for key in NEEDED if not isinstance(record, dict) or key not in record]
    if missing:
        found = ", ".join(record) if isinstance(record, dict) else "no object"
        raise DataError(
            f"{place} has no {', '.join(missing)}; found keys: {found}", f"expected: {EXPECTED}"
        )
    task = "/".join(identity[:2])
    prompt = (
        joined(record["prompt"])
        or _text(record["prompt"])
        or _text(record.get("origin_query"))
        or ""
    )
    answer = _text(record["raw_output"])
    if not prompt.strip():  # an error before there was anything to ask
        rows.notes["records without a prompt, left out"] += 1
        return
    rows.add(
        place,
        query_id=f"{task}/{hash_text(prompt)}",
        query=prompt,
        reference=_text(record.get("ground_truth")),
        task=task,
        model=identity[2],
        score=record["score"],
        failed=_failed(record, answer or ""),
        response=answer,
        cost=record["cost"],
        input_tokens=record["prompt_tokens"],
        output_tokens=record["completion_tokens"],
    )


def _failed(record: dict[str, Any], answer: str) -> bool:
    if record["cost"] or (record["completion_tokens"] or 0) > 0:
        return False
    return record["score"] is None or not answer.strip() or answer.startswith(_FAILURES)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)

"""OpenAI's batch files: the requests, and the output that answers them by custom_id.

As in platform.openai.com/docs/guides/batch (BatchRequestInput and BatchRequestOutput of its
OpenAPI description): requests are {custom_id, method, url, body}, answers {id, custom_id,
response: {status_code, request_id, body}, error}. What was asked stands in the requests only, so
both files are given together. Answers of /v1/chat/completions and /v1/responses are read; nothing
in them is graded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from routebench.data.reading.messages import HINT, joined
from routebench.errors import DataError
from routebench.hookspecs import FileHead, ImportPart, Selection
from routebench.importers.files import files_in, head_of, read_jsonl
from routebench.importers.rows import OutcomeRows, Shared, hash_text
from routebench_importers.optionless import OptionlessImporter

REQUEST = ("custom_id", "method", "url", "body")
ANSWER = ("custom_id", "response", "error")
_BOTH = "name the batch's input file and its output and error files together"

Requests = dict[str, list[dict[str, Any]]]


class OpenAIBatch(OptionlessImporter):
    """OpenAI's batch input, output and error files (.jsonl), together."""

    suffixes = (".jsonl", ".jsonl.gz")

    def recognises(self, head: FileHead) -> bool:
        """Return whether a file begins with a request or an answer of a batch."""
        return _kind(head) != ""

    def read(self, paths: Sequence[Path], selection: Selection) -> Iterator[ImportPart]:
        """Yield the answers of every output file, ungraded."""
        shared, requests = Shared(selection), defaultdict[str, list[dict[str, Any]]](list)
        answers = []
        for path in (file for given in paths for file in files_in(given, *self.suffixes)):
            kind = _kind(head_of(path))
            if kind == "answers":
                answers.append(path)
            elif kind == "requests":
                for place, record in read_jsonl(path):
                    if not isinstance(record.get("body"), dict):
                        raise DataError(f"{place}: body is no object", _BOTH)
                    requests[str(record.get("custom_id"))].append(record["body"])
            else:
                raise DataError(
                    f"{path.name}: nothing of a batch; {head_of(path).summary()}", _BOTH
                )
        if not answers:
            raise DataError("there is no output file of a batch", _BOTH)
        for path in answers:
            rows = OutcomeRows(shared)
            for place, record in read_jsonl(path, rows.leave_out):
                with rows.row(place):
                    _add(rows, place, record, requests)
            yield rows.part(str(path))


def _kind(head: FileHead) -> str:
    names = set(head.names)
    if head.kind != "jsonl":
        return ""
    return "requests" if names >= set(REQUEST) else "answers" if names >= set(ANSWER) else ""


def _add(rows: OutcomeRows, place: str, record: dict[str, Any], requests: Requests) -> None:
    response = record.get("response") or {}
    body = response.get("body") if isinstance(response, dict) else None
    body = body if isinstance(body, dict) else {}
    request = _request(place, str(record.get("custom_id")), body.get("model"), requests)
    query = joined(request.get("messages", request.get("input")))
    if query is None:
        raise DataError(f"{place}: its request has no messages of text", HINT)
    system = request.get("instructions")
    if isinstance(system, str) and system:
        query = f"{system}\n\n{query}"
    failed = record.get("error") is not None or response.get("status_code") != 200
    texts = _texts(body) or [None]
    usage = body.get("usage") or {} if len(texts) == 1 else {}  # of several answers it is the sum
    for at, text in enumerate(texts, 1):
        rows.add(
            place if len(texts) == 1 else f"{place}, answer {at}",
            query_id=hash_text(query),
            query=query,
            model=request.get("model"),  # type: ignore[arg-type]  # add refuses a missing one
            failed=failed,
            response=text,
            input_tokens=usage.get("prompt_tokens", usage.get("input_tokens")),
            output_tokens=usage.get("completion_tokens", usage.get("output_tokens")),
        )


def _request(place: str, custom_id: str, model: Any, requests: Requests) -> dict[str, Any]:
    """Return the request of an answer: of equal ids that of the answer's model or its alias."""
    found = requests.get(custom_id, [])
    if len(found) > 1:
        found = [each for each in found if str(model).startswith(str(each.get("model")))]
        longest = max((len(str(each.get("model"))) for each in found), default=0)
        found = [each for each in found if len(str(each.get("model"))) == longest]
    if len(found) != 1:
        many = "several requests" if found else "no request"
        raise DataError(f"{place}: {many} with custom_id {custom_id[:40]!r}", _BOTH)
    return found[0]


def _texts(body: dict[str, Any]) -> list[str | None]:
    """Return the texts of a chat completion's choices, or of a response's output."""
    if "choices" in body:
        said = [(each.get("message") or {}).get("content") for each in body["choices"] or []]
        return [None if text is None else joined([{"content": text}]) for text in said]
    parts = [
        part.get("text", "")
        for each in body.get("output") or []
        if each.get("type") == "message"
        for part in each.get("content") or []
    ]
    return ["".join(parts)] if parts else []

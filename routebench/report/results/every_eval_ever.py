"""A run as Every Eval Ever's records: an aggregate per router, and an instance per query and seed.

After evaleval/every_eval_ever's eval.schema.json and instance_level_eval.schema.json, both 0.3.0
(at 9bce4136), and the layout of its data store: data/<collection>/<developer>/<model>/<uuid>.json
with <uuid>_samples.jsonl beside it. A router stands where a model does; the model that it chose is
in an instance's metadata. A run keeps no answers, so an instance's output is empty.
"""

from __future__ import annotations

import json
import re
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

from routebench.errors import OptionError
from routebench.files import sha256
from routebench.report.results.per_query import Measured, Results, RoutedQuery, measured
from routebench.schema import Row

VERSION = "0.3.0"
_DEVELOPER = "routebench"


def write(results: Results, out: Path, organization: str) -> int:
    """Write all routers' records below `out`; return the number of instances."""
    total = 0
    for row in results.rows:
        total += _Router(results, row, organization).write(out)
    return total


class _Router:
    def __init__(self, results: Results, row: Row, organization: str) -> None:
        self.results, self.row, self.organization = results, row, organization
        board = results.run.board
        self.suite = board.suite.name
        self.finished = str(_epoch(board.environment.get("finished")))
        self.model_id = f"{_DEVELOPER}/{_plain(row.router)}"
        self.evaluation_id = (
            f"{_plain(self.suite)}/{self.model_id.replace('/', '_')}/{self.finished}"
        )
        seed = bytes.fromhex(sha256(f"{results.digest} {row.router}".encode()))[:16]
        self.uuid = str(uuid.UUID(bytes=seed, version=4))
        self.folder = f"data/{_plain(self.suite)}/{self.model_id}"

    def write(self, out: Path) -> int:
        folder = out / self.folder
        folder.mkdir(parents=True, exist_ok=True)
        decided = list(self.results.queries(self.row))
        instances = [self._instance(one) for one in decided if one.score is not None]
        lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in instances).encode()
        (folder / f"{self.uuid}_samples.jsonl").write_bytes(lines)
        record = self._aggregate(len(decided) - len(instances))
        record["detailed_evaluation_results"] = {
            "format": "jsonl",
            "file_path": f"{self.folder}/{self.uuid}_samples.jsonl",
            "hash_algorithm": "sha256",
            "checksum": sha256(lines),
            "total_rows": len(instances),
        }
        text = json.dumps(record, ensure_ascii=False, indent=2) + "\n"
        (folder / f"{self.uuid}.json").write_text(text, encoding="utf-8")
        return len(instances)

    def _aggregate(self, unscored: int) -> dict[str, Any]:
        board, row = self.results.run.board, self.row
        details = {
            "deployment_type": "self_deployed",
            "model_availability": "unknown",
            "plugin": row.plugin,
            "options": json.dumps(row.options, sort_keys=True, default=str),
            "pool": json.dumps(board.suite.models),
        }
        return {
            "schema_version": VERSION,
            "evaluation_id": self.evaluation_id,
            "evaluation_timestamp": self.finished,
            "retrieved_timestamp": self.finished,
            "source_metadata": {
                "source_name": "RouteBench",
                "source_type": "evaluation_run",
                "source_organization_name": self.organization,
                "evaluator_relationship": "other",
                "additional_details": {"outcomes": board.suite.source},
            },
            "eval_library": {
                "name": "routebench",
                "version": str(board.environment.get("packages", {}).get("routebench", "unknown")),
            },
            "model_info": {
                "name": row.router,
                "id": self.model_id,
                "developer": _DEVELOPER,
                "additional_details": details,
            },
            "evaluation_results": self._metrics(unscored),
        }

    def _metrics(self, unscored: int) -> list[dict[str, Any]]:
        measure, cost = self.results.run.board.suite.measure, "total_cost_per_1k"
        if (score := measured(self.row, measure)) is None:
            raise OptionError(
                f"--router {self.row.router}: the board has no {measure} of it", "leave it out"
            )
        details = {"unscored": str(unscored)}
        metrics = [self._metric(measure, "proportion", False, 1.0, score, details)]
        if (paid := measured(self.row, cost)) is not None:
            metrics.append(self._metric(cost, "usd", True, "Infinity", paid, {}))
        return metrics

    def _metric(
        self,
        name: str,
        unit: str,
        lower: bool,
        top: float | str,
        found: Measured,
        details: dict[str, str],
    ) -> dict[str, Any]:
        value, low, high = found
        score: dict[str, Any] = {"score": value, "details": details}
        if low is not None and high is not None:
            score["uncertainty"] = {
                "confidence_interval": {
                    "lower": low,
                    "upper": high,
                    "confidence_level": 0.95,
                    "method": self.row.interval_scope or "bootstrap",
                }
            }
        return {
            "evaluation_result_id": self._result(name),
            "evaluation_name": self.suite,
            "source_data": {"dataset_name": self.suite, "source_type": "other"},
            "metric_config": {
                "metric_id": name,
                "metric_name": name,
                "metric_unit": unit,
                "lower_is_better": lower,
                "score_type": "continuous",
                "min_score": 0.0,
                "max_score": top,
            },
            "score_details": score,
        }

    def _result(self, metric: str) -> str:
        return f"{_plain(self.suite)}.{metric}"

    def _instance(self, one: RoutedQuery) -> dict[str, Any]:
        metadata = {"chosen_model": one.model, "seed": str(one.seed)}
        if one.cost is not None:
            metadata["cost_usd"] = repr(one.cost)
        if one.task is not None:
            metadata["task"] = one.task
        asked = {"raw": one.text, "reference": []}
        packed = json.dumps(asked, sort_keys=True, separators=(",", ":"))
        usage = None
        if one.tokens is not None:
            names = ("input_tokens", "output_tokens", "total_tokens")
            usage = dict(zip(names, (*one.tokens, sum(one.tokens)), strict=True))
        return {
            "schema_version": VERSION,
            "evaluation_id": self.evaluation_id,
            "model_id": self.model_id,
            "evaluation_name": self.suite,
            "evaluation_result_id": self._result(self.results.run.board.suite.measure),
            "sample_id": one.query_id,
            "sample_hash": sha256(packed.encode()),
            "interaction_type": "single_turn",
            "input": asked,
            "output": {"raw": []},
            "messages": None,
            "answer_attribution": [],
            "evaluation": {"score": one.score, "is_correct": one.score == 1.0},
            "token_usage": usage,
            "metadata": metadata,
        }


def _plain(name: str) -> str:
    """Return a name of letters, digits, dots, underscores and hyphens, as paths have them."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "unnamed"


def _epoch(finished: Any) -> int:
    return int(datetime.fromisoformat(str(finished).replace("Z", "+00:00")).timestamp())

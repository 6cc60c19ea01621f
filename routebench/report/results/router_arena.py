"""A router's decisions as RouterArena's predictions.

After RouteWorks/RouterArena's router_inference/generate_prediction_file.py (at 4714a9ad): a JSON
list of "global index", prompt, prediction, generated_result, cost and accuracy. A run keeps no
answers, so generated_result is null, as before its inference; the ids of the suite are the indices.
"""

from __future__ import annotations

import json
from pathlib import Path

from routebench.report.results.per_query import Results


def write(results: Results, out: Path) -> int:
    """Write `<router>.json` of each router, its first seed's choices; return the decisions."""
    out.mkdir(parents=True, exist_ok=True)
    total = 0
    for row in results.rows:
        predictions = [
            {
                "global index": one.query_id,
                "prompt": one.text,
                "prediction": one.model,
                "generated_result": None,
                "cost": one.cost,
                "accuracy": one.score,
            }
            for one in results.queries(row, one_seed=True)
        ]
        text = json.dumps(predictions, ensure_ascii=False, indent=2) + "\n"
        (out / f"{row.router.replace('/', '-')}.json").write_text(text, encoding="utf-8")
        total += len(predictions)
    return total

"""Three questions over many sessions, in SQL that Spark, Daft and DataFusion understand, and their answers as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

TEXT = "heliotrope-7261"

CALLS = """
    SELECT name, sum(CASE WHEN kind = 'tool_call' THEN 1 ELSE 0 END) AS calls,
        sum(CASE WHEN is_error THEN 1 ELSE 0 END) AS failures
    FROM entries WHERE kind IN ('tool_call', 'tool_output') GROUP BY name
"""
TOKENS = """
    SELECT left(CAST(timestamp AS STRING), 10) AS day, model, sum(input_tokens) AS input, sum(cached_tokens) AS cached,
        sum(output_tokens) AS output, sum(reasoning_tokens) AS reasoning, count(*) AS requests
    FROM entries WHERE kind = 'usage' GROUP BY left(CAST(timestamp AS STRING), 10), model
"""
FOUND = f"SELECT DISTINCT session_id FROM entries WHERE text LIKE '%{TEXT}%'"


def show(calls: Iterable[Sequence[Any]], tokens: Iterable[Sequence[Any]], found: Iterable[Sequence[Any]]) -> None:
    """Print the rows that answer the questions: calls and failures by tool, tokens by day and model, sessions."""
    by_day: dict[str, dict[str, list[int]]] = {}
    for day, model, *counts in tokens:
        by_day.setdefault(day, {})[model] = [int(count) for count in counts]
    by_tool = {name: [int(count) for count in counts] for name, *counts in calls}
    print(json.dumps({"calls": by_tool, "tokens": by_day, "found": sorted(row[0] for row in found)}))

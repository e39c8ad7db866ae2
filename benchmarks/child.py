"""The inside of a child process: takes the one measurement that its argument describes as JSON, and prints it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from benchmarks import reading, starting, writing

_TABLES: dict[str, Callable[..., dict[str, dict[str, float]]]] = {
    "writing": writing.measure,
    "reading": reading.measure,
    "starting": starting.measure,
}

if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps(_TABLES[asked.pop("table")](**asked)))

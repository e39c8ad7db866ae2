"""Texts that were looked at and kept. ``ROLLOUTLOG_UPDATE_SNAPSHOTS=1`` writes them again."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "data" / "snapshots"


def check(name: str, text: str) -> None:
    """Assert that *text* is the one kept under *name*."""
    path = FOLDER / name
    if os.environ.get("ROLLOUTLOG_UPDATE_SNAPSHOTS") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")

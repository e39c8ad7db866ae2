"""The page on queries: its table of failures is what the code says, its fragments are those of the programs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rolloutlog.tables._rules import outcome_of

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/fleets.md").read_text(encoding="utf-8")
WORDS = {"null": None, "true": True, "false": False}
OUTCOMES = re.findall(r"^\| (`[^|]*) \| (null|\d+) \| (null|true|false) \|$", PAGE, re.MULTILINE)


def test_each_shape_is_in_the_table():
    """Four with an exit code, three that tell a failure in words, and one that says neither."""
    assert [code for _, code, _ in OUTCOMES] == ["3", "3", "0", "3", "null", "null", "null", "null"]


@pytest.mark.parametrize(("cell", "code", "error"), OUTCOMES)
def test_a_row_of_the_table_of_failures_is_what_the_code_says(cell, code, error):
    """Two texts in a cell are the two parts of one output."""
    texts = [text.replace("⏎", "\n") for text in re.findall("`([^`]*)`", cell)]
    output = texts[0] if len(texts) == 1 else [{"type": "input_text", "text": text} for text in texts]

    found = outcome_of({"type": "function_call_output", "call_id": "c", "output": output})

    assert found == (None if code == "null" else int(code), WORDS[error])


def plain(line):
    """Return a line without its indentation and the types of a function, which the page leaves out."""
    line = re.sub(r" -> [^:]+:$", ":", line.strip())
    return re.sub(r"(\w+): [^,()]+(?=[,)])", r"\1", line) if line.startswith(("def ", "async def ")) else line


@pytest.mark.parametrize("engine", ["ray", "spark", "daft"])
def test_the_lines_of_a_fragment_are_in_its_program_in_order(engine):
    """All of them, so that a reader can rely on either."""
    program = iter(map(plain, (ROOT / f"examples/fleets/with_{engine}.py").read_text(encoding="utf-8").splitlines()))
    section = PAGE[PAGE.index(f"`examples/fleets/with_{engine}.py`") :]
    section = re.split(r"\n\*\*|\n## ", section)[0]
    lines = [plain(line) for line in section.splitlines() if line.startswith("    ")]

    assert lines
    assert [line for line in lines if line not in program] == []

"""The code in our Markdown pages, found and run as a reader would run it: ``python tests/pages.py README.md``.

The python and pycon blocks of a page run from top to bottom in one namespace; the output shown in a pycon block is
compared with the real output. Blocks in other languages are only found here; the tests decide how to check them. In
the output shown, ``…`` matches text that differs from run to run, such as an id.
"""

from __future__ import annotations

import doctest
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block; *line* is that of its first line of code, from 1."""

    language: str
    line: int
    code: str


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return the blocks of *page* that are in one of *languages*, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(found[1], text.count("\n", 0, found.start(2)) + 1, found[2])
        for found in _BLOCK.finditer(text)
        if found[1] in languages
    ]


def is_as_shown(shown: str, printed: str) -> bool:
    """Return whether *printed* is the output that a page shows; blanks at the ends of lines do not count."""
    pattern = r"[^\n]*".join(map(re.escape, _trimmed(shown).split("…")))
    return re.fullmatch(pattern, _trimmed(printed)) is not None


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


class Checker(doctest.OutputChecker):
    """Compares as `is_as_shown` does."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return is_as_shown(want.replace("<BLANKLINE>", ""), got)


def run(page: Path) -> None:
    """Run the blocks of *page* in this process; raise what they raise, with the page's lines in the traceback."""
    names: dict[str, Any] = {"__name__": "__main__", "client": StandInClient(), "MODEL": "stand-in"}
    for block in blocks(page, "python", "pycon"):
        if block.language == "python":
            exec(compile("\n" * (block.line - 1) + block.code, str(page), "exec"), names)
            continue
        example = doctest.DocTestParser().get_doctest(block.code, names, page.name, str(page), block.line - 1)
        runner = doctest.DocTestRunner(checker=Checker(), verbose=False)
        if runner.run(example, clear_globs=False).failed:
            raise AssertionError(f"{page}:{block.line}: it prints something else than the page shows, see above")
        names |= example.globs


class StandInClient:
    """The ``client`` of the pages: a fake of the OpenAI SDK's, with a model that always gives the same answer."""

    def __init__(self) -> None:
        self.responses = self

    def create(self, *, model: str, input: list[dict[str, Any]], instructions: str | None = None) -> StandInResponse:
        """Return the response."""
        assert model
        assert input
        return StandInResponse(model)


class StandInResponse:
    """A response with one message, which is this object as well."""

    def __init__(self, model: str) -> None:
        self.id, self.model, self.status = "resp_1", model, "completed"
        self.usage = {"input_tokens": 12, "output_tokens": 9, "total_tokens": 21}
        self.output = [self]

    def to_dict(self) -> dict[str, Any]:
        """Return the one output item as the SDK's objects do."""
        part = {"type": "output_text", "text": "Begin at the Colosseum, before the crowds."}
        return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}


def pages(root: Path) -> Iterator[Path]:
    """Yield all pages that readers see."""
    yield root / "README.md"
    yield from sorted((root / "docs").rglob("*.md"))


if __name__ == "__main__":
    run(Path(sys.argv[1]))

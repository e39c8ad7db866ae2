"""Check prose for the words in ``tools/prose.toml``: comments, docstrings, messages, and the pages in Markdown.

``python tools/prose.py [--count] [PATH ...]`` prints ``file:line: 'word' -> suggestion`` for each find, or with
``--count`` the number of finds per file, and exits with 1 if there are any. Without paths it checks the project.
In tests, string literals are data and not checked, except for docstrings.
"""

from __future__ import annotations

import ast
import collections
import io
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PROJECT = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "RELEASING.md", "SECURITY.md", "CODE_OF_CONDUCT.md"]
PROJECT += ["docs", "rolloutlog", "rolloutlog_pytest.py"]
PROJECT += ["examples", "tests", "benchmarks", "tools"]
SUFFIXES = {".py", ".md", ".ipynb"}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
CODE = re.compile(r"^( *)```.*?^\1```$|`[^`]*`|^ *>>> .*?$|<!--.*?-->", re.DOTALL | re.MULTILINE)


def python_prose(source: str, *, literals: bool) -> Iterator[tuple[int, str]]:
    """Yield line number and text of comments, of docstrings and, with *literals*, of all strings that hold a space."""
    block: list[str] = []
    last = -1
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] != last + 1:
                yield last - len(block) + 1, "\n".join(block)
                block = []
            block.append(token.string.lstrip("#: "))
            last = token.start[0]
    yield last - len(block) + 1, "\n".join(block)
    docstrings: set[ast.expr] = set()
    parts: set[ast.expr] = set()
    for node in ast.walk(ast.parse(source)):  # a node comes before those inside it
        if isinstance(node, DOCUMENTED) and node.body and isinstance(first := node.body[0], ast.Expr):
            docstrings.add(first.value)
        elif isinstance(node, ast.JoinedStr) and literals:
            parts.update(node.values)
            yield (
                node.lineno,
                "".join(str(part.value) if isinstance(part, ast.Constant) else "_" for part in node.values),
            )
        elif isinstance(node, ast.Constant) and isinstance(text := node.value, str) and node not in parts:
            yield from [(node.lineno, text)] if node in docstrings or (literals and " " in text) else ()


def finds(path: Path, words: list[tuple[re.Pattern[str], str]]) -> Iterator[tuple[int, str, str]]:
    """Yield line number, the words found and the suggestion for each place in *path* that the list does not accept."""
    source = path.read_text(encoding="utf-8")
    texts = [(1, source)]
    if path.suffix == ".py":
        texts = list(python_prose(source, literals="tests" not in path.parts))
    for line, text in texts:
        blank = CODE.sub(lambda match: re.sub(r"[^\n]", "_", match[0]), text)
        prose = re.sub(r"[ \t]*\n[ \t>]*", "\n", blank)
        for pattern, instead in words:
            for match in pattern.finditer(prose):
                yield line + prose.count("\n", 0, match.start()), " ".join(match[0].split()), instead


def main(arguments: list[str]) -> int:
    """Check the paths in *arguments*; return 1 if there are finds."""
    data: dict[str, list[dict[str, Any]]] = tomllib.loads((ROOT / "tools" / "prose.toml").read_text(encoding="utf-8"))
    words = [
        (re.compile(word["pattern"].replace(" ", r"\s"), 0 if word.get("case") else re.IGNORECASE), word["instead"])
        for word in data["word"]
    ]
    given = [Path(argument) for argument in arguments if argument != "--count"] or [ROOT / name for name in PROJECT]
    files = [file for path in given for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    counts: collections.Counter[str] = collections.Counter()
    for path in files:
        if path.suffix not in SUFFIXES or not path.is_file():
            continue
        name = str(path.resolve().relative_to(ROOT))
        allowed = [entry["text"] for entry in data.get("exception", ()) if entry["path"] == name]
        lines = path.read_text(encoding="utf-8").splitlines()
        for line, found, instead in sorted(finds(path, words)):
            if not any(text in lines[line - 1] for text in allowed):
                counts[name] += 1
                if "--count" not in arguments:
                    print(f"{name}:{line}: {found!r} -> {instead}")
    if "--count" in arguments:
        print("".join(f"{count:5} {name}\n" for name, count in counts.most_common()) + f"{counts.total():5} in all")
    return 1 if counts else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Make the pictures in docs/pictures: the command in a terminal of 80 columns, the page, the viewer, and a notebook.

``make pictures`` runs it. All of them show the session that `tests/ferry.py` makes, in a real Chromium; the viewer has
that of `tests/tide.py`, too.
"""

from __future__ import annotations

import base64
import io
import os
import subprocess
import sys
import tempfile
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

import rolloutlog
from rolloutlog._face.page import page
from rolloutlog._face.transcript import Transcript

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
COLUMNS = 80
COMMANDS = ["rolloutlog list", "rolloutlog show c29e6aa0"]
MOST_LINES = 42
FRAME = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; display: grid; background: #16181b }}
pre {{ margin: 0; padding: 20px 24px; width: max-content; color: #d8dbde }}
pre {{ font: 14px/1.42 "DejaVu Sans Mono", monospace }}
</style><pre>{}</pre>"""
NOTEBOOK = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; font: 13px system-ui, sans-serif }}
section {{ padding: 18px 24px }}
section.light {{ background: #fff; color: #1f2328 }}
section.dark {{ background: #111417; color: #dfe1e3 }}
.cell {{ display: grid; grid-template-columns: 4rem minmax(0, 56rem); gap: 6px 10px; margin-bottom: 16px }}
.cell > code {{ font-size: 12px; padding: 6px 0 }}
.cell > code.in {{ padding: 6px 10px; background: color-mix(in srgb, currentColor 6%, transparent) }}
</style>{}"""


def main() -> int:
    """Make all pictures; return the exit code."""
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "browser")]
    ferry, tide, chromium = map(import_module, ("ferry", "tide", "chromium"))
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        day = home / "sessions" / "2026" / "11" / "30"
        day.mkdir(parents=True)
        path = ferry.ferry(day)
        pages = {
            "terminal": terminal(home),
            "page": page(Transcript(path)),
            "notebook": notebook(path, home),
        }
        files = {name: home / f"{name}.html" for name in pages}
        for name, html in pages.items():
            files[name].write_text(html, encoding="utf-8")
        with chromium.started() as driver:
            browser = chromium.Browser(driver)
            save(browser, files["terminal"], "terminal", (760, 100), whole=True)
            save(browser, files["page"], "page-light", (1280, 1100))
            save(browser, files["page"], "page-dark", (1280, 1100), prefers_color_scheme="dark")
            save(browser, files["page"], "page-phone", chromium.PHONE)
            save(browser, files["notebook"], "notebook", (1000, 100), whole=True)
            # Both have ids that end alike, and a list tells sessions apart by these ends.
            (day / tide.FILE_NAME.replace("c29e6aa0", "7d41b2e8")).write_bytes(
                tide.session().replace(b"c29e6aa0", b"7d41b2e8")
            )
            viewer(browser, home)
    return 0


def save(browser: Any, file: Path, name: str, size: tuple[int, int], *, whole: bool = False, **features: str) -> None:
    """Save what *browser* shows of *file*: the window, or the *whole* page."""
    browser.open(file, size=size, **features)
    if whole:
        browser.open(file, size=(size[0], browser.run("document.documentElement.scrollHeight")), **features)
    take(browser, name)


def viewer(browser: Any, home: Path) -> None:
    """Save the list and a search, as `rolloutlog view` shows the sessions in *home*."""
    shown = home / ".rolloutlog"
    shown.symlink_to(home)
    command = [sys.executable, "-m", "rolloutlog", "--home", str(shown), "view", "--no-open"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TZ": "UTC", "HOME": str(home)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            link = process.stdout.readline().strip()
            browser.open_address(link, size=(860, 500))
            take(browser, "view-list")
            browser.driver.get(f"{link.partition('?')[0]}search?q=unittest")
            take(browser, "view-search")
        finally:
            process.terminate()


def take(browser: Any, name: str) -> None:
    """Save what *browser* shows as the picture *name*."""
    picture = browser.call("Page.captureScreenshot", format="png", optimizeForSpeed=False)["data"]
    (PICTURES / f"{name}.png").write_bytes(base64.b64decode(picture))
    print(f"docs/pictures/{name}.png")


def terminal(home: Path) -> str:
    """Return commands and what they print in a terminal, as HTML."""
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "FORCE_COLOR": "1", "ROLLOUTLOG_HOME": str(home)}
    environment |= {"PYTHONPATH": str(ROOT), "TZ": "UTC", "TERM": "xterm"}
    shown = Text()
    for command in COMMANDS:
        arguments = [sys.executable, "-c", IN_A_TERMINAL, *command.split()[1:]]
        out = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True).stdout.replace(
            str(home), "~/.rolloutlog"
        )
        lines = out.rstrip("\n").split("\n")
        cut = "\n".join(lines[:MOST_LINES])
        shown.append(Text.assemble(("$ ", "green"), (command, "bold"), "\n"))
        shown.append(Text.from_ansi(cut))
        shown.append("\n\n")
    console = Console(record=True, width=COLUMNS + 2, file=io.StringIO(), force_terminal=True, color_system="standard")
    console.print(shown, soft_wrap=True)
    return FRAME.format(console.export_html(theme=SVG_EXPORT_THEME, inline_styles=True, code_format="{code}").rstrip())


# Runs the command with a terminal as its output.
IN_A_TERMINAL = """
import sys
from rolloutlog._cli.app import run
sys.stdout.isatty = lambda: True
sys.exit(run([*sys.argv[1:], *(['--no-pager'] if 'show' in sys.argv else [])]))
"""


def notebook(path: Path, home: Path) -> str:
    """Return cells of a notebook and the views below them, light and dark, as HTML."""
    saved = rolloutlog.load_session(path)
    with rolloutlog.session("ferry-notes", home=home / "notes") as session:
        session.record({"role": "user", "content": "Which ferry is the last on Sunday?"})
        session.record({"role": "assistant", "content": "The one at 23:30."})
        failed = next(item for item in saved.items if "FAILED" in item.text)
        cells: list[tuple[str, Any]] = [
            ("saved = rolloutlog.load_session('c29e6aa0'); saved", saved),
            ("session", session),
            (f"saved.items[{saved.items.index(failed)}]", failed),
        ]
        views = [(code, value._repr_html_().replace(str(home), "~")) for code, value in cells]
    body = "".join(
        f'<div class="cell"><code>In [{number}]:</code><code class="in">{escape(code)}</code>'
        f"<code>Out[{number}]:</code><div>{view}</div></div>"
        for number, (code, view) in enumerate(views, 1)
    )
    return NOTEBOOK.format("".join(f'<section class="{scheme}">{body}</section>' for scheme in ("light", "dark")))


if __name__ == "__main__":
    sys.exit(main())

"""Install a wheel into clean environments: the oldest and the newest Python found, alone and with each extra.

``python tools/clean_install.py dist/rolloutlog-0.1.0-py3-none-any.whl``. uv makes the environments, outside of the
source tree, so that nothing but the wheel is imported.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from email import message_from_bytes
from pathlib import Path

UV = str(Path(sys.executable).with_name("uv"))
# Record, resume and read with the package alone; then use an extra. One that is not listed is installed, and not used.
RECORD = """
import importlib.metadata, sys, rolloutlog
assert rolloutlog.__version__ == importlib.metadata.version("rolloutlog") == sys.argv[2], rolloutlog.__version__
for text in ("hi", "and again"):
    with rolloutlog.session("clean", home=sys.argv[1]) as session:
        session.record({"role": "user", "content": text})
assert [item.text for item in rolloutlog.load_session("clean", home=sys.argv[1]).items] == ["hi", "and again"]
"""
EXTRAS = {
    "fast": "import orjson",
    "zstd": "import sys; __import__('compression.zstd' if sys.version_info >= (3, 14) else 'backports.zstd')",
    "cli": "import subprocess, sys; "
    "subprocess.run([sys.executable, '-m', 'rolloutlog', 'show', 'clean', '--home', sys.argv[1]], check=True)",
    "arrow": "import rolloutlog.tables, pyarrow",
    "duckdb": "import rolloutlog.tables, duckdb",
    "otel": "import rolloutlog.otel",
    "openai": "import openai",
    "agents": "from rolloutlog.adapters import agents",
}


def pythons(versions: list[str]) -> list[str]:
    """Return the oldest and the newest of *versions*, such as ``3.11``, that uv finds on this machine."""
    found = []
    for version in versions:
        command = [UV, "python", "find", "--no-project", "--system", "--no-python-downloads", version]
        asked = subprocess.run(command, capture_output=True, text=True)
        found += [asked.stdout.strip()] * (asked.returncode == 0)
    if not found:
        raise SystemExit(f"None of Python {', '.join(versions)} was found.")
    return sorted({found[0], found[-1]}, key=found.index)


def check(wheel: Path, python: str, extra: str, version: str) -> None:
    """Install *wheel* with *extra* into a new environment of *python*, and use it there."""
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder, "environment")
        inside = str(environment / "bin" / "python")
        requirement = f"rolloutlog{extra and f'[{extra}]'} @ {wheel.resolve().as_uri()}"
        for command in (
            [UV, "venv", "--quiet", "--no-project", "--python", python, str(environment)],
            [UV, "pip", "install", "--quiet", "--python", inside, requirement],
            [inside, "-I", "-W", "error", "-c", RECORD, f"{folder}/home", version],
            [inside, "-I", "-c", EXTRAS.get(extra, ""), f"{folder}/home"],
        ):
            subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    print(f"{python}: rolloutlog{extra and f'[{extra}]'} {version} works")


def main(wheel: Path) -> None:
    """Check *wheel*; the versions of Python and the extras are those that its metadata names."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = message_from_bytes(archive.read(name))
    versions = re.findall(r"Python :: (\d+\.\d+)$", "\n".join(metadata.get_all("Classifier", ())), re.MULTILINE)
    extras = metadata.get_all("Provides-Extra", [])
    for python in pythons(versions):
        for extra in ("", *extras):
            check(wheel, python, extra, metadata["Version"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""The machine, without its name, and the versions of the packages."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

PACKAGES = (
    "rolloutlog",
    "attrs",
    "cattrs",
    "filelock",
    "orjson",
    "python-json-logger",
    "structlog",
    "loguru",
    "picologging",
    "concurrent-log-handler",
    "pydantic",
    "openai",
)


def versions() -> dict[str, str]:
    """Return the version of each package, or a note that it is not installed."""
    return {package: _version(package) for package in PACKAGES}


def facts(folder: Path) -> dict[str, str]:
    """Return the facts about the machine that matter; the files are written to *folder*."""
    return {
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}, {platform.machine()}",
        "processor": f"{os.cpu_count()} × {_processor()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        "file system": _file_system(folder),
        "load before": load(),
    }


def load() -> str:
    """Return the load of the last minute: how many processes wanted a processor, in the mean."""
    return f"{os.getloadavg()[0]:.1f}"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _file_system(folder: Path) -> str:
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return "unknown"
    here = str(folder.resolve())
    above = [mount for mount in mounts if mount[1] == "/" or here == mount[1] or here.startswith(mount[1] + "/")]
    return max(above, key=lambda mount: len(mount[1]))[2] if above else "unknown"

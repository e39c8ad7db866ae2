"""Print, or install, the oldest releases that rolloutlog's requirements admit, read from its installed metadata.

pip always takes the newest release that fits. Without a test, a lower bound is a guess.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

from packaging.requirements import Requirement


def lower_bounds(requirements: list[str]) -> list[str]:
    """Return a pin such as ``attrs==22.2`` for each of *requirements*, which must have the form ``attrs>=22.2``.

    Raises:
        ValueError: a requirement has no single lower bound.
    """
    return [_pin(Requirement(text)) for text in requirements]


def _pin(requirement: Requirement) -> str:
    bounds = [specifier.version for specifier in requirement.specifier if specifier.operator == ">="]
    if len(bounds) != 1 or len(requirement.specifier) != 1:
        raise ValueError(f"{requirement} should say >= once, and nothing else")
    return f"{requirement.name}=={bounds[0]}"


def main() -> int:
    """Print the pins; with ``--install``, pass them to the pip of this Python and return its exit code."""
    pins = lower_bounds(importlib.metadata.requires("rolloutlog") or [])
    print(*pins)
    if "--install" not in sys.argv[1:]:
        return 0
    return subprocess.call([sys.executable, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *pins])


if __name__ == "__main__":
    sys.exit(main())

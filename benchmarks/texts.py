"""Texts as tools and people write them, the same in every run."""

from __future__ import annotations

import random

_TALK = """
the file was read and 3 tests failed because of an import that is missing in src/app/main.py so we run pytest again
def handle(request): return "ok" if request.user else None # NOTE {"id": 17, "name": "x"} <div> \\n C:\\temp
total 48 drwxr-xr-x 2 user group 4096 Jul 1 12:00 tests -> ../lib let me look at what the tool returned café naïve
"""
_WORDS = _TALK.split()

_LONGEST = 100_000


def text(chance: random.Random, size: int) -> str:
    """Return *size* characters: mostly ASCII, with quotes and backslashes."""
    words = chance.choices(_WORDS, k=size // 4 + 1)
    # One text in twenty holds characters outside Latin-1. They make it wider in memory and slower to write.
    if chance.random() < 0.05:
        words[0] = "→✓"
    joined = " ".join(words)[:size]
    return joined + " " * (size - len(joined))


def length(chance: random.Random, mu: float, sigma: float = 1.3) -> int:
    """Return a log-normal length in characters, between 16 and 100,000; *mu* is the logarithm of the median."""
    return min(_LONGEST, 16 + int(chance.lognormvariate(mu, sigma)))

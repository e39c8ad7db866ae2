"""How much memory this process holds, and the most that it has held since it was asked to forget."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class Peak:
    """The growth of this process's memory from here on, at its highest, in bytes.

    Where the system cannot forget the peak that was before (anything but Linux), growth below that is not seen.
    """

    def __init__(self) -> None:
        try:
            _CLEAR.write_text("5")  # the peak is what is held now
        except OSError:
            pass  # as said above
        self._before = _held("VmRSS")

    @property
    def growth(self) -> int:
        """How far above the beginning the memory was at its highest."""
        return max(0, _held("VmHWM") - self._before)


def _held(field: str) -> int:
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))

"""How far the memory of this process has grown, at its highest."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class Peak:
    """The growth of this process's memory since the object was made, at its highest, in bytes.

    Only Linux can reset the peak. Elsewhere, growth below the peak from before is not seen.
    """

    def __init__(self) -> None:
        try:
            _CLEAR.write_text("5")  # from now on the peak is what is held now
        except OSError:
            pass  # see above
        self._before = _held("VmRSS")

    @property
    def growth(self) -> int:
        """How many bytes more than at the beginning were held at the peak."""
        return max(0, _held("VmHWM") - self._before)


def _held(field: str) -> int:
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))

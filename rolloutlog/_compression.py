"""zstd: the library, and how much memory a compressed session may take when it is read. Its only user."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from .exceptions import MissingExtraError

StrPath: TypeAlias = str | os.PathLike[str]

COMPRESSED = ".zst"

# How far back a compressed file may refer to its own decompressed bytes, as a power of two: 128 MiB, as much as the
# zstd program and Codex allow. Memory is bounded by it.
WINDOW = 27
_TOO_LARGE = (
    "the compressed file needs a window of more than 128 MiB, which would take as much memory;"
    " `zstd -d --long=31` decompresses it"
)
_DAMAGED = "the compressed file is damaged or incomplete from here on"
# As Codex and the zstd program do by default. With the long window, higher levels gain less than they cost.
_LEVEL = 3


def zstd() -> Any:
    """Return the library, which newer Pythons bring along, or `None`."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return import_module(name)
        except ImportError:
            continue
    return None


def required_zstd(purpose: str) -> Any:
    """Return the library.

    Raises:
        MissingExtraError: it is not installed; the error names *purpose*.
    """
    found = zstd()
    if found is None:
        raise MissingExtraError(purpose, "zstd")
    return found


def is_compressed(path: StrPath) -> bool:
    """Whether *path* is named like a file that zstd compressed."""
    return os.fspath(path).endswith(COMPRESSED)


def compressed_path(path: Path) -> Path:
    """Return where the file at *path* is when it is compressed."""
    return path.with_name(f"{path.name}{COMPRESSED}")


def plain_path(path: Path) -> Path:
    """Return where the compressed file at *path* is when it is unpacked."""
    return path.with_name(path.name.removesuffix(COMPRESSED))


def other_form(path: Path) -> Path:
    """Return where the file at *path* is when it is compressed; if that is the compressed one, where it is unpacked."""
    return plain_path(path) if is_compressed(path) else compressed_path(path)


def decompressed(file: BinaryIO, path: StrPath, failed: Callable[[str], object]) -> Callable[[int], bytes]:
    """Return a function that returns the next bytes of *file*, decompressed, as `read` does.

    Args:
        file: the compressed bytes.
        path: where they are, for an error.
        failed: called with the reason if there are no more bytes because of a damage, or of a window that is too large.

    Raises:
        MissingExtraError: the extra "zstd" is not installed.
    """
    library = required_zstd(f"reading {os.fspath(path)}")
    unpacked = library.ZstdFile(file, options={library.DecompressionParameter.window_log_max: WINDOW})

    def read(size: int) -> bytes:
        try:
            return unpacked.read1(size)  # type: ignore[no-any-return]
        except (EOFError, library.ZstdError) as error:
            # The text is the one of the C library, for every version of it and of Python.
            failed(_TOO_LARGE if "too much memory" in str(error) else _DAMAGED)
            return b""

    return read


def compressor(size: int) -> Any:
    """Return a compressor of *size* bytes into one frame, which tells this size and has a checksum.

    Its long window finds what was said before within the last 128 MiB, such as the same pictures again. A frame of a
    smaller session takes as much memory as that session.

    Raises:
        MissingExtraError: the extra "zstd" is not installed.
    """
    library = required_zstd("compressing a session")
    option = library.CompressionParameter
    options = {
        option.compression_level: _LEVEL,
        option.enable_long_distance_matching: 1,
        option.window_log: WINDOW,
        option.checksum_flag: 1,
        option.content_size_flag: 1,
    }
    made = library.ZstdCompressor(options=options)
    made.set_pledged_input_size(size)
    return made

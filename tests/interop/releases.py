"""The releases of Codex that the interop tests use, and how they are fetched; as a program, it fetches all.

The binaries are big and not ours: they come from the npm registry by package name, are checked against a pinned digest,
and are kept in a folder that git ignores.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from habits import V0_20, V0_169, Habits

PACKAGE = "@openai/codex"
FOLDER_VARIABLE = "ROLLOUTLOG_INTEROP_DIR"
FETCH_SECONDS = 600.0
# As in CI: a missing release is a failure, and not a reason to skip.
REQUIRED = os.environ.get("ROLLOUTLOG_REQUIRE_INTEROP") == "1"
# The voice engine of the desktop program: sixty megabytes that no session needs.
NOT_NEEDED = "/codex-resources/voice/"
# The names of platforms in the paths of an archive.
PLATFORM = re.compile(r"(?:aarch64|x86_64)-(?:unknown-linux-musl|apple-darwin|pc-windows-msvc)")


class FetchError(Exception):
    """A release cannot be fetched, or the archive is not the pinned one."""


@dataclass(frozen=True)
class Archive:
    """One archive of the registry: its version there, its digest, and the program's path in it."""

    version: str
    sha512: str
    program: str


@dataclass(frozen=True)
class Release:
    """One release of Codex: the format that it writes, and the archive for each platform."""

    version: str
    writes: Literal["flat", "envelope"]
    archives: dict[str, Archive]
    habits: Habits

    def __str__(self) -> str:
        return self.version

    @property
    def folder(self) -> Path:
        """The folder into which this release is unpacked."""
        return interop_folder() / f"codex-{self.version}"

    @property
    def binary(self) -> Path:
        """The program's path; it may not exist, see `missing`."""
        return self.folder / self._archive().program

    def missing(self) -> str | None:
        """Return why this release cannot be run here, or `None` if it can."""
        if platform_name() not in self.archives:
            return f"Codex {self.version} is not pinned for {platform_name()}"
        if not self.binary.is_file():
            return f"Codex {self.version} is not in {self.folder}; `make interop` fetches it"
        return None

    def fetch(self) -> None:
        """Download and unpack this release, unless it is there; raise `FetchError` if it is not the pinned one."""
        archive = self._archive()
        if self.binary.is_file():
            return
        make_ignored_folder(interop_folder())
        with tempfile.TemporaryDirectory(dir=interop_folder()) as scratch:
            packed = download(f"{PACKAGE}@{archive.version}", Path(scratch))
            check_digest(packed, archive.sha512)
            unpacked = Path(scratch, "unpacked")
            unpack(packed, unpacked, archive.program)
            if not (unpacked / archive.program).is_file():
                raise FetchError(f"{PACKAGE}@{archive.version} holds no {archive.program}")
            # Renamed last, so that an incomplete fetch is never taken for a whole one.
            os.replace(unpacked, self.folder)

    def _archive(self) -> Archive:
        try:
            return self.archives[platform_name()]
        except KeyError:
            raise FetchError(f"Codex {self.version} is not pinned for {platform_name()}") from None


def platform_name() -> str:
    """Return this machine as the registry's version suffixes spell it, such as ``linux-x64``."""
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine())
    return f"{sys.platform}-{machine}"


def interop_folder() -> Path:
    """Return the folder for everything that is fetched; the environment may name another."""
    return Path(os.environ.get(FOLDER_VARIABLE) or Path(__file__).parents[2] / ".interop").absolute()


def make_ignored_folder(folder: Path) -> None:
    """Create *folder* with a ``.gitignore`` of its own, so that its files are never committed by accident."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n", encoding="ascii")


def download(spec: str, folder: Path) -> Path:
    """Have npm put the archive of *spec* into *folder*, and return its path."""
    if not shutil.which("npm"):
        raise FetchError("npm is not installed, and it fetches the packages")
    command = ["npm", "pack", spec, "--pack-destination", str(folder), "--json", "--ignore-scripts"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_SECONDS, cwd=folder)
    if done.returncode:
        raise FetchError(f"npm pack {spec} ended with status {done.returncode}: {done.stderr.strip()[-500:]}")
    return folder / str(json.loads(done.stdout)[0]["filename"])


def check_digest(packed: Path, sha512: str) -> None:
    """Raise `FetchError` unless the file's SHA-512 (in base64, as the registry writes it) is *sha512*."""
    with packed.open("rb") as stream:
        found = base64.b64encode(hashlib.file_digest(stream, "sha512").digest()).decode("ascii")
    if found != sha512:
        raise FetchError(f"{packed.name} has the digest {found}, and {sha512} is pinned")


def unpack(packed: Path, folder: Path, program: str) -> None:
    """Write the archive's plain files below *folder*; leave out links, odd paths, and files that no test needs.

    No test needs files for other platforms than that of *program*, and files for other purposes.
    """
    with tarfile.open(packed) as archive:
        for member in archive:
            parts = Path(member.name).parts
            if not member.isfile() or ".." in parts or member.name.startswith("/") or NOT_NEEDED in member.name:
                continue
            if not set(PLATFORM.findall(member.name)) <= set(PLATFORM.findall(program)):
                continue
            target = folder.joinpath(*parts[1:])  # the first part is "package" in every archive
            target.parent.mkdir(parents=True, exist_ok=True)
            source = archive.extractfile(member)
            assert source is not None  # it is a plain file
            with target.open("wb") as stream:
                shutil.copyfileobj(source, stream)
            target.chmod(0o755 if member.mode & 0o100 else 0o644)


def one_archive_for_all(version: str, sha512: str, programs: dict[str, str]) -> dict[str, Archive]:
    """Return the archives of a release that ships every platform's program in one."""
    return {name: Archive(version, sha512, program) for name, program in programs.items()}


def one_archive_each(version: str, pins: dict[str, tuple[str, str]]) -> dict[str, Archive]:
    """Return the archives of a release that has a version suffix, a digest and a target triple for each platform."""
    return {
        name: Archive(f"{version}-{name}", sha512, f"vendor/{triple}/bin/codex")
        for name, (triple, sha512) in pins.items()
    }


# The reference for the flat format: old enough to write it, new enough to read back all that it writes.
FLAT = Release(
    version="0.20.0",
    writes="flat",
    habits=V0_20,
    archives=one_archive_for_all(
        "0.20.0",
        "aFxTCOqsZxyk5IbDQulsuxo71qJnnorFD2oYJ9y/5Dq1NudKz0/AOwn/CagS9ABSPH+0kBIYdlv3+8kIzWo9HA==",
        {
            "linux-x64": "bin/codex-x86_64-unknown-linux-musl",
            "linux-arm64": "bin/codex-aarch64-unknown-linux-musl",
            "darwin-x64": "bin/codex-x86_64-apple-darwin",
            "darwin-arm64": "bin/codex-aarch64-apple-darwin",
        },
    ),
)

# The newest release when this was written; docs/interop.md says how to support a newer one.
NEWEST = Release(
    version="0.169.0",
    writes="envelope",
    habits=V0_169,
    archives=one_archive_each(
        "0.169.0",
        {
            "linux-x64": (
                "x86_64-unknown-linux-musl",
                "o05NyAOCDygSPRo1yinzxvkRSdmsZyBD9E7mbpmjRanSfM8lypqWtQgEo4XfNkwhuCR2aFu8mlGOsQGFXVbVww==",
            ),
            "linux-arm64": (
                "aarch64-unknown-linux-musl",
                "NZ/DaQUpcQmxmqee7Z9uC1rzw3GhSbooawcaTe1LN5Yk+WlinUKGdTXJgClRT/9ogQEEM9TWxYzvxPfj5G/xFg==",
            ),
            "darwin-x64": (
                "x86_64-apple-darwin",
                "K1FKSsSLl9v3z5TeagBQXyQRDBIGB5Jncy5dxsRxwT3aaTqN3AI8VrCfoxBxKMOOU9O2QX1vg7WkBwNVth/s9A==",
            ),
            "darwin-arm64": (
                "aarch64-apple-darwin",
                "5WsWFBbVP78D+6FvNo1MMVxLPZdmcoQlqVJFrF4qx/TmvneLnMQKtLyXkUo54XOTDfoYKpNouTJ/F7gTVA8FnQ==",
            ),
        },
    ),
)

RELEASES = (FLAT, NEWEST)


def fetch_all(releases: Sequence[Release]) -> int:
    """Fetch *releases*; print the folder of each, and return 1 at the first that fails, else 0."""
    for release in releases:
        try:
            release.fetch()
        except FetchError as error:
            sys.stderr.write(f"error: {error}\n")
            return 1
        sys.stdout.write(f"Codex {release.version}: {release.binary}\n")
    return 0


if __name__ == "__main__":
    sys.exit(fetch_all(RELEASES))

"""Homes on object storage: their files listed, and fetched many at once; the only user of obstore and fsspec."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import attrs

from .._entries import SessionMeta
from .._paths import FoundFile, parse_file_name
from .._reading.blocks import COMPRESSED, StrPath
from .._reading.lines import read_head
from ..exceptions import InvalidRolloutError, MissingExtraError
from ._wanted import Held

Store: TypeAlias = Any  # a store of obstore, or a file system of fsspec

# How many objects are fetched at once, and how many are there before they are read: a request takes some tens of
# milliseconds, whatever it fetches, and a small session is read in one.
AT_ONCE = 16
_AHEAD = 2 * AT_ONCE
_CHUNK = 1024 * 1024  # bytes of an object in memory: it goes to the disk, however large it is
_FOLDERS = ("sessions", "archived_sessions")


@attrs.frozen
class RemoteFile:
    """A file of a session on object storage.

    Attributes:
        name: its name in the home, such as ``sessions/2025/07/23/rollout-….jsonl``.
        found: what the name says.
        size: its bytes.
    """

    name: str
    found: FoundFile
    size: int


def is_remote(home: object) -> bool:
    """Whether *home* is a URL, or a store, and not a folder."""
    return "://" in home if isinstance(home, str) else home is not None and not isinstance(home, os.PathLike)


class Remote:
    """A home on object storage.

    Args:
        home: its URL, a store of obstore that begins at the home, or a file system of fsspec that does, such as its
            ``DirFileSystem``.

    Raises:
        TypeError: it is none of these.
        MissingExtraError: the extra "remote" is not installed.
        OSError: the URL names no store, or one that cannot be opened.
    """

    def __init__(self, home: Store) -> None:
        self._prefix = f"{home.rstrip('/')}/" if isinstance(home, str) else ""
        self._store = _opened(home) if isinstance(home, str) else home
        # The functions of obstore take a store; a file system of fsspec has methods.
        self._obstore: Any = sys.modules.get("obstore") if _is_of_obstore(self._store) else None
        if self._obstore is None and not hasattr(self._store, "get_file"):
            raise TypeError(f"home must be a path, a URL or a store; got {type(home).__name__}")
        self._bases: dict[str, str] | None = None  # the name of a file, by the id by which others refer to it

    # -- names --------------------------------------------------------------------------------------------------------

    def files(self, since: dt.datetime | None = None) -> list[RemoteFile]:
        """Return the files of all sessions, oldest first by name, as `files_in` does for a folder.

        Raises:
            OSError: the store cannot be listed.
        """
        found: dict[str, RemoteFile] = {}
        for folder in _FOLDERS:
            for name, size in self._listed(folder):
                named = parse_file_name(name)
                if named is not None and (since is None or named.started >= since):
                    found[os.path.basename(name).removesuffix(COMPRESSED)] = RemoteFile(name, named, size)
        return sorted(found.values(), key=lambda file: (file.found.started, file.found.path.name))

    def groups(self, since: dt.datetime | None = None) -> list[list[RemoteFile]]:
        """Return the files of each session: more than one where turns were taken back."""
        groups: dict[str, list[RemoteFile]] = {}
        for file in self.files(since):
            groups.setdefault(file.found.id, []).append(file)
        return list(groups.values())

    def full(self, name: str) -> str:
        """Return what rows call the file of that *name*: its URL, if the home has one."""
        return self._prefix + name

    def _listed(self, folder: str) -> Iterator[tuple[str, int]]:
        try:
            if self._obstore is not None:
                for chunk in self._obstore.list(self._store, prefix=folder):
                    yield from ((str(one["path"]), int(one["size"])) for one in chunk)
            else:
                try:
                    listed = self._store.find(folder, detail=True)
                except FileNotFoundError:
                    return
                for path, facts in listed.items():
                    yield path[path.index(f"{folder}/") :], int(facts["size"])
        except Exception as error:
            raise OSError(f"{self._prefix}{folder} cannot be listed: {_first_line(error)}") from error

    # -- bytes --------------------------------------------------------------------------------------------------------

    def held(self, names: Iterable[str]) -> Iterator[Held]:
        """Yield the files of these *names*, in their order, each on this disk until the next is asked for.

        An object that cannot be fetched has a problem in its place.
        """
        waiting: deque[tuple[Path, Future[Held]]] = deque()
        with tempfile.TemporaryDirectory(prefix="rolloutlog-") as root:
            pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="rolloutlog-fetch")
            try:
                for number, name in enumerate(names):
                    folder = Path(root, str(number))
                    waiting.append((folder, pool.submit(self._fetched, name, folder)))
                    if len(waiting) >= _AHEAD:
                        yield from _first(waiting)
                while waiting:
                    yield from _first(waiting)
            finally:
                pool.shutdown(cancel_futures=True)

    def _fetched(self, name: str, folder: Path) -> Held:
        """Return the object of that *name* as a file in *folder*, or why it cannot be fetched."""
        other = name.removesuffix(COMPRESSED) if name.endswith(COMPRESSED) else name + COMPRESSED
        missing: OSError | None = None
        for tried in (name, other):  # Codex may have compressed or decompressed it since it was listed
            try:
                path = self._fetch(tried, folder)
            except FileNotFoundError as error:
                missing = missing or error
            except OSError as error:
                return Held(folder, self.full(name), problem=str(error))
            else:
                return Held(path, self.full(tried), bases=partial(self._fetch_bases, path.parent.parent))
        return Held(folder, self.full(name), problem=str(missing))

    def _fetch(self, name: str, folder: Path) -> Path:
        # In a folder that is named as in a home, so that the file in which a fork's history begins is found beside it.
        path = folder / "archived_sessions" / os.path.basename(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if self._obstore is None:
                self._store.get_file(name, str(path))
            else:
                got = self._obstore.get(self._store, name)
                with open(path, "wb") as file:
                    for chunk in got.stream(min_chunk_size=_CHUNK):
                        file.write(chunk)
                changed = got.meta["last_modified"].timestamp()
                os.utime(path, (changed, changed))
        except Exception as error:
            path.unlink(missing_ok=True)
            known = FileNotFoundError if isinstance(error, FileNotFoundError) else OSError
            raise known(f"{self.full(name)} cannot be fetched: {_first_line(error)}") from error
        return path

    def _fetch_bases(self, folder: Path, session: SessionMeta) -> None:
        """Fetch the files in which the history of *session* begins to *folder*, where its own is; those that exist."""
        seen = set[str]()
        while isinstance(base := session.extra.get("history_base"), dict):
            if self._bases is None:
                self._bases = {file.found.revision or file.found.id: file.name for file in self.files()}
            name = self._bases.get(str(base.get("thread_id")))
            if name is None or name in seen:
                return
            seen.add(name)
            try:
                session = read_head(self._fetch(name, folder)).session
            except (OSError, InvalidRolloutError):
                return


def remote_files(paths: Iterable[StrPath], store: Store | None = None) -> Iterator[StrPath | Held]:
    """Yield *paths* as they are, or fetched: those that are URLs, or names in *store*."""
    if store is not None:
        yield from Remote(store).held(os.fspath(path) for path in paths)
        return
    homes: dict[str, Remote] = {}
    for home, names in _by_home(paths):
        if home is None:
            yield from names
        else:
            if home not in homes:
                homes[home] = Remote(home)
            yield from homes[home].held(names)


def _by_home(paths: Iterable[StrPath]) -> Iterator[tuple[str | None, Sequence[str]]]:
    """Yield the runs of *paths* that are in one home, or on this disk; each home's URL, and the names in it."""
    home: str | None = None
    names: list[str] = []
    for path in [os.fspath(path) for path in paths]:
        of, name = _split(path) if is_remote(path) else (None, path)
        if of != home and names:
            yield home, names
            names = []
        home = of
        names.append(name)
    if names:
        yield home, names


def _split(url: str) -> tuple[str, str]:
    """Return the home of the file at *url*, and its name in it."""
    for folder in _FOLDERS:
        home, found, rest = url.rpartition(f"/{folder}/")
        if found:
            return home, f"{folder}/{rest}"
    home, _, name = url.rpartition("/")
    return home, name


def _first(waiting: deque[tuple[Path, Future[Held]]]) -> Iterator[Held]:
    folder, future = waiting.popleft()
    yield future.result()
    shutil.rmtree(folder, ignore_errors=True)


def _opened(url: str) -> Store:
    """Return the store at *url*, of obstore if that is installed, else of fsspec."""
    try:
        stores: Any = import_module("obstore.store")
    except ImportError:
        stores = None
    try:
        if stores is not None:
            return stores.from_url(url)
        system, folder = import_module("fsspec.core").url_to_fs(url)
        return import_module("fsspec.implementations.dirfs").DirFileSystem(folder, system)
    except ImportError as error:
        raise MissingExtraError("a home on object storage", "remote") from error
    except Exception as error:
        raise OSError(f"{url} cannot be opened: {_first_line(error)}") from error


def _is_of_obstore(store: object) -> bool:
    """Whether *store* is one of obstore, which is imported where there is one."""
    stores = sys.modules.get("obstore.store")
    known = {} if stores is None else vars(stores)
    kinds = [kind for name, kind in known.items() if name.endswith("Store") and isinstance(kind, type)]
    return isinstance(store, tuple(kinds))


def _first_line(error: Exception) -> str:
    """Return why: stores add pages of details."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)

"""Where a source's bytes lie: local files, globs, and whatever fsspec reaches (s3://, gs://, memory://)."""

from __future__ import annotations

import difflib
import glob
import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bert_assets.config.paths import resolve_path
from bert_assets.errors import UserError

_GLOB_SIGNS = frozenset("*?[")
# What fsspec's file systems call an object's version.
_MARKS = ("ETag", "etag", "LastModified", "last_modified", "mtime", "created", "generation", "versionId")


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What a file looks like from outside: while `marks` stay the same, so do its bytes.

    `changed_at` is the time of the last change, in seconds since 1970, where somebody may still be writing; in
    buckets objects appear whole.
    """

    marks: tuple[Any, ...]
    changed_at: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Location:
    """One file: how messages and the record name it, its bytes as they are stored, and its stamp.

    The stamp is cheap; None where nothing cheap can be known.
    """

    name: str
    fetch: Callable[[], bytes]
    stamp: Callable[[], Stamp | None]

    @property
    def ending(self) -> str:
        return ending_of(self.name)

    def content(self, stored: bytes) -> bytes:
        """The stored bytes, decompressed if the name ends in .gz."""
        if not self.name.lower().endswith(".gz"):
            return stored
        try:
            return gzip.decompress(stored)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"{self.name} is not a complete gzip file: {error}. Compress it again") from None


def ending_of(name: str) -> str:
    """The lower-case ending that tells the format, without a final .gz."""
    return Path(name.lower().removesuffix(".gz")).suffix


def find_locations(path: str, root: Path) -> list[Location]:
    """The files that a path, glob or URL means, sorted by name; raises UserError if there is none.

    Relative paths count from `root`.
    """
    return _find_remote(path) if "://" in path else _find_local(path, root)


def _find_local(path: str, root: Path) -> list[Location]:
    target = resolve_path(root, path)
    if not _GLOB_SIGNS & set(path) or target.exists():
        return [local_file(target, path)]
    # Path.glob refuses absolute patterns.
    found = sorted(name for name in glob.glob(str(target), recursive=True) if Path(name).is_file())  # noqa: PTH207
    if not found:
        raise UserError(
            f"{path} matches no file (relative paths count from {root}). Correct the pattern in source.path"
        )
    return [local_file(Path(name), _shown(Path(name), root)) for name in found]


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def local_file(path: Path, name: str) -> Location:
    """One local file, under the name that messages and the record give it."""

    def stamp() -> Stamp | None:
        try:
            found = path.stat()
        except OSError:  # reading it says why
            return None
        # A copy may keep the old modification time; the inode's own time tells.
        marks = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
        return Stamp(marks=marks, changed_at=max(found.st_mtime, found.st_ctime))

    def fetch() -> bytes:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise UserError(
                f"the source file {name} does not exist: there is no {path}.{_near(path)} Correct source.path; relative "
                "paths count from the project's root"
            ) from None
        except IsADirectoryError:
            raise UserError(
                f"the source {name} is a folder, expected a file. Name the files in it, for example: path: "
                f"{name.rstrip('/')}/*.csv"
            ) from None
        except OSError as error:
            raise UserError(
                f"the source file {name} cannot be read: {error.strerror or error}. Check the path and its permissions"
            ) from None

    return Location(name=name, fetch=fetch, stamp=stamp)


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return f" Nor is there a folder {path.parent}."
    names = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    near = difflib.get_close_matches(path.name, names, n=1)
    return f" Did you mean {near[0]}?" if near else ""


def _find_remote(url: str) -> list[Location]:
    import fsspec

    with_reason = _unreachable(url)
    try:
        system, path = fsspec.core.url_to_fs(url)
        paths = sorted(system.glob(path)) if _GLOB_SIGNS & set(path) else [path]
    except Exception as error:
        raise with_reason(error) from None
    if not paths:
        raise UserError(f"{url} matches no file. Correct the pattern in source.path")

    def location(name: str) -> Location:
        def fetch() -> bytes:
            try:
                return system.cat_file(name)
            except FileNotFoundError:
                is_folder = system.isdir(name)
                raise UserError(
                    f"the source {url} is a folder, expected a file. Name the files in it, for example: path: "
                    f"{url.rstrip('/')}/*.parquet"
                    if is_folder
                    else f"the source file {url} does not exist. Correct source.path"
                ) from None
            except Exception as error:
                raise with_reason(error) from None

        def stamp() -> Stamp | None:
            try:
                system.invalidate_cache()
                found = system.info(name)
            except Exception:  # reading it says why
                return None
            marks = [found.get(key) for key in _MARKS]
            # A size alone would hide a change.
            return Stamp(marks=(found.get("size"), *map(str, marks))) if any(marks) else None

        shown = system.unstrip_protocol(name) if len(paths) > 1 or paths != [path] else url
        return Location(name=shown, fetch=fetch, stamp=stamp)

    return [location(name) for name in paths]


def _unreachable(url: str) -> Callable[[Exception], UserError]:
    # fsspec's file systems raise whatever their clients raise: what the user can do is the same.
    def error(cause: Exception) -> UserError:
        return UserError(
            f"the source {url} cannot be reached: {type(cause).__name__}: {cause}. Check the address, the credentials "
            "in the environment, the network, and that the package for this kind of storage is installed"
        )

    return error

"""Where a source's bytes lie: local files, globs, and whatever fsspec reaches (s3://, gs://, memory://)."""

from __future__ import annotations

import difflib
import glob
import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bert_assets.config.paths import resolve_path
from bert_assets.errors import UserError

_GLOB_SIGNS = frozenset("*?[")


@dataclass(frozen=True, kw_only=True)
class Location:
    """One file: how messages and the record name it, and its bytes as they are stored."""

    name: str
    fetch: Callable[[], bytes]

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

    return Location(name=name, fetch=fetch)


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

        return Location(
            name=system.unstrip_protocol(name) if len(paths) > 1 or paths != [path] else url, fetch=fetch
        )

    return [location(name) for name in paths]


def _unreachable(url: str) -> Callable[[Exception], UserError]:
    # fsspec's file systems raise whatever their clients raise: what the user can do is the same.
    def error(cause: Exception) -> UserError:
        return UserError(
            f"the source {url} cannot be reached: {type(cause).__name__}: {cause}. Check the address, the credentials "
            "in the environment, the network, and that the package for this kind of storage is installed"
        )

    return error

"""Sources: files, globs, buckets and hub datasets, read as they are into Arrow tables."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bert_assets.config.schema import DatasetConfig, FileSource, FormatConfig, HubSource, Split
from bert_assets.errors import UserError
from bert_assets.stages.columns import Columns, choose_columns, what_is_there
from bert_assets.stages.delimited import Dialect, column_names, read_delimited, require_rows_fit, row_lines
from bert_assets.stages.hub import read_hub
from bert_assets.stages.json_lines import json_keys, json_row_lines, read_json_lines
from bert_assets.stages.locations import Location, find_locations, local_file
from bert_assets.stages.source_rows import SourcePart, SourceRows

__all__ = ["SourcePart", "SourceRows", "read_source", "read_table"]

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}  # fmt: skip
BOM = b"\xef\xbb\xbf"


def read_source(dataset: DatasetConfig, root: Path) -> SourceRows:
    """Read the dataset's source; relative paths count from `root`. Raises UserError for what cannot be read."""
    if isinstance(dataset.source, HubSource):
        return read_hub(dataset, dataset.source)
    return _read_files(dataset, dataset.source, root)


def read_table(path: Path, options: FormatConfig) -> pa.Table:
    """All columns of one file, read as a source's are; a relative path counts from the current directory."""
    file = _SourceFile.open(local_file(path, str(path)), options)
    return file.read(file.column_names())


def _read_files(dataset: DatasetConfig, source: FileSource, root: Path) -> SourceRows:
    whole = isinstance(source.path, str)
    paths: dict[Split, str] = {"train": source.path} if isinstance(source.path, str) else source.path
    columns: Columns | None = None
    tables: dict[str, pa.Table] = {}
    parts: dict[str, list[SourcePart]] = {}
    files: list[dict[str, Any]] = []
    # The first training file decides which columns are used; all others must have them too.
    for split in sorted(paths, key=lambda name: name != "train"):
        read: list[pa.Table] = []
        parts[split] = []
        for location in find_locations(paths[split], root):
            file = _SourceFile.open(location, dataset.format)
            names = file.column_names()
            try:
                columns = columns or choose_columns(dataset, names, file.name)
                present = _present(columns, names, split, file.name)
            except UserError:
                # A file that is read in the wrong way has wrong names too: its first wrong line tells more.
                file.require_rows_fit()
                raise
            read.append(file.read(present))
            parts[split].append(SourcePart(name=file.name, rows=read[-1].num_rows, lines=file.lines))
            about = {"split": split, "path": file.name, "size": file.size, "sha256": file.sha256}
            files.append({**about, "rows": read[-1].num_rows})
        tables[split] = _concatenated(read, parts[split])
    assert columns is not None
    return SourceRows(
        name=", ".join(dict.fromkeys(paths.values())),
        splits=tables,
        columns=columns,
        whole=whole,
        provenance={"type": "file", "files": files},
        class_names=None,
        parts=parts,
    )


def _present(columns: Columns, names: Sequence[str], split: str, where: str) -> list[str]:
    """The columns to read; only a test file may be without the label's."""
    wanted = [*columns.texts, columns.label]
    for name in wanted:
        if name not in names and (name != columns.label or split != "test"):
            raise UserError(
                f"{where}: there is no column {name!r}, which the first training file has.{what_is_there(name, names)} "
                "The files of a source need the same columns (only a test file may lack the label)"
            )
    return [name for name in wanted if name in names]


def _concatenated(tables: list[pa.Table], parts: list[SourcePart]) -> pa.Table:
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        names = ", ".join(part.name for part in parts)
        raise UserError(
            f"the files {names} do not fit together: {error}. Give their columns the same types"
        ) from None


@dataclass(frozen=True, kw_only=True)
class _SourceFile:
    """A source file in one of the four formats. `size` and `sha256` are those of the stored file."""

    location: Location
    kind: str
    dialect: Dialect | None
    data: bytes
    size: int
    sha256: str

    @property
    def name(self) -> str:
        return self.location.name

    @classmethod
    def open(cls, location: Location, options: FormatConfig) -> _SourceFile:
        kind = options.type or FORMATS.get(location.ending)
        stored = location.fetch()
        if kind is None:
            raise UserError(
                f"{location.name}: its ending does not tell the format; expected {', '.join(FORMATS)}. Say which it is: "
                "format: {type: csv | tsv | jsonl | parquet}"
            )
        data = location.content(stored)
        head = data[len(BOM) :] if data.startswith(BOM) and kind != "parquet" else data
        if not head or head.isspace():
            raise UserError(f"{location.name} is empty: expected rows of data. Write or download it again")
        return cls(
            location=location,
            kind=kind,
            dialect=_dialect(options, kind, location.name) if kind in ("csv", "tsv") else None,
            data=data,
            size=len(stored),
            sha256=hashlib.sha256(stored).hexdigest(),
        )

    def column_names(self) -> list[str]:
        if self.dialect is not None:
            return column_names(self.data, self.dialect, self.name)
        return json_keys(self.data, self.name) if self.kind == "jsonl" else self._parquet().schema_arrow.names

    def require_rows_fit(self) -> None:
        """Raise UserError if the rows of a delimited file do not have one field per column."""
        if self.dialect is not None:
            require_rows_fit(self.data, self.dialect, self.name)

    def read(self, wanted: list[str]) -> pa.Table:
        if self.dialect is not None:
            return read_delimited(self.data, self.dialect, self.name, wanted)
        if self.kind == "jsonl":
            return read_json_lines(self.data, self.name, wanted)
        file = self._parquet()
        twice = next((name for name in wanted if file.schema_arrow.names.count(name) > 1), None)
        if twice is not None:
            raise UserError(
                f"{self.name} has several columns named {twice!r}: columns need names of their own"
            )
        try:
            table = file.read(columns=wanted).select(wanted)
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{self.name} is damaged: {error}. Write or download it again") from None
        if table.num_rows == 0:
            raise UserError(f"{self.name} holds no rows: expected at least one. Write or download it again")
        return table

    @property
    def lines(self) -> Any:
        """A function that finds the lines of rows; it reads the file again, so that no bytes are held for it."""
        location, dialect = self.location, self.dialect
        if dialect is not None:
            return lambda rows: row_lines(location.content(location.fetch()), dialect, location.name, rows)
        if self.kind == "jsonl":
            return lambda rows: json_row_lines(location.content(location.fetch()), location.name, rows)
        return None

    def _parquet(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(pa.BufferReader(self.data))
        except (pa.ArrowException, OSError) as error:
            raise UserError(
                f"{self.name} is not a Parquet file: {error}. If it is of another format, set format: "
                "{type: csv | tsv | jsonl}"
            ) from None


def _dialect(options: FormatConfig, kind: str, where: str) -> Dialect:
    if not options.header and not options.columns:
        raise UserError(
            f"{where}: a file without header needs names for its columns: format: {{columns: [NAME, ...]}}"
        )
    if options.header and options.columns:
        raise UserError(
            f"{where}: format.columns names the columns of a file without header. Set header: false too, or take "
            "columns away if the first line names them"
        )
    return Dialect(
        delimiter=options.delimiter or {"csv": ",", "tsv": "\t"}[kind],
        columns=None if options.header else tuple(options.columns or ()),
        quoting=options.quoting == "minimal",
        cut_extra=options.extra_columns == "ignore",
    )

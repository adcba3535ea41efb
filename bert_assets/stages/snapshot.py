"""Snapshots: a source's usable rows, split, labelled and named, as Parquet files under the hash of their content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bert_assets.config.schema import DatasetConfig, Split
from bert_assets.errors import StoreError, UserError
from bert_assets.stages.arrow import pc
from bert_assets.stages.columns import as_strings
from bert_assets.stages.content_hash import content_document, content_hash
from bert_assets.stages.figures import gate_figures
from bert_assets.stages.gate import record_path
from bert_assets.stages.invalid_rows import Problem, count_problems, refuse_invalid_rows, text_problems
from bert_assets.stages.labels import Labels, Task, read_labels, select_classes
from bert_assets.stages.row_ids import label_digests, row_ids, text_digests
from bert_assets.stages.source_rows import SourceRows
from bert_assets.stages.splits import SPLITS, assign_splits, sample_rows
from bert_assets.stages.summary import snapshot_summary
from bert_assets.store.hashing import canonical_json
from bert_assets.store.store import Store

__all__ = [
    "BuiltSnapshot",
    "Snapshot",
    "build_snapshot",
    "load_snapshot",
    "publish_snapshot",
    "snapshot_summary",
]

TEXT_COLUMNS = ("text", "text_pair")
# Of a Parquet file's column, read at a time.
READ_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class BuiltSnapshot:
    """A snapshot in memory, not yet published.

    `tables` maps each split that has rows to its table: text (string), text_pair (string, only with pairs), label
    (int64 class id or float64 number; null where test is unlabelled), row_id (string). `content` is the document
    whose hash names the snapshot. `record` says where the rows came from, how many were read, kept and dropped and
    why, and holds the data gate's figures.
    """

    content_hash: str
    task: Task
    class_names: tuple[str, ...] | None
    tables: dict[str, pa.Table]
    content: dict[str, Any]
    record: dict[str, Any]

    @property
    def has_pair(self) -> bool:
        return "text_pair" in self.tables["train"].column_names

    @property
    def rows(self) -> dict[str, int]:
        return {split: table.num_rows for split, table in self.tables.items()}

    def table(self, split: str, columns: Sequence[str] | None = None) -> pa.Table:
        return self.tables[split] if columns is None else self.tables[split].select(list(columns))


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A published snapshot whose files matched its manifest when it was loaded."""

    content_hash: str
    task: Task
    class_names: tuple[str, ...] | None
    rows: dict[str, int]
    has_pair: bool
    folder: Path

    def table(self, split: str, columns: Sequence[str] | None = None) -> pa.Table:
        """The split's rows in order, with all columns or those named; see BuiltSnapshot."""
        names = None if columns is None else list(columns)
        with self._file(split) as file:
            table = file.read(columns=names)
        return table if names is None else table.select(names)

    def batches(self, split: str, columns: Sequence[str], *, rows: int) -> Iterator[pa.RecordBatch]:
        """The split's rows in order, at most `rows` at a time, for what must not be in memory at once."""
        with self._file(split) as file:
            for batch in file.iter_batches(batch_size=rows, columns=list(columns)):
                yield batch.select(list(columns))

    def _file(self, split: str) -> pq.ParquetFile:
        if split not in self.rows:
            raise UserError(
                f"the snapshot {self.content_hash[:12]} has no {split} split, only {', '.join(self.rows)}"
            )
        # Not read ahead: a row group may hold a million rows.
        return pq.ParquetFile(self.folder / f"{split}.parquet", pre_buffer=False, buffer_size=READ_BYTES)


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Rows of one split of the snapshot: which rows of which split of the source."""

    source: str
    read: int
    kept: np.ndarray
    dropped: dict[str, int]


def build_snapshot(dataset: DatasetConfig, source: SourceRows) -> BuiltSnapshot:
    """Label, check, split, sample and name the source's rows, and hash what is kept.

    Raises UserError for rows that cannot be used (unless `on_invalid: drop`), a train split that is empty or has one
    class only, labels that train lacks, and a split that was asked for and came out empty.
    """
    texts = {split: _texts(source, split) for split in source.splits}
    labels = _labels(dataset, source)
    problems = {}
    for split, columns in texts.items():
        of_text = text_problems(columns)
        problems[split] = np.where(of_text != 0, of_text, labels.problems[split])
    if dataset.on_invalid == "error":
        refuse_invalid_rows(source, problems)
    digests = {split: text_digests(columns) for split, columns in texts.items()}
    chosen = _choose_rows(dataset, digests, problems)
    _require_rows(dataset, source, chosen)
    values, class_names = _labels_of_train(dataset, source, labels, chosen)
    tables, kept_digests = {}, {}
    for split, rows in chosen.items():
        mask = np.zeros(len(digests[rows.source]), bool)
        mask[rows.kept] = True
        keep = pa.array(mask)
        columns = {
            name: column.filter(keep) for name, column in zip(TEXT_COLUMNS, texts[rows.source], strict=False)
        }
        label = values[split]
        kept_digests[split] = digests[rows.source][rows.kept]
        ids = row_ids(kept_digests[split], label_digests(label, class_names))
        tables[split] = pa.table({**columns, "label": label, "row_id": ids})
    content = content_document(tables, task=labels.task, class_names=class_names)
    return BuiltSnapshot(
        content_hash=content_hash(content),
        task=labels.task,
        class_names=class_names,
        tables=tables,
        content=content,
        record={
            "source": source.provenance,
            "columns": {
                "text": source.columns.text,
                "text_pair": source.columns.text_pair,
                "label": source.columns.label,
            },
            "task": labels.task,
            "class_names": None if class_names is None else list(class_names),
            "cut": {
                "splits": [split for split in tables if split not in source.splits],
                **dataset.splits.model_dump(mode="json"),
            },
            "counts": _counts(chosen),
            "figures": gate_figures(tables, kept_digests, class_names),
        },
    )


def publish_snapshot(store: Store, dataset_name: str, built: BuiltSnapshot) -> Snapshot:
    """Publish the snapshot if it is not there, write the dataset's record of it, and point the dataset at it."""

    def write(folder: Path) -> None:
        for split, table in built.tables.items():
            pq.write_table(table, folder / f"{split}.parquet", compression="zstd")

    # Nothing of the dataset is in the manifest: datasets with the same rows share the snapshot.
    store.publish(
        _relative(built.content_hash),
        write=write,
        manifest={
            "kind": "snapshot",
            "content_hash": built.content_hash,
            "content": built.content,
            "task": built.task,
            "class_names": None if built.class_names is None else list(built.class_names),
            "has_pair": built.has_pair,
            "rows": built.rows,
        },
    )
    snapshot = load_snapshot(store, built.content_hash)
    identity = {"dataset": dataset_name, "content_hash": built.content_hash}
    _write_record(store, record_path(dataset_name, built.content_hash), {**identity, **built.record})
    store.write_pointer(f"datasets/{dataset_name}/current.json", identity)
    return snapshot


def _write_record(store: Store, path: str, record: dict[str, Any]) -> None:
    """Write the record with the time, unless the same one is there: nothing was learned then."""
    try:
        known = store.read_pointer(path)
    except StoreError:
        known = None
    if known is not None and canonical_json({name: known.get(name) for name in record}) == canonical_json(
        record
    ):
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    store.write_pointer(path, {**record, "recorded_at": now})


def load_snapshot(store: Store, wanted: str) -> Snapshot:
    """The published snapshot of that content hash; raises StoreError unless every file matches its manifest."""
    relative = _relative(wanted)
    manifest = store.verify(relative)
    if manifest.get("content_hash") != wanted or content_hash(manifest["content"]) != wanted:
        raise StoreError(f"{store.path(relative)} holds another content than its name says")
    names = manifest["class_names"]
    return Snapshot(
        content_hash=wanted,
        task=manifest["task"],
        class_names=None if names is None else tuple(names),
        rows={split: manifest["rows"][split] for split in SPLITS if split in manifest["rows"]},
        has_pair=manifest["has_pair"],
        folder=store.path(relative),
    )


def _relative(content_hash: str) -> str:
    return f"snapshots/{content_hash}"


def _texts(source: SourceRows, split: str) -> list[pa.ChunkedArray]:
    """The split's text column, or its two, as strings."""
    table = source.splits[split]
    return [as_strings(table.column(name), name, f"{source.name}, {split}") for name in source.columns.texts]


def _labels(dataset: DatasetConfig, source: SourceRows) -> Labels:
    name = source.columns.label
    columns = {
        split: table.column(name)
        if name in table.column_names
        else pa.chunked_array([pa.nulls(table.num_rows)])
        for split, table in source.splits.items()
    }
    where = f"{source.name}, column {name!r}"
    return read_labels(columns, task=dataset.task, given_names=source.class_names, where=where)


def _choose_rows(
    dataset: DatasetConfig, digests: Mapping[str, np.ndarray], problems: Mapping[str, np.ndarray]
) -> dict[Split, _Rows]:
    """The rows of each split that there shall be, in the order train, validation, test."""
    shares = {"validation": dataset.splits.validation, "test": dataset.splits.test}
    missing = {split: share for split, share in shares.items() if split not in digests and share > 0}
    assigned = {split: (split, np.arange(len(rows))) for split, rows in digests.items()}
    if missing:
        cut = assign_splits(digests["train"], missing, dataset.splits.seed)
        assigned |= {split: ("train", rows) for split, rows in cut.items()}
    chosen: dict[Split, _Rows] = {}
    for split in SPLITS:
        if split not in assigned:
            continue
        origin, rows = assigned[split]
        faults = problems[origin][rows]
        kept = rows[faults == Problem.NONE]
        dropped = count_problems(faults)
        limit = dataset.max_rows.get(split)
        if limit is not None and len(kept) > limit:
            dropped["beyond max_rows"] = len(kept) - limit
            kept = kept[sample_rows(digests[origin][kept], limit, dataset.splits.seed)]
        chosen[split] = _Rows(source=origin, read=len(rows), kept=kept, dropped=dropped)
    return chosen


def _require_rows(dataset: DatasetConfig, source: SourceRows, chosen: Mapping[Split, _Rows]) -> None:
    for split, rows in chosen.items():
        if len(rows.kept):
            continue
        reasons = ", ".join(f"{number} with a {words}" for words, number in rows.dropped.items())
        if reasons:
            message = f"none of its {rows.read} rows can be used ({reasons}). Correct them in the source"
        elif rows.source == split and len(source.splits[split]) == 0:
            # Files without rows are refused when they are read.
            message = (
                "the hub has no rows of it. Use another config or revision, or export the splits that have rows to files: "
                "source: {type: file, path: {train: ...}}"
            )
        elif split == "train":
            message = "validation and test took all rows. Add rows to the source, or lower splits.validation and splits.test"
        else:
            share, there = getattr(dataset.splits, split), len(source.splits["train"])
            message = (
                f"a share of {share:g} of {there} rows gave it none. Raise splits.{split}, add rows, give a file for it "
                f"(source.path: {{train: ..., {split}: ...}}), or do without it: splits: {{{split}: 0}}"
            )
        raise UserError(f"{source.name}: the {split} split is empty: {message}")


def _labels_of_train(
    dataset: DatasetConfig, source: SourceRows, labels: Labels, chosen: Mapping[Split, _Rows]
) -> tuple[dict[str, pa.Array], tuple[str, ...] | None]:
    """The kept rows' labels, over the classes that train has; raises UserError if those do not suffice."""
    values = {split: labels.values[rows.source].take(pa.array(rows.kept)) for split, rows in chosen.items()}
    of_train = pc.unique(values["train"]).to_pylist()
    names = labels.class_names
    if len(of_train) < 2:
        only = of_train[0] if names is None else names[of_train[0]]
        raise UserError(
            f"{source.name}: every label in train is {only!r} ({len(values['train'])} rows): there is nothing to "
            f"learn. Check that {source.columns.label!r} is the column of the labels, and add rows with other labels"
        )
    if names is None:
        return values, None
    for split, column in values.items():
        unknown = pc.value_counts(
            column.drop_null().filter(pc.invert(pc.is_in(column.drop_null(), pa.array(of_train))))
        )
        if len(unknown):
            listed = ", ".join(
                f"{names[entry['values']]!r} ({entry['counts']} rows)" for entry in unknown.to_pylist()[:10]
            )
            cut = split not in source.splits or split in dataset.max_rows or "train" in dataset.max_rows
            raise UserError(
                f"{source.name}: {split} has labels that train lacks: {listed}. Train has "
                f"{', '.join(repr(names[index]) for index in sorted(of_train)[:10])}. "
                + (
                    "Add rows with these labels, merge them with others, or cut with another splits.seed"
                    if cut
                    else f"Add such rows to train, or correct the labels of {split}"
                )
            )
    if source.class_names is not None:
        # A hub dataset's ids are known by its users: classes without rows keep their places.
        return values, names
    return select_classes(values, names, of_train)


def _counts(chosen: Mapping[Split, _Rows]) -> dict[str, Any]:
    """Rows read, kept and dropped by reason: in all and per split; read is kept and dropped together."""
    dropped: dict[str, int] = {}
    for rows in chosen.values():
        for words, number in rows.dropped.items():
            dropped[words] = dropped.get(words, 0) + number
    return {
        "read": sum(rows.read for rows in chosen.values()),
        "kept": sum(len(rows.kept) for rows in chosen.values()),
        "dropped": dropped,
        "splits": {
            split: {"read": rows.read, "kept": len(rows.kept), "dropped": rows.dropped}
            for split, rows in chosen.items()
        },
    }

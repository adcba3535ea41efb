"""What a person wants to see of a snapshot: counts, labels, lengths, schema, and its first rows."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from bert_assets.stages.arrow import pc
from bert_assets.stages.figures import word_counts

if TYPE_CHECKING:
    from bert_assets.stages.snapshot import BuiltSnapshot, Snapshot

PREVIEW_ROWS = 5
# Upper ends, included, of the histograms of words and characters per row (both texts of a pair together).
WORD_BINS = (4, 8, 16, 32, 64, 128, 256, 512)
CHARACTER_BINS = (16, 32, 64, 128, 256, 512, 1024, 2048)
NUMBER_BINS = 10


def snapshot_summary(snapshot: BuiltSnapshot | Snapshot) -> dict[str, Any]:
    """Plain data, texts as they are:

    `rows` per split; `labels`, rows per class name (or per range of numbers) and split; `lengths` and `characters`,
    histograms of white-space separated words and of characters per split; `schema`, column to type; `preview`, the
    first training rows with class names for ids; `counts` of rows read, kept and dropped ({} where they are not known).
    """
    splits = {split: snapshot.table(split) for split in snapshot.rows}
    edges = _number_edges(splits) if snapshot.class_names is None else None
    preview = splits["train"].slice(0, PREVIEW_ROWS).to_pylist()
    if snapshot.class_names is not None:
        preview = [{**row, "label": snapshot.class_names[row["label"]]} for row in preview]
    return {
        "rows": dict(snapshot.rows),
        "labels": {
            split: _label_counts(table.column("label"), snapshot.class_names, edges)
            for split, table in splits.items()
        },
        "lengths": {
            split: _histogram(*_words(snapshot, split, table), WORD_BINS) for split, table in splits.items()
        },
        "characters": {
            split: _histogram(_characters(table), None, CHARACTER_BINS) for split, table in splits.items()
        },
        "schema": {field.name: str(field.type) for field in splits["train"].schema},
        "preview": preview,
        "counts": getattr(snapshot, "record", {}).get("counts", {}),
    }


def snapshot_overview(snapshot: Snapshot, record: Mapping[str, Any]) -> dict[str, Any]:
    """What a report says of a snapshot, from its labels and its record alone: no text is read.

    `rows` per split; `labels` and `words` as `labels` and `lengths` of `snapshot_summary`; `counts` of rows read, kept
    and dropped, and the `source`, as far as the record says.
    """
    splits = {split: snapshot.table(split, ["label"]) for split in snapshot.rows}
    edges = _number_edges(splits) if snapshot.class_names is None else None
    words = (record.get("figures") or {}).get("words") or {}
    return {
        "snapshot": snapshot.content_hash,
        "rows": dict(snapshot.rows),
        "labels": {
            split: _label_counts(table.column("label"), snapshot.class_names, edges)
            for split, table in splits.items()
        },
        "words": {
            split: _histogram(np.array(counts["words"]), np.array(counts["rows"]), WORD_BINS)
            for split, counts in words.items()
            if counts["words"]
        },
        "counts": record.get("counts") or {},
        "source": _source_name(record.get("source") or {}),
    }


def _source_name(source: Mapping[str, Any]) -> str | None:
    files = source.get("files") or []
    if not files:
        return source.get("name")
    first = str(files[0]["path"])
    return first if len(files) == 1 else f"{first} and {len(files) - 1} more"


def _words(snapshot: BuiltSnapshot | Snapshot, split: str, table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of words that rows have, and how many rows have each; counted once where the snapshot was built."""
    figures = getattr(snapshot, "record", {}).get("figures", {})
    counts = figures["words"][split] if "words" in figures else word_counts(table)
    return np.array(counts["words"]), np.array(counts["rows"])


def _characters(table: pa.Table) -> np.ndarray:
    texts = [name for name in ("text", "text_pair") if name in table.column_names]
    return np.sum([pc.utf8_length(table.column(name)).to_numpy() for name in texts], axis=0)


def _histogram(values: np.ndarray, rows: np.ndarray | None, bins: tuple[int, ...]) -> dict[str, int]:
    """Rows per range, from the first range to the last one that holds any; `rows` of each value, by default one."""
    counts = np.bincount(np.searchsorted(bins, values), weights=rows, minlength=len(bins) + 1)
    names = [f"{low + 1} to {high}" for low, high in zip((0, *bins), bins, strict=False)] + [
        f"over {bins[-1]}"
    ]
    last = int(np.flatnonzero(counts)[-1]) + 1
    return {name: int(count) for name, count in zip(names[:last], counts[:last], strict=True)}


def _number_edges(splits: dict[str, pa.Table]) -> np.ndarray:
    train = splits["train"].column("label").to_numpy()
    return np.linspace(train.min(), train.max(), NUMBER_BINS + 1)


def _label_counts(
    labels: pa.ChunkedArray, class_names: tuple[str, ...] | None, edges: np.ndarray | None
) -> dict[str, int]:
    if labels.null_count:
        return {"(no label)": labels.null_count}
    values = labels.to_numpy()
    if class_names is not None:
        counts = np.bincount(values, minlength=len(class_names))
        return {name: int(count) for name, count in zip(class_names, counts, strict=True)}
    assert edges is not None
    # Numbers beyond train's range count with the outer bins.
    bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, NUMBER_BINS - 1)
    counts = np.bincount(bins, minlength=NUMBER_BINS)
    return {name: int(count) for name, count in zip(_range_names(edges), counts, strict=True)}


def _range_names(edges: np.ndarray) -> list[str]:
    """The ranges between the edges, with as few digits (at least 3) as tell every edge from the next."""
    digits = next(
        (n for n in range(3, 17) if len({f"{edge:.{n}g}" for edge in edges.tolist()}) == len(edges)), 17
    )
    return [f"{low:.{digits}g} to {high:.{digits}g}" for low, high in itertools.pairwise(edges.tolist())]

"""The figures that the data gate judges, computed once while a snapshot is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from bert_assets.stages.arrow import pc

MOST_EXAMPLES = 5
# Rows with more words than this count as having this many: no encoder takes more tokens.
MOST_WORDS = 8192
# \t, \n, \v, \f and \r follow each other.
CONTROL_SPACES = 5
# What fits into the processor's cache is counted twice as fast.
BYTES_AT_ONCE = 1 << 20


def gate_figures(
    tables: Mapping[str, pa.Table], text_digests: Mapping[str, np.ndarray], class_names: Sequence[str] | None
) -> dict[str, Any]:
    """Types and nulls, labels, leakage, duplicates, class balance of train and words per row; JSON-able.

    `text_digests` are those of the tables' rows, shape (rows, 32) each.
    """
    keys = {split: _keys(digests) for split, digests in text_digests.items()}
    train = tables["train"]
    return {
        "schema": {split: _schema(table) for split, table in tables.items()},
        "labels": _targets(tables) if class_names is None else _classes(tables, len(class_names)),
        "leakage": {
            split: _leakage(tables[split], keys[split], keys["train"]) for split in tables if split != "train"
        },
        "duplicates": {split: _duplicates(table, keys[split]) for split, table in tables.items()},
        "contradictions": _contradictions(train, text_digests["train"], class_names),
        "class_balance": None if class_names is None else _class_balance(train, class_names),
        "words": {split: word_counts(table) for split, table in tables.items()},
    }


def word_counts(table: pa.Table) -> dict[str, list[int]]:
    """How many rows have how many white-space separated words, both texts of a pair together.

    `words` ascending, those that occur, and `rows`, as many; the last may stand for MOST_WORDS and more.
    """
    texts = [name for name in ("text", "text_pair") if name in table.column_names]
    words = np.sum([_words(table.column(name)) for name in texts], axis=0)
    rows = np.bincount(np.minimum(words, MOST_WORDS))
    occurring = np.flatnonzero(rows)
    return {"words": occurring.tolist(), "rows": rows[occurring].tolist()}


def _words(column: pa.ChunkedArray) -> np.ndarray:
    """Words per row of a string column without nulls, shape (rows,); words are separated by ASCII white space."""
    counts = [_words_of_chunk(chunk) for chunk in column.chunks]
    return np.concatenate(counts) if counts else np.zeros(0, np.int64)


def _words_of_chunk(chunk: pa.Array) -> np.ndarray:
    # On the bytes themselves: Arrow's regular expressions take 25 times as long.
    _, ends, content = chunk.buffers()
    offsets = np.frombuffer(ends, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    text = np.frombuffer(content or b"", np.uint8)
    counts = np.zeros(len(chunk), np.int64)
    first = 0
    while first < len(chunk):
        # As wide as the offsets: numpy would copy them all to compare them with a wider number.
        end = np.int32(min(int(offsets[first]) + BYTES_AT_ONCE, int(offsets[-1])))
        last = int(np.searchsorted(offsets, end, side="right")) - 1
        last = min(max(last, first + 1), len(chunk))
        begin = offsets[first : last + 1] - offsets[first]
        part = text[offsets[first] : offsets[last]]
        is_space = (part == ord(" ")) | (part - np.uint8(ord("\t")) < CONTROL_SPACES)
        starts = ~is_space
        starts[1:] &= is_space[:-1]
        row_starts = begin[:-1][begin[:-1] < len(starts)]
        starts[row_starts] = ~is_space[row_starts]
        counts[first:last] = np.diff(np.searchsorted(np.flatnonzero(starts), begin))
        first = last
    return counts


def _schema(table: pa.Table) -> dict[str, Any]:
    return {
        name: {"type": str(table.schema.field(name).type), "nulls": table.column(name).null_count}
        for name in table.column_names
    }


def _classes(tables: Mapping[str, pa.Table], classes: int) -> dict[str, Any]:
    rows = {
        split: np.bincount(table.column("label").drop_null().to_numpy(), minlength=classes)
        for split, table in tables.items()
    }
    known = rows["train"] > 0
    return {
        "classes": classes,
        "without_train_rows": int((~known).sum()),
        "unknown": {split: int(counts[~known].sum()) for split, counts in rows.items() if split != "train"},
    }


def _targets(tables: Mapping[str, pa.Table]) -> dict[str, Any]:
    train = tables["train"].column("label").to_numpy()
    low, high = float(train.min()), float(train.max())
    outside = {}
    for split, table in tables.items():
        values = table.column("label").drop_null().to_numpy()
        outside[split] = {"rows": len(values), "outside": int(((values < low) | (values > high)).sum())}
    return {"min": low, "max": high, "outside": outside}


def _leakage(table: pa.Table, keys: pa.Array, train: pa.Array) -> dict[str, Any]:
    leaked = np.flatnonzero(pc.is_in(keys, value_set=train).to_numpy(zero_copy_only=False))
    return {
        "rows": table.num_rows,
        "leaked": len(leaked),
        "share": len(leaked) / table.num_rows,
        "examples": _examples(table, leaked[:MOST_EXAMPLES], ("row_id", "text", "text_pair")),
    }


def _class_balance(train: pa.Table, class_names: Sequence[str]) -> dict[str, Any]:
    counts = np.bincount(train.column("label").to_numpy(), minlength=len(class_names))
    rarest = int(counts.argmin())
    return {
        "rarest": class_names[rarest],
        "rows": int(counts[rarest]),
        "min_share": float(counts[rarest] / train.num_rows),
    }


def _duplicates(table: pa.Table, keys: pa.Array) -> dict[str, int]:
    """Rows beyond the first of their text, and of those, rows beyond the first of text and label."""
    repeated_rows = table.num_rows - int(pc.sum(_first_of_text_and_label(table)).as_py())
    return {"texts": table.num_rows - len(pc.unique(keys)), "rows": repeated_rows}


def _contradictions(
    train: pa.Table, digests: np.ndarray, class_names: Sequence[str] | None
) -> dict[str, Any]:
    """How many texts carry several labels, with a row of each label of the first such texts."""
    rows = np.flatnonzero(_first_of_text_and_label(train).to_numpy())
    # Eight bytes of a sha256 tell ten million texts apart but for a chance of one in a hundred thousand.
    texts = np.ascontiguousarray(digests[:, :8]).view(np.uint64)[rows, 0]
    order = np.argsort(texts, kind="stable")
    same = texts[order][1:] == texts[order][:-1]
    begins = same & ~np.concatenate([[False], same[:-1]])
    member = np.concatenate([[False], same]) | np.concatenate([same, [False]])
    examples = _examples(train, rows[order[member]][:MOST_EXAMPLES], ("row_id", "label", "text", "text_pair"))
    if class_names is not None:
        examples = [{**example, "label": class_names[example["label"]]} for example in examples]
    return {"texts": int(begins.sum()), "examples": examples}


def _first_of_text_and_label(table: pa.Table) -> pa.ChunkedArray:
    # A row id is `<text and label>-<occurrence>`: the first occurrences end in -1.
    return pc.ends_with(table.column("row_id"), "-1")


def _examples(table: pa.Table, rows: np.ndarray, columns: Sequence[str]) -> list[dict[str, Any]]:
    return table.select([name for name in columns if name in table.column_names]).take(rows).to_pylist()


def _keys(digests: np.ndarray) -> pa.Array:
    content = np.ascontiguousarray(digests)
    buffers = [None, pa.py_buffer(content)]
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(content.shape[1]), len(content), buffers)

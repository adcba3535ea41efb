"""The figures that the data gate judges, computed once while a snapshot is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from bert_assets.stages.arrow import pc

MOST_EXAMPLES = 5


def gate_figures(
    tables: Mapping[str, pa.Table], text_digests: Mapping[str, np.ndarray], class_names: Sequence[str] | None
) -> dict[str, Any]:
    """Leakage per evaluated split, class balance of train, and duplicates per split; JSON-able.

    `text_digests` are those of the tables' rows, shape (rows, 32) each.
    """
    keys = {split: _keys(digests) for split, digests in text_digests.items()}
    return {
        "leakage": {
            split: _leakage(tables[split], keys[split], keys["train"]) for split in tables if split != "train"
        },
        "class_balance": None if class_names is None else _class_balance(tables["train"], class_names),
        "duplicates": {split: _duplicates(table, keys[split]) for split, table in tables.items()},
    }


def _leakage(table: pa.Table, keys: pa.Array, train: pa.Array) -> dict[str, Any]:
    leaked = np.flatnonzero(pc.is_in(keys, value_set=train).to_numpy(zero_copy_only=False))
    columns = [name for name in ("row_id", "text", "text_pair") if name in table.column_names]
    return {
        "rows": table.num_rows,
        "leaked": len(leaked),
        "share": len(leaked) / table.num_rows,
        "examples": table.select(columns).take(leaked[:MOST_EXAMPLES]).to_pylist(),
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
    # A row id is `<text and label>-<occurrence>`: the first occurrences end in -1.
    first = pc.ends_with(table.column("row_id"), "-1")
    repeated_rows = table.num_rows - int(pc.sum(first).as_py())
    return {"texts": table.num_rows - len(pc.unique(keys)), "rows": repeated_rows}


def _keys(digests: np.ndarray) -> pa.Array:
    content = np.ascontiguousarray(digests)
    buffers = [None, pa.py_buffer(content)]
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(content.shape[1]), len(content), buffers)

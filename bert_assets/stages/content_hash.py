"""The content hash of a snapshot: what it covers, stream by stream.

The hash is the sha256 of a canonical JSON document that holds the task, the class names, and for each split and
column three sha256 streams: one byte per row for validity, eight bytes (int64, little-endian) per row for the lengths
of texts, and the values themselves (UTF-8, int64 or float64, little-endian; a null adds no text, and a zero to
numbers). So it depends on schema, column names, values, nulls and row order, and not on chunks, row groups,
compression, offset widths or files. Apart streams also keep ("ab", "c") from ("a", "bc").
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from bert_assets.stages.arrow import pc
from bert_assets.store.hashing import sha256_json

FORMAT = "bert-assets snapshot 1"
# Derived from the content, so not part of it.
DERIVED = ("row_id",)


def content_document(
    tables: Mapping[str, pa.Table], *, task: str, class_names: Sequence[str] | None
) -> dict[str, Any]:
    """What `content_hash` hashes; splits in the order of their names, columns in the tables' order."""
    return {
        "format": FORMAT,
        "task": task,
        "class_names": None if class_names is None else list(class_names),
        "splits": {split: _split_document(tables[split]) for split in sorted(tables)},
    }


def content_hash(document: Mapping[str, Any]) -> str:
    return sha256_json(document)


def _split_document(table: pa.Table) -> dict[str, Any]:
    columns = [
        {"name": name, **column_streams(table.column(name))}
        for name in table.column_names
        if name not in DERIVED
    ]
    return {"rows": table.num_rows, "columns": columns}


def column_streams(column: pa.ChunkedArray) -> dict[str, str]:
    """The type and the sha256 of each stream of a column of strings, int64 or float64."""
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    if not is_text and column.type not in (pa.int64(), pa.float64()):
        raise TypeError(f"no canonical form for a column of {column.type}")
    streams = {
        name: hashlib.sha256()
        for name in (("validity", "lengths", "values") if is_text else ("validity", "values"))
    }
    for chunk in column.chunks:
        streams["validity"].update(chunk.is_valid().cast(pa.uint8()).to_numpy().tobytes())
        if is_text:
            lengths, values = _text_streams(chunk)
            streams["lengths"].update(lengths)
            streams["values"].update(values)
        else:
            numbers = pc.fill_null(chunk, 0).to_numpy()
            streams["values"].update(numbers.astype(numbers.dtype.newbyteorder("<"), copy=False).tobytes())
    kind = "string" if is_text else str(column.type)
    return {"type": kind, **{name: stream.hexdigest() for name, stream in streams.items()}}


def _text_streams(chunk: pa.Array) -> tuple[bytes, memoryview]:
    # A null's slot may hold bytes; filling makes it empty. The cast to wide offsets leaves the bytes alone.
    filled = (pc.fill_null(chunk, "") if chunk.null_count else chunk).cast(pa.large_string())
    _, offsets_buffer, values_buffer = filled.buffers()
    if len(filled) == 0:
        return b"", memoryview(b"")
    offsets = np.frombuffer(offsets_buffer, np.int64)[filled.offset : filled.offset + len(filled) + 1]
    values = memoryview(values_buffer or b"")[offsets[0] : offsets[-1]]
    return np.diff(offsets).astype("<i8").tobytes(), values

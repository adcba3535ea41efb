"""What a source holds once it is read, and where each of its rows stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from bert_assets.stages.columns import Columns


@dataclass(frozen=True, kw_only=True)
class SourcePart:
    """Rows of one split that stand together: a file, or a split of a hub dataset.

    `lines` finds the 1-based lines at which 0-based rows start, where the format has lines.
    """

    name: str
    rows: int
    lines: Callable[[Iterable[int]], Mapping[int, int]] | None = None


@dataclass(frozen=True, kw_only=True)
class SourceRows:
    """What a source holds, split by split, in its own order.

    `splits` maps each split that the source brings to a table of the columns that are used, named and typed as in the
    source; a `test` without labels may lack the label's column. `whole` says that the source is not divided: all of
    it is then under `train`. `class_names` are the label's, in the source's order, if it lists them.
    """

    name: str
    splits: dict[str, pa.Table]
    columns: Columns
    whole: bool
    provenance: dict[str, Any]
    class_names: list[str] | None
    parts: dict[str, list[SourcePart]]

    def places(self, split: str, rows: Sequence[int]) -> list[str]:
        """Where each of the split's 0-based rows stands, for a message: file, row from 1, and line if it has one."""
        found: dict[int, str] = {}
        start = 0
        for part in self.parts[split]:
            inside = [row - start for row in rows if start <= row < start + part.rows]
            lines = part.lines(inside) if part.lines and inside else {}
            for row in inside:
                line = f" (line {lines[row]})" if row in lines else ""
                found[row + start] = f"{part.name}, row {row + 1}{line}"
            start += part.rows
        return [found[row] for row in rows]

"""Rows that cannot be used, and why; refused with their places, or dropped and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bert_assets.errors import UserError
from bert_assets.stages.arrow import pc

if TYPE_CHECKING:
    from bert_assets.stages.source_rows import SourceRows

MOST_SHOWN = 5


class Problem(IntEnum):
    """Why a row cannot be used; the first reason that holds is the row's."""

    NONE = 0
    NULL_TEXT = 1
    BLANK_TEXT = 2
    MISSING_LABEL = 3
    LABEL_NOT_FINITE = 4
    LABEL_NOT_A_NUMBER = 5

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    Problem.NONE: "nothing",
    Problem.NULL_TEXT: "null text",
    Problem.BLANK_TEXT: "blank text",
    Problem.MISSING_LABEL: "missing label",
    Problem.LABEL_NOT_FINITE: "NaN or infinite label",
    Problem.LABEL_NOT_A_NUMBER: "label that is not a number",
}


def text_problems(texts: list[pa.ChunkedArray]) -> np.ndarray:
    """The problem of each row's text or texts, shape (rows,), uint8; a blank text is empty or white space alone."""
    problems = np.zeros(len(texts[0]), np.uint8)
    for column in texts:
        filled = pc.fill_null(column, "x")
        blank = pc.or_(pc.utf8_is_space(filled), pc.equal(pc.binary_length(filled), 0)).to_numpy()
        problems[blank & (problems == 0)] = Problem.BLANK_TEXT
        if column.null_count:
            null = pc.is_null(column).to_numpy() & (problems != Problem.BLANK_TEXT)
            problems[null] = Problem.NULL_TEXT
    return problems


def count_problems(problems: np.ndarray) -> dict[str, int]:
    """How many rows have each problem, by its words."""
    counts = np.bincount(problems, minlength=len(Problem))
    return {problem.words: int(counts[problem]) for problem in Problem if problem and counts[problem]}


def refuse_invalid_rows(source: SourceRows, problems: Mapping[str, np.ndarray]) -> None:
    """Raise UserError with the count of each problem and the places of the first rows, if any row has one."""
    counts: Counter[str] = Counter()
    shown: list[str] = []
    for split, codes in problems.items():
        if not codes.any():
            continue
        counts.update(count_problems(codes))
        rows = np.flatnonzero(codes)[: MOST_SHOWN - len(shown)].tolist()
        shown += [
            f"{place}: {Problem(int(codes[row])).words}"
            for row, place in zip(rows, source.places(split, rows), strict=True)
        ]
    total = counts.total()
    if not total:
        return
    summary = ", ".join(f"{number} with a {words}" for words, number in counts.items())
    listed = "".join(f"\n  {line}" for line in shown)
    more = f"\n  and {total - len(shown)} more" if total > len(shown) else ""
    raise UserError(
        f"{source.name}: {total} row{'s' * (total != 1)} cannot be used ({summary}):{listed}{more}\n"
        f"(text: {', '.join(repr(name) for name in source.columns.texts)}, label: {source.columns.label!r}). Correct "
        "them in the source, or set on_invalid: drop to leave them out; they are counted in the dataset's record"
    )

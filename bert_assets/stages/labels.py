"""Labels: what the source's label column means, as class ids or as numbers.

Class names, integers and booleans make a classification, numbers that are not all whole a regression; a number in
quotes, as every number of a CSV file is, counts as a number. Class names stand in a fixed order: whole numbers by
value, others by code point, those of a hub dataset as it lists them. A whole number keeps its digits as its name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from bert_assets.errors import UserError
from bert_assets.stages.arrow import pc
from bert_assets.stages.invalid_rows import Problem

Task = Literal["classification", "regression"]
# What one distinct value of the source means: a class, a number, or why no row can be used with it.
Meaning = str | float | Problem

# Above this, whole numbers are as likely measurements as classes, and names that hardly repeat are no classes.
MOST_OBVIOUS_CLASSES = 200

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE | re.ASCII)
# Codes such as 007 are names, not numbers.
_WHOLE = re.compile(r"(-?(?:0|[1-9]\d*))(?:\.0*)?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The labels of every split of the source.

    `values` holds class ids (int64, positions in `class_names`) or numbers (float64), null where there is none to
    use, and `problems` a Problem for each row (uint8). `class_names` is None for regression.
    """

    task: Task
    class_names: tuple[str, ...] | None
    values: dict[str, pa.Array]
    problems: dict[str, np.ndarray]


def read_labels(
    columns: Mapping[str, pa.ChunkedArray],
    *,
    task: Literal["auto", "classification", "regression"],
    given_names: Sequence[str] | None,
    where: str,
) -> Labels:
    """Interpret one label column per split; raises UserError where the values leave the task open.

    `given_names` are the class names in the order in which the source lists them, if it does. A test split may be
    without labels: it then holds nulls, or blanks, or as in GLUE -1 in every row where no training label is -1.
    """
    flat = _of_one_kind(columns, where)
    distinct = pc.unique(pa.chunked_array(list(flat.values())))
    originals = distinct.to_pylist()
    chosen = task if task != "auto" else "classification" if given_names else _infer_task(originals, where)
    if chosen == "classification":
        meanings = _as_classes(originals)
        names = _ordered({meaning for meaning in meanings if isinstance(meaning, str)}, given_names)
        _require_repetition(names, sum(len(column) for column in flat.values()), where)
    else:
        meanings, names = _as_numbers(originals, where), None
    values, problems = {}, {}
    numbers = _lookup(meanings, names)
    faults = np.array([m if isinstance(m, Problem) else 0 for m in meanings], np.uint8)
    codes = {split: pc.index_in(column, value_set=distinct).to_numpy() for split, column in flat.items()}
    unlabelled = _has_no_test_labels(codes, meanings)
    for split, places in codes.items():
        fault = faults[places]
        values[split] = pa.array(numbers[places], mask=fault != 0)
        problems[split] = fault
        if split == "test" and unlabelled:
            values[split] = pa.nulls(len(places), values[split].type)
            problems[split] = np.zeros(len(places), np.uint8)
    if unlabelled and names is not None and given_names is None:
        # GLUE's -1 is no class.
        values, names = _without_unused(values, names)
    return Labels(task=chosen, class_names=names, values=values, problems=problems)


def select_classes(
    values: Mapping[str, pa.Array], names: Sequence[str], used: Iterable[int]
) -> tuple[dict[str, pa.Array], tuple[str, ...]]:
    """The same labels over the used classes alone, in the same order."""
    kept = sorted(used)
    table = np.zeros(len(names), np.int64)
    table[kept] = np.arange(len(kept))
    remapped = {}
    for split, column in values.items():
        ids = pc.fill_null(column, kept[0] if kept else 0).to_numpy()
        remapped[split] = pa.array(table[ids], mask=column.is_null().to_numpy(zero_copy_only=False))
    return remapped, tuple(names[index] for index in kept)


def _without_unused(
    values: dict[str, pa.Array], names: tuple[str, ...]
) -> tuple[dict[str, pa.Array], tuple[str, ...]]:
    used = {int(index) for column in values.values() for index in pc.unique(column.drop_null()).to_pylist()}
    return select_classes(values, names, used)


def _lookup(meanings: Sequence[Meaning], names: Sequence[str] | None) -> np.ndarray:
    """The class id or the number of each distinct value."""
    if names is None:
        return np.array([m if isinstance(m, float) else 0.0 for m in meanings], np.float64)
    position = {name: index for index, name in enumerate(names)}
    return np.array([position[m] if isinstance(m, str) else 0 for m in meanings], np.int64)


def _has_no_test_labels(codes: Mapping[str, np.ndarray], meanings: Sequence[Meaning]) -> bool:
    if "test" not in codes:
        return False
    present = {split: [meanings[code] for code in np.unique(places)] for split, places in codes.items()}
    # By identity: as a number, the problem 3 equals the label 3.0.
    if all(meaning is Problem.MISSING_LABEL for meaning in present["test"]):
        return True
    return all(_is_placeholder(m) for m in present["test"]) and not any(
        map(_is_placeholder, present["train"])
    )


def _is_placeholder(meaning: Meaning) -> bool:
    return meaning in ("-1", -1.0)


def _infer_task(originals: Sequence[Any], where: str) -> Task:
    """Raises UserError where the values allow more than one reading."""
    present = [value for value in originals if not _is_missing(value)]
    if any(isinstance(value, bool) for value in present):
        return "classification"
    numbers = [number for value in present if (number := _parse(value)) is not None]
    fractions = [number for number in numbers if math.isfinite(number) and not number.is_integer()]
    if len(numbers) < len(present):
        if fractions:
            odd = next(value for value in present if _parse(value) is None)
            raise UserError(
                f"{where}: some labels are numbers, such as {fractions[0]!r}, and some are not, such as {odd!r}. "
                "Correct them in the source, or say what they are: task: classification takes them all as class "
                "names, task: regression names the rows that hold no number"
            )
        return "classification"
    if fractions:
        return "regression"
    if len(present) > MOST_OBVIOUS_CLASSES and all(_whole(value) is not None for value in present):
        raise UserError(
            f"{where}: the labels are {len(present)} different whole numbers, too many to tell classes from "
            "quantities. Say what they are: task: classification or task: regression"
        )
    return "classification"


def _as_classes(originals: Sequence[Any]) -> list[Meaning]:
    present = [value for value in originals if not _is_missing(value)]
    # Whole numbers have one name each, whether they are written 1, "1" or 1.0.
    finite = [value for value in present if (number := _parse(value)) is None or math.isfinite(number)]
    are_whole = bool(finite) and all(_whole(value) is not None for value in finite)
    are_numbers = all(_parse(value) is not None for value in present)

    def meaning(value: Any) -> Meaning:
        if _is_missing(value):
            return Problem.MISSING_LABEL
        number = _parse(value)
        if number is not None and not math.isfinite(number) and are_numbers:
            return Problem.LABEL_NOT_FINITE
        if isinstance(value, bool):
            return str(value).lower()
        return (_whole(value) if are_whole else None) or str(value)

    return [meaning(value) for value in originals]


def _as_numbers(originals: Sequence[Any], where: str) -> list[Meaning]:
    if any(isinstance(value, bool) for value in originals):
        raise UserError(
            f"{where}: the labels are true and false, and the task is regression. Set task: classification"
        )

    def meaning(value: Any) -> Meaning:
        if _is_missing(value):
            return Problem.MISSING_LABEL
        number = _parse(value)
        if number is None:
            return Problem.LABEL_NOT_A_NUMBER
        # Adding zero turns -0.0 into 0.0: equal numbers must have equal bytes.
        return number + 0.0 if math.isfinite(number) else Problem.LABEL_NOT_FINITE

    return [meaning(value) for value in originals]


def _ordered(found: set[str], given: Sequence[str] | None) -> tuple[str, ...]:
    if given is not None and found <= set(given):
        return tuple(given)
    if all(_WHOLE.fullmatch(name) for name in found):
        return tuple(sorted(found, key=lambda name: (float(name), name)))
    return tuple(sorted(found))


def _require_repetition(names: Sequence[str], rows: int, where: str) -> None:
    if len(names) > MOST_OBVIOUS_CLASSES and len(names) * 2 > rows:
        raise UserError(
            f"{where}: {len(names)} different labels in {rows} rows are too many to be classes; the first are "
            f"{', '.join(repr(name) for name in names[:3])}. Name the column of the labels in the dataset: label: "
            "COLUMN, or set task: regression if they are quantities"
        )


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and (not value or value.isspace()))


def _parse(value: Any) -> float | None:
    """The number that the value is or spells."""
    if not isinstance(value, str):
        return float(value)
    text = value.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def _whole(value: Any) -> str | None:
    """The digits of a whole number, however it is written; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else None
    match = _WHOLE.fullmatch(str(value).strip())
    return None if match is None else "0" if match[1] == "-0" else match[1]


def _of_one_kind(columns: Mapping[str, pa.ChunkedArray], where: str) -> dict[str, pa.Array]:
    """The columns as strings, int64, float64 or booleans, one kind for all splits."""
    plain = {split: _plain(column, split, where) for split, column in columns.items()}
    kinds = {column.type for column in plain.values() if not pa.types.is_null(column.type)}
    if kinds == {pa.int64(), pa.float64()}:
        kinds = {pa.float64()}
    if len(kinds) > 1:
        found = "; ".join(f"{split} has {column.type}" for split, column in plain.items())
        raise UserError(
            f"{where}: the splits' labels differ in kind: {found}. Write them in one way in every split"
        )
    kind = kinds.pop() if kinds else pa.string()
    return {split: _cast(column, kind, split, where) for split, column in plain.items()}


def _plain(column: pa.ChunkedArray, split: str, where: str) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        target = pa.string()
    elif pa.types.is_integer(kind):
        target = pa.int64()
    elif pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        target = pa.float64()
    elif pa.types.is_boolean(kind) or pa.types.is_null(kind):
        target = kind
    else:
        raise UserError(
            f"{where}: the labels of {split} are of the type {kind}; expected class names, whole numbers, numbers "
            "or true and false. Name another column: label: COLUMN"
        )
    return _cast(column, target, split, where).combine_chunks()


def _cast(column: Any, kind: pa.DataType, split: str, where: str) -> Any:
    try:
        return column.cast(kind)
    except pa.ArrowInvalid as error:
        raise UserError(
            f"{where}: the labels of {split} do not fit {kind}: {error}. Write smaller numbers, or class names as text"
        ) from None

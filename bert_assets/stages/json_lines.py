"""JSON lines: one object a line, all with the same keys."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from bert_assets.errors import UserError
from bert_assets.stages.delimited import require_utf8

_KINDS = {
    str: "text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


def json_keys(data: bytes, where: str) -> list[str]:
    """The keys of the first object; raises UserError if there is none."""
    for _, row in _rows(data, where):
        return list(row)
    raise UserError(f"{where} is empty: expected one JSON object a line")


def read_json_lines(data: bytes, where: str, wanted: Sequence[str] | None = None) -> pa.Table:
    """The wanted keys (all, if None) as columns; blank lines are no rows.

    Python's parser, not Arrow's: Arrow turns texts that look like dates into dates and a missing key into a null.
    Raises UserError with the line's number for what is not JSON, not an object, has other keys than the first one,
    or a value of another kind than the rows before.
    """
    rows, lines = [], []
    keys: set[str] = set()
    for line, row in _rows(data, where):
        if not rows:
            keys = set(row)
        elif row.keys() != keys:
            missing, added = sorted(keys - row.keys()), sorted(row.keys() - keys)
            raise UserError(
                f"{where}, line {line}: the keys differ from the first object's"
                + (f"; missing: {', '.join(missing)}" if missing else "")
                + (f"; not there before: {', '.join(added)}" if added else "")
                + ". Every line needs the same keys; write null where there is no value"
            )
        rows.append(row)
        lines.append(line)
    if not rows:
        raise UserError(f"{where} is empty: expected one JSON object a line")
    names = list(rows[0]) if wanted is None else list(wanted)
    return pa.table({name: _column([row[name] for row in rows], name, lines, where) for name in names})


def json_row_lines(data: bytes, where: str, rows: Iterable[int]) -> dict[int, int]:
    """The 1-based line of each of the 0-based rows."""
    looked_for = set(rows)
    return {number: line for number, (line, _) in enumerate(_rows(data, where)) if number in looked_for}


def _rows(data: bytes, where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    require_utf8(data, where)
    decode = json.JSONDecoder().decode
    # Lines end at \n alone (\r is white space to JSON); str.splitlines would also cut at U+2028 inside a text.
    for number, line in enumerate(data.decode("utf-8-sig").split("\n"), start=1):
        if not line or line.isspace():
            continue
        try:
            row = decode(line)
        except (ValueError, RecursionError) as error:
            array = " The file looks like one JSON array: write one object a line." if line[0] == "[" else ""
            raise UserError(
                f"{where}, line {number}: not JSON ({error}). Expected one object a line.{array}"
            ) from None
        if not isinstance(row, dict):
            raise UserError(
                f'{where}, line {number}: expected an object such as {{"text": …, "label": …}}, found '
                f"{_kind(row)}. Write one object a line"
            )
        yield number, row


def _column(values: list[Any], name: str, lines: list[int], where: str) -> pa.Array:
    kinds = (
        {_kind(value) for value in values if value is not None} if len(set(map(type, values))) > 1 else set()
    )
    if len(kinds) > 1:
        first = next(_kind(value) for value in values if value is not None)
        index = next(i for i, value in enumerate(values) if value is not None and _kind(value) != first)
        raise UserError(
            f"{where}, line {lines[index]}: {name!r} is {_kind(values[index])}, in the rows before it is {first}. "
            "A column holds values of one kind"
        )
    try:
        return pa.array(values)
    except UnicodeEncodeError:
        index = next(i for i, value in enumerate(values) if not _is_unicode(value))
        raise UserError(
            f"{where}, line {lines[index]}: {name!r} holds half of a surrogate pair (\\ud800 to \\udfff), which is no "
            "character. Write the whole pair or take it out"
        ) from None
    except (pa.ArrowException, OverflowError) as error:
        raise UserError(
            f"{where}: the values of {name!r} do not make a column: {error}. Write values of one kind, or name another "
            "column in the dataset"
        ) from None


def _is_unicode(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(value: Any) -> str:
    return "null" if value is None else _KINDS[type(value)]

"""Delimited text (csv, tsv) to columns of strings: as fast as Arrow reads, as exact as a line-by-line reader.

Arrow parses what is well-formed. What it refuses, and what it would misread in silence (a quote that nothing closes,
or that closes before its field ends: in files whose quotes are ordinary characters, such a field swallows lines and
loses quotes), goes through Python's csv module, which knows line numbers and can cut rows that are too long. Both give
equal results; an empty field is an empty string, never a null; an empty line is no row.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.csv

from bert_assets.errors import UserError

QUOTE = '"'

# The module's limit of 128 KiB a field is a guard against unclosed quotes, which are told apart here.
csv.field_size_limit(2**31 - 1)


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How one file is delimited.

    `columns` are the names of a file without header, None where the first row holds them. `quoting` says whether
    a double quote at a field's start encloses it. `cut_extra` drops the fields beyond the last column.
    """

    delimiter: str
    columns: tuple[str, ...] | None = None
    quoting: bool = True
    cut_extra: bool = False


def column_names(data: bytes, dialect: Dialect, where: str) -> list[str]:
    """The names of the columns; raises UserError if the file has no first row or a name stands twice."""
    if dialect.columns is not None:
        names = list(dialect.columns)
    else:
        first = next(_records(data, dialect, where), None)
        if first is None:
            raise UserError(
                f"{where} is empty: expected a header row with the columns' names, then one row a line"
            )
        names = first[1]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(
            f"{where}: {'its header' if dialect.columns is None else '`format.columns`'} names the column {twice!r} "
            f"{names.count(twice)} times; columns need names of their own. If the file has no header, set "
            "format: {header: false, columns: [NAME, ...]}"
        )
    return names


def read_delimited(
    data: bytes, dialect: Dialect, where: str, wanted: Sequence[str] | None = None, *, exact: bool = False
) -> pa.Table:
    """The wanted columns (all, if None) as strings; `data` is UTF-8, with or without a byte order mark.

    `exact` forces the slow reader, which the fast one must agree with. Raises UserError with the line's number for
    what is not UTF-8, a row with another number of fields than there are columns, and a quote that nothing closes.
    """
    names = column_names(data, dialect, where)
    chosen = names if wanted is None else list(wanted)
    table = None if exact else _read_fast(data, dialect, names, chosen)
    if table is None:
        table = _read_exactly(data, dialect, where, names, chosen)
    if table.num_rows == 0:
        raise UserError(f"{where} holds a header and no rows: expected at least one row below the header")
    return table


def require_rows_fit(data: bytes, dialect: Dialect, where: str) -> None:
    """Raise the UserError that `read_delimited` raises for the first row that does not fit the columns, if any."""
    _read_exactly(data, dialect, where, column_names(data, dialect, where), [])


def row_lines(data: bytes, dialect: Dialect, where: str, rows: Iterable[int]) -> dict[int, int]:
    """The 1-based line at which each of the 0-based data rows starts."""
    looked_for = set(rows)
    first = 0 if dialect.columns is not None else -1
    found: dict[int, int] = {}
    for number, (line, _) in enumerate(_records(data, dialect, where), start=first):
        if number in looked_for:
            found[number] = line
            if len(found) == len(looked_for):
                break
    return found


def require_utf8(data: bytes, where: str) -> None:
    """Raise UserError with the line and byte of the first thing that is not UTF-8."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + before.count(b"\r") - before.count(b"\r\n") + 1
        encoding = "UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "WINDOWS-1252"
        raise UserError(
            f"{where}, line {line}: byte {error.start + 1} (0x{data[error.start]:02x}) is not UTF-8. Convert the "
            f"file, for example if it is {encoding}: iconv -f {encoding} -t UTF-8 OLD > NEW"
        ) from None


def _read_fast(data: bytes, dialect: Dialect, names: list[str], chosen: list[str]) -> pa.Table | None:
    """Arrow's reading, or None where it refuses or might be wrong."""
    # Arrow takes one ASCII character, and not NUL.
    if not "\0" < dialect.delimiter < "\x80":
        return None
    quotes = dialect.quoting and QUOTE.encode() in data
    if quotes and not _quotes_are_sound(data, dialect.delimiter):
        return None
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(data),
            read_options=pyarrow.csv.ReadOptions(column_names=names),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char=QUOTE if quotes else False,
                double_quote=quotes,
                newlines_in_values=quotes,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(chosen, pa.string()),
                include_columns=chosen,
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowException:
        return None
    # A header is read as the first row, so that it is checked like any other.
    return table.select(chosen).slice(1 if dialect.columns is None else 0)


def _quotes_are_sound(data: bytes, delimiter: str) -> bool:
    """Whether every field that a quote opens is closed by one, with the field's end right behind it."""
    ends = re.escape(delimiter).encode() + rb"\r\n"
    opened = rb"(?:\A(?:\xef\xbb\xbf)?|(?<=[" + ends + rb"]))"
    # The second alternative takes the opening quotes that the first one cannot make a field of.
    fields = re.compile(opened + rb'(?:"[^"]*(?:""[^"]*)*"(?=[' + ends + rb']|\Z)|("))')
    return not any(field.lastindex for field in fields.finditer(data))


def _read_exactly(data: bytes, dialect: Dialect, where: str, names: list[str], chosen: list[str]) -> pa.Table:
    records = _records(data, dialect, where)
    if dialect.columns is None:
        next(records)
    rows: list[list[str]] = []
    for line, fields in records:
        if len(fields) < len(names) or (len(fields) > len(names) and not dialect.cut_extra):
            raise UserError(_ragged(where, line, fields, names, dialect, QUOTE in _line(data, line)))
        rows.append(fields)
    positions = {name: index for index, name in enumerate(names)}
    return pa.table({name: pa.array([row[positions[name]] for row in rows], pa.string()) for name in chosen})


def _records(data: bytes, dialect: Dialect, where: str) -> Iterator[tuple[int, list[str]]]:
    """Every row, the header included, with the 1-based line at which it starts."""
    try:
        # With newline="" lines end at \n, \r or \r\n, as Arrow has it, and keep their endings.
        lines = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")
        yield from (_quoted_records if dialect.quoting else _plain_records)(lines, dialect.delimiter, where)
    except UnicodeDecodeError:
        require_utf8(data, where)
        raise


def _plain_records(lines: Iterable[str], delimiter: str, where: str) -> Iterator[tuple[int, list[str]]]:  # noqa: ARG001
    for number, line in enumerate(lines, start=1):
        content = line.removesuffix("\n").removesuffix("\r")
        if content:
            yield number, content.split(delimiter)


def _quoted_records(lines: Iterable[str], delimiter: str, where: str) -> Iterator[tuple[int, list[str]]]:
    record: list[str] = []
    at_end = False

    def lines_of_record() -> Iterator[str]:
        nonlocal at_end
        for line in lines:
            record.append(line if line.endswith(("\n", "\r")) else line + "\n")
            yield record[-1]
        at_end = True

    options: Any = {"delimiter": delimiter, "quotechar": QUOTE, "doublequote": True}
    reader = csv.reader(lines_of_record(), **options, strict=True)
    start = 1
    try:
        for fields in reader:
            if fields:
                yield start, fields
            start = reader.line_num + 1
            record.clear()
    except csv.Error:
        if not at_end:
            reach = f" in line {reader.line_num}" if reader.line_num > start else ""
            raise UserError(
                f"{where}, line {start}: a field that a quote opens in this row is closed by a quote{reach}, and text "
                "follows. Double the quotes that belong to a quoted text; in a file whose quotes are ordinary "
                "characters, set format: {quoting: none}"
            ) from None
        swallowed = _line_breaks(next(csv.reader(record, **options))[-1])
        raise UserError(
            f"{where}, line {reader.line_num + 1 - swallowed}: the quote that opens the last field of this row is never "
            "closed. Close it, or double it if it belongs to the text; in a file whose quotes are ordinary characters, "
            "set format: {quoting: none}"
        ) from None


def _line_breaks(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def _line(data: bytes, number: int) -> str:
    lines = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")
    return next(itertools.islice(lines, number - 1, None))


def _ragged(
    where: str, line: int, fields: list[str], names: list[str], dialect: Dialect, holds_quote: bool
) -> str:
    """What is wrong with a row of the wrong width, and what its reader can do about it."""
    found, expected = len(fields), len(names)
    message = (
        f"{where}, line {line}: found {found} column{'s' * (found != 1)}, expected {expected}, as "
        f"{'in the header' if dialect.columns is None else 'in format.columns'}."
    )
    last = line + sum(_line_breaks(field) for field in fields)
    signs = [sign for sign in ("\t", ";", "|") if expected == 1 and sign in names[0]]
    sign = next((sign for sign in signs if any(sign in field for field in fields)), None)
    if sign is not None:
        name, shown = ("a tab", "\\t") if sign == "\t" else (sign, sign)
        return (
            f'{message} If {name} separates the columns, set format: {{delimiter: "{shown}"}}, and if the first line '
            "does not name them, header: false and columns: [NAME, ...]"
        )
    if dialect.quoting and holds_quote:
        reach = f", and the row reaches to line {last}" if last > line else ""
        message += (
            f" A quote stands in this line{reach}: if quotes are ordinary characters in this file, set format: "
            "{quoting: none}."
        )
    if found > expected:
        return f"{message} Quote the fields that hold the delimiter, or set format: {{extra_columns: ignore}}"
    return f"{message} Complete the row or take it out"

"""CSV and JSON lines as a stream of batches, parsed by DuckDB within a memory limit.

Whatever can be said of a file without parsing it (encoding, line length, header) is said first, by
us; what only parsing finds is put in our words. Types are those that all values seen fit, with no
guessing: dates and times are ISO 8601, true and false are booleans, and a whole number with a
leading zero is a text.
"""

import csv
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from runtime.data.files import MAX_LINE_MB, MB, SourceFile, TextScan
from runtime.data.profile import quote
from runtime.data.reading import BATCH_ROWS, Asked, choose_columns, limited
from runtime.documents.source import CsvFormat, JsonLinesFormat
from runtime.job import JobError

# How many rows are looked at for types, and how much of a file for a preview.
TYPE_ROWS = 100_000
SAMPLE_BYTES = 16 * MB
SQL_TYPES = {
    "int64": "BIGINT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "bool": "BOOLEAN",
    "date32[day]": "DATE",
    "timestamp[us]": "TIMESTAMP",
}
# From the narrowest on: the SQL type, and the texts it is kept for.
CANDIDATES = {
    "BOOLEAN": r"(?i)(true|false)",
    "BIGINT": r"[+-]?(0|[1-9][0-9]{0,18})",
    "DOUBLE": r"(?i)[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?inf(inity)?|nan",
    "DATE": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "TIMESTAMP": r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?Z?",
}
# What a column whose type was given takes besides: zeros in front, and whatever casts.
LOOSE = {"BIGINT": r"\s*[+-]?[0-9]{1,19}\s*"}
MISFIT = "portolan-misfit:"


class TypeMisfit(JobError):
    """A value further down does not fit the type that the first rows have."""


@contextmanager
def open_text(asked: Asked, is_thorough: bool) -> Iterator[pa.RecordBatchReader]:
    files = asked.files()
    if asked.sample_rows:
        files = files[:1]
    with duckdb.connect(config=_config(asked)) as con:
        con.execute("SET TimeZone = 'UTC'")
        if isinstance(asked.document.format, CsvFormat):
            sql, values = _csv(con, asked, asked.document.format, files, is_thorough)
        else:
            sql, values = _json(con, asked, asked.document.format, files)
        if asked.sample_rows:
            sql += f" LIMIT {asked.sample_rows}"

        def told(error: Exception) -> JobError | None:
            return _told(error, files, is_thorough)

        try:
            reader = con.execute(sql, values).to_arrow_reader(BATCH_ROWS)
        except duckdb.Error as error:
            if (plain := told(error)) is None:
                raise
            raise plain from None
        yield limited(reader, 0, told)


def _config(asked: Asked) -> dict[str, Any]:
    return {
        "memory_limit": f"{asked.memory_mb}MB",
        "threads": 2,
        "temp_directory": os.path.join(asked.temp, "duckdb"),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


def _scan(asked: Asked, file: SourceFile, number: int, encoding: str) -> tuple[SourceFile, int]:
    """Check that the file is text, in UTF-8 from here on. Also how many lines were seen."""
    limit = SAMPLE_BYTES if asked.sample_rows else None
    copy = SourceFile(file.name, os.path.join(asked.temp, f"text-{number}"))
    scan = TextScan(file, encoding, "" if encoding == "utf-8" else copy.path)
    scan.run(limit)
    if not scan.copy_to and scan.is_mixed:
        scan = TextScan(file, encoding, copy.path)
        scan.run(limit)
    return (copy if scan.copy_to else file), scan.lines


def _csv(
    con: duckdb.DuckDBPyConnection,
    asked: Asked,
    form: CsvFormat,
    files: Sequence[SourceFile],
    is_thorough: bool,
) -> tuple[str, list[Any]]:
    scanned = [_scan(asked, file, n, form.encoding) for n, file in enumerate(files)]
    names = _header(scanned[0][0], form)
    for file, _ in scanned[1:]:
        if (other := _header(file, form)) != names:
            name = next((n for n in [*other, *names] if (n in other) != (n in names)), names[0])
            raise JobError(
                f"{file.name} has other columns than {files[0].name}, or in another order: look at "
                f"“{name}”. Files read together have the same header.",
                field="connection.pattern",
            )
    wanted = choose_columns(asked, names)
    if sum(lines for _, lines in scanned) <= len(scanned) * form.header:
        text = f"{files[0].name} has a header and no rows. Send it again."
        raise JobError(text, field="connection")
    paths = [file.path for file, _ in scanned]
    given = _given_types(form.types, names)
    free = [name for name in wanted if name not in given]
    source = _read_csv(form, names)
    found = _infer(con, source, paths, free, None if is_thorough else TYPE_ROWS, files)
    columns = ", ".join(_cast(name, given.get(name, ""), found.get(name, "")) for name in wanted)
    return f"SELECT {columns} FROM {source}", [paths]  # noqa: S608


def _cast(name: str, given: str, found: str, value: str = "") -> str:
    """A text column as its type. DuckDB's own reader would round 1.5 for a whole number, and say
    nothing: here a value that does not fit is an error. `value`: the text, if not the column."""
    value, kind = value or quote(name), given or found
    if kind == "VARCHAR":
        return f"{value} AS {quote(name)}"
    pattern = LOOSE.get(kind, "") if given else "" if kind == "DOUBLE" else CANDIDATES[kind]
    fits = f"TRY_CAST({value} AS {kind}) IS NOT NULL"
    if pattern:
        fits = f"regexp_full_match({value}, {_text(pattern)}) AND {fits}"
    misfit = f"error({_text(MISFIT + name + ':')} || ({value})[:100])"
    cases = f"WHEN {value} IS NULL THEN NULL WHEN {fits} THEN {value}::{kind} ELSE {misfit}"
    return f"CASE {cases} END AS {quote(name)}"


def _header(file: SourceFile, form: CsvFormat) -> list[str]:
    csv.field_size_limit(MAX_LINE_MB * MB)
    with open(file.path, encoding="utf-8-sig", newline="") as text:
        try:
            first = next(csv.reader(text, delimiter=form.delimiter, strict=True), [])
        except (csv.Error, UnicodeDecodeError) as error:
            raise JobError(f"Line 1 of {file.name}: {error}.", field="format") from None
    if not first:
        raise JobError(f"The first line of {file.name} is empty.", field="format")
    if len(first) == 1 and (other := next((c for c in ";\t|" if c in first[0]), "")):
        shown = "a tab" if other == "\t" else f"“{other}”"
        raise JobError(
            f"The first line of {file.name} has no “{form.delimiter}” but {shown} in it. If that "
            "is what separates its values, set `format.delimiter` to it.",
            field="format.delimiter",
        )
    if form.header:
        return first
    return [f"column_{number}" for number in range(1, len(first) + 1)]


def _given_types(types: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    if unknown := sorted(types.keys() - set(names)):
        raise JobError(f"There is no column “{unknown[0]}”.", field="format.types")
    return {name: SQL_TYPES[kind] for name, kind in types.items()}


def _read_csv(form: CsvFormat, names: Sequence[str]) -> str:
    columns = ", ".join(f"{_text(name)}: 'VARCHAR'" for name in names)
    return (
        f"read_csv(?, auto_detect = false, columns = {{{columns}}}, header = {form.header}, "
        f"delim = {_text(form.delimiter)}, quote = '\"', escape = '\"', strict_mode = true, "
        f"max_line_size = {MAX_LINE_MB * MB}, buffer_size = {2 * MAX_LINE_MB * MB})"
    )


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _infer(
    con: duckdb.DuckDBPyConnection,
    source: str,
    paths: Sequence[str],
    names: Sequence[str],
    rows: int | None,
    files: Sequence[SourceFile],
) -> dict[str, str]:
    """The narrowest type that every value seen fits, by column. An empty value fits all."""
    found: dict[str, str] = {}
    limit = "" if rows is None else f" LIMIT {rows}"
    for start in range(0, len(names), 100):
        part = names[start : start + 100]
        tests = [_fits(quote(name), *each) for name in part for each in CANDIDATES.items()]
        counts = [f"count({quote(name)})" for name in part]
        sql = f"SELECT {', '.join(tests + counts)} FROM (FROM {source}{limit})"  # noqa: S608
        try:
            row = con.execute(sql, [list(paths)]).fetchone() or ()
        except duckdb.Error as error:
            if (plain := _told(error, files, True)) is None:
                raise
            raise plain from None
        for place, name in enumerate(part):
            fits = row[place * len(CANDIDATES) : (place + 1) * len(CANDIDATES)]
            has_values = row[len(tests) + place] > 0
            kinds = (kind for kind, is_so in zip(CANDIDATES, fits, strict=True) if is_so)
            found[name] = next(kinds, "VARCHAR") if has_values else "VARCHAR"
    return found


def _fits(column: str, kind: str, pattern: str) -> str:
    tried = f"TRY_CAST({column} AS {kind}) IS NOT NULL"
    fits = f"regexp_full_match({column}, {_text(pattern)}) AND {tried}"
    return f"bool_and({fits}) FILTER (WHERE {column} IS NOT NULL)"


def _json(
    con: duckdb.DuckDBPyConnection,
    asked: Asked,
    form: Any,
    files: Sequence[SourceFile],
) -> tuple[str, list[Any]]:
    """All rows are looked at for types: DuckDB would round what it has not seen coming."""
    assert isinstance(form, JsonLinesFormat)  # noqa: S101  (the only other kind of text)
    for number, file in enumerate(files):
        _scan(asked, file, number, "utf-8")
        _refuse_array(file)
    rows = TYPE_ROWS if asked.sample_rows else -1
    source = (
        f"read_json(?, format = 'newline_delimited', records = true, sample_size = {rows}, "
        f"maximum_object_size = {MAX_LINE_MB * MB}, maximum_depth = 4, "
        "dateformat = '%Y-%m-%d', union_by_name = true, convert_strings_to_integers = false)"
    )
    paths = [[file.path for file in files]]
    try:
        described = con.execute(f"DESCRIBE FROM {source}", paths).fetchall()
    except duckdb.Error as error:
        if (plain := _told(error, files, True)) is None:
            raise
        raise plain from None
    kinds = {str(name): str(kind) for name, kind, *_ in described}
    given = _given_types(form.types, list(kinds))
    columns = ", ".join(
        _json_column(name, given.get(name, ""), kinds[name])
        for name in choose_columns(asked, list(kinds))
    )
    return f"SELECT {columns} FROM {source}", paths  # noqa: S608


def _json_column(name: str, given: str, found: str) -> str:
    column = quote(name)
    # What has no one type stays as the text it is; Delta knows no types of other names.
    is_mixed = found == "JSON"
    text = f"json_extract_string({column}, '$')" if is_mixed else f"{column}::VARCHAR"
    if given and given != found:
        return _cast(name, given, "", text)
    return f"{text} AS {column}" if is_mixed or "JSON" in found or found == "UUID" else column


def _refuse_array(file: SourceFile) -> None:
    with open(file.path, encoding="utf-8-sig") as text:
        start = text.read(4096).lstrip()[:1]
    if start == "[":
        raise JobError(
            f"{file.name} is one JSON list, not JSON lines. Write one object a line.",
            field="format",
        )
    if start != "{":
        raise JobError(
            f"{file.name} does not begin with a JSON object. Write one object a line.",
            field="format",
        )


def _told(error: Exception, files: Sequence[SourceFile], is_thorough: bool) -> JobError | None:
    """DuckDB's error in our words, where we know it."""
    text = str(error)
    name = next((file.name for file in files if file.path in text), files[0].name)
    if found := re.search(r"CSV Error on Line: (\d+)", text):
        return _told_csv(f"Line {int(found[1]):,} of {name}", text)
    if found := re.search(r"Malformed JSON.*? in (?:record/value|line) (\d+)[:.]? ?(.*)", text):
        return _odd_line(files, found[2])
    if "expected records" in text:
        return _odd_line(files)
    if found := re.search(r"in line (\d+): Object .* has duplicate key (.*)", text):
        what = f"Line {int(found[1]):,} of {name} says {found[2]} twice. Put it right."
        return JobError(what, field="format")
    if (at := text.find(MISFIT)) >= 0:
        column, _, value = text[at + len(MISFIT) :].partition(":")
        what = (
            f"Column “{column}” of {name} has the value “{value}”, which is not of its type. Put "
            "it right, or set the column's type to string in `format.types`."
        )
        return (JobError if is_thorough else TypeMisfit)(what, field="format.types")
    if "sample_size" in text or "Conversion Error" in text or "transform error" in text:
        first = text.split(": ", 1)[-1].splitlines()[0][:300]
        what = f"A value of {name} has another type than those before it: {first}"
        return (JobError if is_thorough else TypeMisfit)(what, field="format.types")
    if "Maximum line size" in text or "maximum_object_size" in text:
        return JobError(f"A row of {name} is longer than {MAX_LINE_MB} MB.", field="format")
    return None


def _odd_line(files: Sequence[SourceFile], why: str = "") -> JobError:
    """The first line that is no JSON object, found anew: DuckDB's own count may be one off."""
    for file in files:
        with open(file.path, encoding="utf-8-sig") as text:
            for number, line in enumerate(text, 1):
                if line.strip() and not _is_object(line):
                    what = f"Line {number:,} of {file.name} is not a JSON object"
                    what += f" ({why.rstrip('. ')})" if why else ""
                    return JobError(f"{what}. Put it right, or leave it out.", field="format")
    return JobError(f"The objects of {files[0].name} hold nothing. Send others.", field="format")


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _told_csv(where: str, text: str) -> JobError:
    if found := re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text):
        values = "1 value" if found[2] == "1" else f"{found[2]} values"
        return JobError(
            f"{where} has {values} where the header has {found[1]} columns. Put the line "
            "right, or set `format.delimiter` if the values are separated by another sign.",
            field="format",
        )
    if "quote" in text.lower():
        return JobError(
            f"{where}: a quotation mark is opened and not closed, or stands where none may. Double "
            "it within a quoted value.",
            field="format",
        )
    if "Maximum line size" in text:
        return JobError(f"{where} is longer than {MAX_LINE_MB} MB.", field="format")
    first = next((part for part in text.splitlines()[2:] if part.strip()), "it cannot be read")
    return JobError(f"{where}: {first[:300]}", field="format")

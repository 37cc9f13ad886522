"""DuckDB as pipelines use it: closed to everything but the files named, its errors told in steps.

External access is off and the configuration locked before anything of a user's is read. Inputs
are opened by name (`allowed_paths`), which DuckDB reads faster than registered Arrow datasets;
that this would also allow writing to them is what Landlock refuses (they are only readable).
"""

# ruff: noqa: S608 - names are quoted, values are literals, and the rest is the user's own SQL

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import duckdb
import pyarrow as pa

from runtime.pipelines.parameters import literal_of
from runtime.pipelines.sql import Sql, StepError, quote

DATA_ERRORS = (duckdb.ConversionException, duckdb.OutOfRangeException)
BATCH_ROWS = 65_536
WIDE = frozenset({"HUGEINT", "UHUGEINT", "UBIGINT"})
WINDOW_ONLY = frozenset(
    {"row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead"}
    | {"first_value", "last_value", "nth_value", "fill"}
)
# Aggregates known without asking; listing all functions takes longer than most windows do.
COMMON = frozenset({"sum", "count", "avg", "mean", "min", "max", "median", "first", "last"})
MEMORY = (
    "It needs more memory than this job may use. Read fewer columns, filter or aggregate earlier, "
    "or have the site's limit of memory for jobs raised."
)
NO_ROOM = "There is no room left on the disk for its intermediate results. Make room, then retry."


class Engine:
    """One DuckDB. `files` are all it can ever open; it spills to `temp_folder`."""

    errors = duckdb.Error

    def __init__(
        self, *, files: Sequence[str], memory_mb: int, threads: int, temp_folder: str
    ) -> None:
        self.con = duckdb.connect(
            config={
                "memory_limit": f"{memory_mb}MB",
                "threads": threads,
                "temp_directory": temp_folder,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "python_enable_replacements": False,
                "errors_as_json": True,
            }
        )
        listed = ", ".join(literal_of(each) for each in files)
        self.con.execute(f"SET allowed_paths = [{listed}]")
        self.con.execute("SET TimeZone = 'UTC'")
        self.con.execute("SET enable_external_access = false")
        self.con.execute("SET lock_configuration = true")

    def read(self, name: str, files: Sequence[str], schema: pa.Schema, percent: float = 0) -> None:
        """A view of Parquet files of one schema; of no rows where there is no file. With a
        `percent`, of about so many of the rows, in runs spread over all of them."""
        if not files:
            self.con.register(f"{name} empty", schema.empty_table())
            source = quote(f"{name} empty")
        else:
            listed = ", ".join(literal_of(each) for each in files)
            source = f"read_parquet([{listed}])"
        columns = ", ".join(quote(each) for each in schema.names)
        cut = f" TABLESAMPLE {percent:.4f} PERCENT (system, 42)" if percent else ""
        self.con.execute(f"CREATE TEMP VIEW {quote(name)} AS SELECT {columns} FROM {source}{cut}")

    def define(self, sql: Sql, *, is_kept: bool) -> int | None:
        """Make the step's rows known by its name; kept ones are computed now, and counted."""
        self._refuse_others(sql)
        opening = f"CREATE TEMP {'TABLE' if is_kept else 'VIEW'} {quote(sql.step)} AS "
        try:
            row = self.con.execute(opening + sql.text).fetchone()
        except duckdb.Error as error:
            raise self.told(error, sql, len(opening)) from None
        return int(row[0]) if is_kept and row else None

    def _refuse_others(self, sql: Sql) -> None:
        """Whatever the user's text makes of ours, it stays one SELECT."""
        try:
            statements = self.con.extract_statements(sql.text)
        except duckdb.Error as error:
            raise self.told(error, sql, 0) from None
        if [each.type for each in statements] != [duckdb.StatementType.SELECT]:
            raise StepError("This must be one SELECT and nothing else.", step=sql.step)

    def types(self, name: str) -> dict[str, str]:
        """The step's columns, in order, with DuckDB's names of their types."""
        described = self.con.execute(f"DESCRIBE {quote(name)}").fetchall()
        return {str(column): str(kind) for column, kind, *_ in described}

    @cached_property
    def aggregates(self) -> frozenset[str]:
        text = "SELECT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'"
        return frozenset(str(each[0]).lower() for each in self.con.execute(text).fetchall())

    def count(self, name: str) -> int:
        return int(self.one(f"SELECT count(*) FROM {quote(name)}")[0])

    def is_unique(self, name: str, keys: str) -> bool:
        """Whether no two rows of the step are equal in these columns (a list in SQL)."""
        text = f"SELECT 1 FROM {quote(name)} GROUP BY {keys} HAVING count(*) > 1 LIMIT 1"
        return not self.one(text)

    def one(self, sql: str) -> tuple[Any, ...]:
        return self.con.execute(sql).fetchone() or ()

    def stream(self, name: str) -> pa.RecordBatchReader:
        """The rows of a step, computed as they are taken. Sums of integers, which DuckDB holds in
        128 bits, come as the 64 bits that everything after us expects."""
        return self.con.execute(self._as_written(name)).to_arrow_reader(BATCH_ROWS)

    def _as_written(self, name: str) -> str:
        parts = [
            f"CAST({quote(column)} AS BIGINT) AS {quote(column)}" if kind in WIDE else quote(column)
            for column, kind in self.types(name).items()
        ]
        return f"SELECT {', '.join(parts)} FROM {quote(name)}"

    def first_rows(self, name: str, limit: int) -> pa.Table:
        return self.con.execute(f"{self._as_written(name)} LIMIT {limit}").to_arrow_table()

    def kept_bytes(self) -> int:
        """What tables hold in memory and on disk."""
        text = (
            "SELECT sum(memory_usage_bytes + temporary_storage_bytes) FROM duckdb_memory() "
            "WHERE tag IN ('BASE_TABLE', 'IN_MEMORY_TABLE', 'COLUMN_DATA')"
        )
        return int(self.one(text)[0] or 0)

    def told(self, error: Exception, sql: Sql, offset: int) -> StepError:
        """The error as this step's. `offset`: how much stood before its SQL in the statement."""
        said = parse_error(str(error))
        if isinstance(error, duckdb.OutOfMemoryException) or "bad_alloc" in str(error):
            return StepError(MEMORY, step=sql.step)
        if isinstance(error, duckdb.IOException):
            return StepError(NO_ROOM, step=sql.step)
        place = int(said.get("position", -1))
        # DuckDB counts bytes; what is shown counts characters.
        before = sql.text.encode()[: max(place - offset, 0)].decode("utf-8", "ignore")
        column, position = sql.where_is(len(before)) if place >= offset else ("", None)
        return StepError(plainly(said), step=sql.step, column=column, position=position)

    def blamed(self, error: Exception, chain: Sequence[Sql]) -> StepError | None:
        """Which of the steps that were computed together cannot take its data, and in which
        column: found by computing each of them alone, in order. None when each of them can."""
        if "Out of Memory" in str(error) or "bad_alloc" in str(error):
            return StepError(MEMORY, step=chain[-1].step)
        for sql in chain:
            try:
                self.one(f"SELECT bit_xor(hash(t)) FROM {quote(sql.step)} t")
            except duckdb.Error as found:
                return self._column_of(found, sql)
        return None

    def _column_of(self, error: Exception, sql: Sql) -> StepError:
        if not isinstance(error, DATA_ERRORS):
            return self.told(error, sql, 0)
        for name in self.types(sql.step):
            try:
                self.one(f"SELECT bit_xor(hash({quote(name)})) FROM {quote(sql.step)}")
            except DATA_ERRORS as found:
                text = plainly(parse_error(str(found)))
                return StepError(text, step=sql.step, column=name)
            except duckdb.Error:
                break
        return StepError(plainly(parse_error(str(error))), step=sql.step)


@dataclass(frozen=True)
class Calls:
    """The functions that can be computed over a window."""

    engine: Engine

    def __contains__(self, name: object) -> bool:
        return name in WINDOW_ONLY or name in COMMON or name in self.engine.aggregates


def parse_error(text: str) -> dict[str, str]:
    """What DuckDB says of an error, from wherever the message has travelled through."""
    start = text.find('{"exception_type"')
    if start >= 0:
        try:
            return dict(json.JSONDecoder().raw_decode(text[start:])[0])
        except ValueError:
            pass
    return {"exception_message": text}


def plainly(said: dict[str, str]) -> str:
    """DuckDB's message in one line, with what to do next."""
    text = said.get("exception_message", "")
    kind = said.get("error_subtype", "")
    if kind == "COLUMN_NOT_FOUND" or "not found in FROM clause" in text:
        name = re.search(r'"([^"]+)"', text)
        near = said.get("candidates", "").split(",")[0]
        hint = f" Did you mean `{near}`?" if near else ""
        return f"There is no column `{name[1] if name else said.get('name', '')}` here.{hint}"
    if said.get("exception_type") == "Permission":
        return "This reaches beyond the inputs of the step, which is not allowed. Remove it."
    first = text.split("\n\nLINE")[0].split("Candidate functions")[0]
    line = " ".join(first.split()).rstrip(". :")[:400]
    if said.get("exception_type") == "Conversion":
        line += ". Use try_cast, or a cast step with on_error: missing, to leave such values empty"
    return f"{line}."

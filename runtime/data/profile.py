"""What is in a table, column by column: counts, range, quantiles, histogram, top values.

Computed by DuckDB within a memory limit, in a few passes over column groups; of a table in memory,
more cheaply and to the same figures, from arrays where a column's type allows. Missing means null
or not a number; infinities count as values, but not towards figures. Above EXACT_ROWS rows,
`distinct` and `quantiles` are estimates (HyperLogLog, t-digest) and the column says so.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from runtime.data.array_profile import BINS, QUANTILES, TOP, TOP_DISTINCT, column_figures, plain

if TYPE_CHECKING:
    import pyarrow.dataset as ds

EXACT_ROWS = 3_000_000
GROUP = 8
NUMBERS = ("INT", "DOUBLE", "FLOAT", "DECIMAL", "REAL")
TIMES = ("TIMESTAMP", "DATE")
# Handed out as it is, DuckDB would want another library for its zones; all of ours are UTC.
ZONED = "TIMESTAMP WITH TIME ZONE"
Row = dict[str, Any]


def profile_table(
    data: "Sequence[str] | ds.Dataset | pa.Table",
    *,
    memory_mb: int = 512,
    threads: int = 2,
    temp_folder: str = "",
) -> dict[str, Any]:
    """Profile Parquet files, or an Arrow dataset or table, as a plain JSON value:

    {"rows", "columns": {name: {"type", "count", "missing", "distinct", "is_estimate", and, where
    the type has them, "min", "max", "mean", "quantiles": {"0.05": …}, "histogram": {"edges",
    "counts"}, "top": [[value, count], …]}}}. Times are ISO 8601 texts. A table takes a few
    times the memory of its largest column, whatever `memory_mb`; everything else keeps to that.
    """
    if isinstance(data, pa.Table) and data.num_rows <= EXACT_ROWS:
        return _of_table(data, memory_mb, threads, temp_folder)
    return _by_queries(data, memory_mb, threads, temp_folder)


def _of_table(table: pa.Table, memory_mb: int, threads: int, temp_folder: str) -> dict[str, Any]:
    found: dict[str, Row] = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        if (figures := column_figures(column)) is not None:
            found[field.name] = {**figures, "type": str(field.type)}
    if left := [name for name in table.column_names if name not in found]:
        said = _by_queries(table.select(left), memory_mb, threads, temp_folder)
        found |= said["columns"]
    return {"rows": table.num_rows, "columns": {name: found[name] for name in table.column_names}}


def _by_queries(data: Any, memory_mb: int, threads: int, temp_folder: str) -> dict[str, Any]:
    options: dict[str, Any] = {
        "memory_limit": f"{memory_mb}MB",
        "threads": threads,
        "temp_directory": temp_folder,
    }
    with duckdb.connect(config={**options, "autoinstall_known_extensions": False}) as con:
        con.execute("SET TimeZone = 'UTC'")
        source = con.read_parquet(list(data)) if isinstance(data, list | tuple) else data
        relation = source if isinstance(source, duckdb.DuckDBPyRelation) else con.from_arrow(source)
        relation.create_view("t")
        return _profile(con)


def _profile(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    rows = _one(con, "SELECT count(*) FROM t")[0]
    described = con.execute("DESCRIBE t").fetchall()
    kinds = {str(name): str(kind) for name, kind, *_ in described}
    schema = con.execute("SELECT * FROM t LIMIT 0").to_arrow_table().schema
    types = {field.name: str(field.type) for field in schema}
    columns: dict[str, Row] = {}
    names = list(kinds)
    for start in range(0, len(names), GROUP):
        part = {name: kinds[name] for name in names[start : start + GROUP]}
        found = _figures(con, part, is_estimate=rows > EXACT_ROWS)
        _add_histograms(con, part, found)
        columns |= found
    for name, column in columns.items():
        is_plain = not kinds[name].endswith(("]", ")")) or kinds[name].startswith("DECIMAL")
        if is_plain and 0 < column["distinct"] <= TOP_DISTINCT:
            column["top"] = _top(con, name, kinds[name])
        column["type"] = types[name]
    return {"rows": rows, "columns": columns}


def _figures(
    con: duckdb.DuckDBPyConnection, kinds: dict[str, str], *, is_estimate: bool
) -> dict[str, Row]:
    """One pass: everything but histograms and top values. Infinite numbers are left out."""
    parts = [_aggregates(name, kind, is_estimate=is_estimate) for name, kind in kinds.items()]
    values = iter(_one(con, f"SELECT {', '.join(part for each in parts for part in each)} FROM t"))  # noqa: S608
    found = {}
    for name, kind in kinds.items():
        column: Row = {key: next(values) for key in ("count", "missing", "distinct")}
        column["is_estimate"] = is_estimate
        if _is(kind, (*NUMBERS, *TIMES)):
            column |= {"min": plain(next(values)), "max": plain(next(values))}
            points = [plain(each) for each in next(values) or [None] * len(QUANTILES)]
            column["quantiles"] = dict(zip(map(str, QUANTILES), points, strict=True))
        if _is(kind, NUMBERS):
            column["mean"] = plain(next(values))
        found[name] = column
    return found


def _aggregates(name: str, kind: str, *, is_estimate: bool) -> list[str]:
    column = quote(name)
    present = _present(column, kind)
    parts = [f"count({present})", f"count(*) - count({present})"]
    value = f"CASE WHEN NOT isnan({column}) THEN {column} END" if present != column else column
    parts.append(f"{'approx_count_distinct(' if is_estimate else 'count(DISTINCT '}{value})")
    if not _is(kind, (*NUMBERS, *TIMES)):
        return parts
    value = _finite(column, kind)
    points = f"[{', '.join(map(str, QUANTILES))}]"
    if is_estimate:
        quantiles = f"approx_quantile({value}, {points})"
    else:
        quantiles = f"quantile_{'cont' if _is(kind, NUMBERS) else 'disc'}({value}, {points})"
    parts += [f"min({value})", f"max({value})", quantiles]
    return [*parts, f"avg({value})"] if _is(kind, NUMBERS) else parts


def _add_histograms(
    con: duckdb.DuckDBPyConnection, kinds: dict[str, str], found: dict[str, Row]
) -> None:
    """Equal bins from the least to the greatest value; one pass for all columns."""
    names = [n for n, k in kinds.items() if _is(k, (*NUMBERS, *TIMES))]
    ends = {name: _ends(con, name, kinds[name]) for name in names} if names else {}
    ends = {name: each for name, each in ends.items() if each[0] is not None}
    if not ends:
        return
    parts = []
    for name, (low, high) in ends.items():
        value = _as_number(name, kinds[name])
        place = f"({value} - {low!r}) / {(high - low) or 1.0!r} * {BINS}"
        # Two-way least and greatest would turn a null into an end.
        bin_ = f"CASE WHEN {place} < {BINS - 1} THEN floor({place}) ELSE {BINS - 1} END"
        parts.append(f"histogram(({bin_})::TINYINT) FILTER ({value} IS NOT NULL)")
    counted = _one(con, f"SELECT {', '.join(parts)} FROM t")  # noqa: S608
    for (name, (low, high)), counts in zip(ends.items(), counted, strict=True):
        bins = BINS if high > low else 1
        edges: list[Any] = [low + (high - low) * step / bins for step in range(bins)] + [high]
        if _is(kinds[name], TIMES):
            text = ", ".join(f"make_timestamp({round(edge * 1e6)})" for edge in edges)
            edges = [plain(each) for each in _one(con, f"SELECT {text}")]
        held = {int(key): count for key, count in (counts or {}).items()}
        found[name]["histogram"] = {
            "edges": edges,
            "counts": [held.get(place, 0) for place in range(bins)],
        }


def _ends(con: duckdb.DuckDBPyConnection, name: str, kind: str) -> tuple[Any, Any]:
    value = _as_number(name, kind)
    low, high = _one(con, f"SELECT min({value}), max({value}) FROM t")  # noqa: S608
    # Too far apart for a width in doubles: no histogram rather than a wrong one.
    return (low, high) if low is not None and math.isfinite(high - low) else (None, None)


def _top(con: duckdb.DuckDBPyConnection, name: str, kind: str) -> list[list[Any]]:
    value = _finite(quote(name), kind)
    rows = con.execute(
        f"SELECT {value}, count(*) AS n FROM t WHERE {value} IS NOT NULL "  # noqa: S608
        f"GROUP BY 1 ORDER BY n DESC, 1 LIMIT {TOP}"
    ).fetchall()
    return [[plain(value), count] for value, count in rows]


def _present(column: str, kind: str) -> str:
    if _is(kind, ("DOUBLE", "FLOAT", "REAL")):
        return f"CASE WHEN NOT isnan({column}) THEN 1 END"
    return column


def _finite(column: str, kind: str) -> str:
    if kind == ZONED:
        return f"make_timestamp(epoch_us({column}))"
    if _is(kind, ("DOUBLE", "FLOAT", "REAL")):
        return f"CASE WHEN isfinite({column}) THEN {column} END"
    return f"{column}::DOUBLE" if _is(kind, ("DECIMAL", "HUGEINT", "UHUGEINT")) else column


def _as_number(name: str, kind: str) -> str:
    column = quote(name)
    if _is(kind, TIMES):
        return f"epoch({column})"
    return f"({_finite(column, kind)})::DOUBLE"


def _is(kind: str, words: Sequence[str]) -> bool:
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "INTERVAL")):
        return False
    return any(word in kind for word in words)


def quote(name: str) -> str:
    """A column's name as SQL says it."""
    return '"' + name.replace('"', '""') + '"'


def _one(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    row = con.execute(sql).fetchone()
    return row or ()

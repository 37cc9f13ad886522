"""What users write in SQL, checked when it is saved: one expression, one SELECT, nothing beyond.

This refuses early and in plain words. What really keeps SQL in is the engine: external access off,
configuration locked, in a process confined to its own files.
"""

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError, TokenError

from runtime.documents.pipeline import Scalar
from runtime.pipelines.parameters import SqlError, fill_parameters

DIALECT = "duckdb"
OPENING = "SELECT\n"
# It warns of statements it does not know, which are refused here anyway.
logging.getLogger("sqlglot").setLevel(logging.ERROR)
# The functions a FROM may call: they make rows out of values only.
ROW_MAKERS = frozenset({"unnest", "range", "generate_series"})
REACH_OUT = re.compile(
    r"^(read_\w+|parquet_\w+|sniff_\w+|glob|\w+_scan|query|query_table|duckdb_\w+|pragma_\w+|"
    r"getenv|getvariable|current_setting|which_secret|st_read\w*|iceberg_\w+|http_\w+|load_\w+|"
    r"copy_database|arrow_scan\w*|pandas_scan|nextval|currval|pg_\w+|test_\w+|repeat_row|summary|"
    r"add_parquet_key|write_log|parse_duckdb_log_message|in_search_path|txid_current)$"
)


def check_expression(text: str, parameters: Mapping[str, Scalar]) -> Any:
    """The one expression that the text is. Raise SqlError for anything else, and for whatever
    would look at more than the row's own columns."""
    filled, places = fill_parameters(text, parameters)
    parsed = _parse(f"{OPENING}{filled}\n", places, offset=len(OPENING))
    if not isinstance(parsed, exp.Select) or len(parsed.expressions) != 1:
        raise SqlError("This is not one expression. Write a single one, without a comma.")
    if [key for key, value in parsed.args.items() if value and key != "expressions"]:
        raise SqlError("This is more than an expression. Use a sql step for a whole SELECT.")
    found = parsed.expressions[0]
    if isinstance(found, exp.Alias):
        raise SqlError("Leave out “AS …”: the name is given beside the expression.")
    if isinstance(found, exp.Star) or found.find(exp.Query, exp.Table):
        raise SqlError("An expression sees only its own row. Use a join or a sql step.")
    _refuse_functions(found)
    return found


def check_query(text: str, parameters: Mapping[str, Scalar], tables: Collection[str]) -> Any:
    """The one SELECT that the text is, over these tables only. Raise SqlError."""
    filled, places = fill_parameters(text, parameters)
    parsed = _parse(filled, places, offset=0)
    if not isinstance(parsed, exp.Query):
        kind = filled.split(maxsplit=1)[0].upper() if filled.split() else "nothing"
        raise SqlError(f"This must be one SELECT, not {kind[:20]}. Nothing else is run here.", 1)
    if parsed.find(exp.Into, exp.DDL, exp.DML, exp.Command, exp.Attach, exp.Copy, exp.Set):
        raise SqlError("A SELECT that writes is not run here. Use a write step.")
    known = {each.lower() for each in tables}
    for table in parsed.find_all(exp.Table):
        _check_table(table, known)
    _refuse_functions(parsed)
    return parsed


def _check_table(table: exp.Table, known: set[str]) -> None:
    inner = table.this
    if not isinstance(inner, exp.Identifier):
        name = inner.name if isinstance(inner, exp.Anonymous) else inner.sql_name().lower()
        if name.lower() in ROW_MAKERS:
            return
        raise SqlError(f"`{name}` cannot be read from here. Read the inputs of this step.")
    if table.db or table.catalog:
        raise SqlError(f"`{table.sql(DIALECT)}` is not an input of this step. Name an input alone.")
    if inner.name.lower() not in known | _defined_above(table):
        names = ", ".join(f"`{each}`" for each in sorted(known))
        raise SqlError(
            f"There is no input `{inner.name}` here. Inputs of this step: {names}.",
            _place(inner),
        )


def _defined_above(node: Any) -> set[str]:
    """The names of the CTEs that the node is in the reach of."""
    names: set[str] = set()
    above = node.parent
    while above is not None:
        with_ = above.args.get("with_") or above.args.get("with")
        if with_ is not None:
            names |= {cte.alias.lower() for cte in with_.expressions}
        above = above.parent
    return names


def _refuse_functions(parsed: Any) -> None:
    for name in _functions(parsed):
        if REACH_OUT.match(name):
            raise SqlError(f"`{name}` reaches beyond the inputs of this step, so it is not run.")


def _functions(parsed: Any) -> Iterator[str]:
    for node in parsed.find_all(exp.Func):
        if isinstance(node, exp.Anonymous):
            yield node.name.lower()
        else:
            yield from (each.lower() for each in node.sql_names())


def _parse(sql: str, places: list[int], *, offset: int) -> Any:
    try:
        statements = [each for each in sqlglot.parse(sql, dialect=DIALECT) if each is not None]
    except ParseError as error:
        raise _told(error, sql, places, offset) from None
    except (TokenError, SqlglotError, RecursionError) as error:
        text = str(error).splitlines()[0] if str(error) else "it is nested too deep"
        raise SqlError(f"This cannot be read as SQL: {text[:200]}.") from None
    if len(statements) != 1:
        raise SqlError(f"This must be one statement; there are {len(statements)}.", 1)
    return statements[0]


def _told(error: ParseError, sql: str, places: list[int], offset: int) -> SqlError:
    first: dict[str, Any] = error.errors[0] if error.errors else {}
    line, column = first.get("line"), first.get("col")
    text = str(first.get("description") or "it does not hold together").rstrip(". ")
    if "<class" in text:
        text = "something is missing, perhaps at the end"
    position = None
    if isinstance(line, int) and isinstance(column, int):
        start = sum(len(each) + 1 for each in sql.split("\n")[: line - 1])
        length = len(str(first.get("highlight") or "")) or 1
        at = start + column - length - offset
        position = places[min(max(at, 0), len(places) - 1)] + 1
    return SqlError(f"This cannot be read as SQL: {text[:200]}.", position)


def _place(node: Any) -> int | None:
    start = node.meta.get("start")
    return start + 1 if isinstance(start, int) else None


def columns_in(
    parsed: Any, text: str, parameters: Mapping[str, Scalar]
) -> Iterator[tuple[str, int | None]]:
    """Each column that the expression `text` names, with its place there. A lambda's own names
    are no columns, and `a.b` is the part b of the column a."""
    _, places = fill_parameters(text, parameters)
    own = {
        each.name.lower()
        for node in parsed.find_all(exp.Lambda)
        for each in node.expressions
        if isinstance(each, exp.Identifier)
    }
    for column in parsed.find_all(exp.Column):
        first = column.parts[0]
        if not isinstance(first, exp.Identifier) or first.name.lower() in own:
            continue
        start = first.meta.get("start")
        at = start - len(OPENING) if isinstance(start, int) else -1
        yield first.name, places[at] + 1 if 0 <= at < len(places) else None

"""Steps as DuckDB's SQL. What users wrote stands in it as they wrote it, so that the place DuckDB
complains of can be found again in their own text."""

# ruff: noqa: S608 - names are quoted, values are literals, and the rest is the user's own SQL

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runtime.documents import pipeline as doc
from runtime.pipelines.graph import suggest
from runtime.pipelines.parameters import literal_of
from runtime.pipelines.sql import Sql, StepError, listed, quote

TYPES: Mapping[str, str] = {
    "boolean": "BOOLEAN",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "text": "VARCHAR",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
}
BUCKETS = 1_000_000_000


@dataclass(frozen=True)
class Compiler:
    """Compiles steps whose inputs are relations named as the steps are. `columns` knows those;
    `calls` are the functions that a window step computes over its window."""

    columns: Mapping[str, Sequence[str]]
    parameters: Mapping[str, doc.Scalar]
    calls: Container[str] = frozenset()

    def compile(self, name: str, step: Any) -> Sql:
        """The SELECT whose rows are the step's. Raise StepError. Not for reads and writes."""
        sql = Sql(name, self.parameters)
        WRITERS[type(step)](self, sql, step)
        return sql

    def known(self, sql: Sql, source: str, names: Sequence[str]) -> list[str]:
        """The names as the source spells them; raise StepError for one that it has not."""
        spelled = {each.lower(): each for each in self.columns[source]}
        for each in names:
            if each.lower() not in spelled:
                hint = suggest(each, spelled.values())
                raise StepError(
                    f"`{source}` has no such column.{hint} "
                    f"It has {_some(list(self.columns[source]))}.",
                    step=sql.step,
                    column=each,
                )
        return [spelled[each.lower()] for each in names]

    def others(self, source: str, names: Sequence[str]) -> list[str]:
        left_out = {each.lower() for each in names}
        return [each for each in self.columns[source] if each.lower() not in left_out]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(f"`{each}`" for each in names[:8]) + more


def _replaced(
    compiler: Compiler, sql: Sql, source: str, new: Mapping[str, Callable[[Sql], Any]]
) -> None:
    """SELECT every column of the source, some of them anew in their place, new ones at the end."""
    spelled = {each.lower(): each for each in new}
    sql.add("SELECT ")
    for number, name in enumerate(compiler.columns[source]):
        sql.add(", " if number else "")
        key = spelled.pop(name.lower(), None)
        if key is None:
            sql.add(quote(name))
        else:
            new[key](sql)
            sql.add(f" AS {quote(name)}")
    for key in spelled.values():
        new[key](sql.add(", "))
        sql.add(f" AS {quote(key)}")
    sql.add(f" FROM {quote(source)}")


def _select(compiler: Compiler, sql: Sql, step: doc.SelectStep) -> None:
    kept = compiler.known(sql, step.input, step.columns) or list(compiler.columns[step.input])
    dropped = {each.lower() for each in compiler.known(sql, step.input, step.drop)}
    compiler.known(sql, step.input, list(step.rename))
    renamed = {old.lower(): new for old, new in step.rename.items()}
    kept = [each for each in kept if each.lower() not in dropped]
    names = [renamed.get(each.lower(), each) for each in kept]
    _refuse_twice(sql, names)
    if not kept:
        raise StepError("No column is left. Keep at least one.", step=sql.step)
    pairs = zip(kept, names, strict=True)
    parts = ", ".join(f"{quote(old)} AS {quote(new)}" for old, new in pairs)
    sql.add(f"SELECT {parts} FROM {quote(step.input)}")


def _refuse_twice(sql: Sql, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for each in names:
        if each.lower() in seen:
            raise StepError(
                "Two columns would have this name. Give one another.", step=sql.step, column=each
            )
        seen.add(each.lower())


def _filter(compiler: Compiler, sql: Sql, step: doc.FilterStep) -> None:
    sql.add(f"SELECT * FROM {quote(step.input)} WHERE ").user(step.where)


def _cast(compiler: Compiler, sql: Sql, step: doc.CastStep) -> None:
    names = compiler.known(sql, step.input, list(step.columns))
    verb = "CAST" if step.on_error == "fail" else "TRY_CAST"

    def cast(name: str, kind: str) -> Callable[[Sql], Any]:
        return lambda out: out.named(name, f"{verb}({quote(name)} AS {TYPES[kind]})")

    kinds = zip(names, step.columns.values(), strict=True)
    _replaced(compiler, sql, step.input, {name: cast(name, kind) for name, kind in kinds})


def _fill(compiler: Compiler, sql: Sql, step: doc.FillMissingStep) -> None:
    names = compiler.known(sql, step.input, list(step.columns))

    def fill(name: str, how: doc.Fill) -> Callable[[Sql], Any]:
        groups = listed(compiler.known(sql, step.input, how.partition_by))
        order = listed(compiler.known(sql, step.input, how.order_by))
        over = f"PARTITION BY {groups} " if groups else ""
        if how.method == "constant":
            new = literal_of(how.value)
        elif how.method == "previous":
            new = f"last_value({quote(name)} IGNORE NULLS) OVER ({over}ORDER BY {order})"
        else:
            aggregate = "avg" if how.method == "mean" else "median"
            new = f"{aggregate}({quote(name)}) OVER ({over.rstrip()})"
        return lambda out: out.named(name, f"COALESCE({quote(name)}, {new})")

    ways = zip(names, step.columns.values(), strict=True)
    _replaced(compiler, sql, step.input, {name: fill(name, how) for name, how in ways})


def _deduplicate(compiler: Compiler, sql: Sql, step: doc.DeduplicateStep) -> None:
    keys = compiler.known(sql, step.input, step.keys)
    source = quote(step.input)
    if not keys:
        sql.add(f"SELECT DISTINCT * FROM {source}")
        return
    sql.add(f"SELECT * FROM {source} QUALIFY row_number() OVER (PARTITION BY {listed(keys)} ")
    _order(sql, step.order_by, listed(compiler.others(step.input, keys)))
    sql.add(") = 1")


def _order(sql: Sql, order_by: Sequence[str], otherwise: str = "") -> None:
    if not order_by:
        sql.add(f"ORDER BY {otherwise}" if otherwise else "")
        return
    sql.add("ORDER BY ")
    for number, each in enumerate(order_by):
        sql.add(", " if number else "")
        bare, ending = split_order(each)
        sql.user(bare).add(f" {ending}")


def split_order(text: str) -> tuple[str, str]:
    """An ordering's expression, and its “DESC NULLS LAST”."""
    words = text.split()
    ending: list[str] = []
    while len(words) > 1 and words[-1].upper() in {"ASC", "DESC", "NULLS", "FIRST", "LAST"}:
        ending.insert(0, words.pop().upper())
    return (" ".join(words) if ending else text), " ".join(ending)


def _clip(compiler: Compiler, sql: Sql, step: doc.ClipOutliersStep) -> None:
    names = compiler.known(sql, step.input, step.columns)
    bounds: list[str] = []

    def bound(name: str, fixed: float | None, quantile: float | None) -> str:
        if quantile is None:
            return literal_of(fixed)
        bounds.append(f"quantile_cont({quote(name)}, {quantile!r}) AS b{len(bounds)}")
        return f"_bounds.b{len(bounds) - 1}"

    def clip(name: str) -> Callable[[Sql], Any]:
        low = bound(name, step.lower, step.lower_quantile)
        high = bound(name, step.upper, step.upper_quantile)
        value = quote(name)
        if low != "NULL":
            value = f"greatest({value}, {low})"
        if high != "NULL":
            value = f"least({value}, {high})"
        # least and greatest pass missing values over; they must stay missing.
        text = f"CASE WHEN {quote(name)} IS NOT NULL THEN {value} END"
        return lambda out: out.named(name, text)

    _replaced(compiler, sql, step.input, {name: clip(name) for name in names})
    if bounds:
        sql.add(f", (SELECT {', '.join(bounds)} FROM {quote(step.input)}) AS _bounds")


def _derive(compiler: Compiler, sql: Sql, step: doc.DeriveStep) -> None:
    _refuse_twice(sql, list(step.columns))

    def derive(name: str, text: str) -> Callable[[Sql], Any]:
        return lambda out: out.user(text, name)

    new = {name: derive(name, text) for name, text in step.columns.items()}
    _replaced(compiler, sql, step.input, new)


def _join(compiler: Compiler, sql: Sql, step: doc.JoinStep) -> None:
    keys = compiler.known(sql, step.left, step.keys)
    right_keys = compiler.known(sql, step.right, step.right_keys or step.keys)
    pairs = list(zip(keys, right_keys, strict=True))
    parts = []
    for name in compiler.columns[step.left]:
        other = dict(pairs).get(name)
        is_shared = step.how in ("right", "full") and other is not None
        value = f"COALESCE(l.{quote(name)}, r.{quote(str(other))})" if is_shared else None
        parts.append(f"{value or f'l.{quote(name)}'} AS {quote(name)}")
    if step.how not in ("semi", "anti"):
        taken = {each.lower() for each in compiler.columns[step.left]}
        for name in compiler.others(step.right, right_keys):
            new = name + step.suffix if name.lower() in taken else name
            if new.lower() in taken:
                text = "Both sides have this column, and the suffix does not help. Rename it."
                raise StepError(text, step=sql.step, column=new)
            taken.add(new.lower())
            parts.append(f"r.{quote(name)} AS {quote(new)}")
    sql.add(f"SELECT {', '.join(parts)} FROM {quote(step.left)} l {step.how.upper()} JOIN ")
    sql.add(f"{quote(step.right)} r ON ")
    for number, (left, right) in enumerate(pairs):
        sql.add(" AND " if number else "")
        sql.named(left, f"l.{quote(left)} = r.{quote(right)}")


def _union(compiler: Compiler, sql: Sql, step: doc.UnionStep) -> None:
    word = "UNION BY NAME" if step.distinct else "UNION ALL BY NAME"
    sql.add(f" {word} ".join(f"SELECT * FROM {quote(each)}" for each in step.inputs))


def _aggregate(compiler: Compiler, sql: Sql, step: doc.AggregateStep) -> None:
    groups = compiler.known(sql, step.input, step.group_by)
    _refuse_twice(sql, [*groups, *step.columns])
    sql.add(f"SELECT {listed(groups)}")
    for number, (name, text) in enumerate(step.columns.items()):
        sql.add(", " if number or groups else "").user(text, name).add(f" AS {quote(name)}")
    sql.add(f" FROM {quote(step.input)}")
    if groups:
        sql.add(f" GROUP BY {listed(groups)}")


def _window(compiler: Compiler, sql: Sql, step: doc.WindowStep) -> None:
    groups = compiler.known(sql, step.input, step.partition_by)
    _refuse_twice(sql, list(step.columns))

    def window(name: str, column: doc.WindowColumn) -> Callable[[Sql], Any]:
        def over(out: Sql) -> None:
            out.add(f" OVER ({f'PARTITION BY {listed(groups)} ' if groups else ''}")
            _order(out, step.order_by)
            out.add(f" {column.frame})")

        return lambda out: out.over(column.expression, name, compiler.calls, lambda: over(out))

    new = {name: window(name, column) for name, column in step.columns.items()}
    _replaced(compiler, sql, step.input, new)


def _drawn(compiler: Compiler, sql: Sql, step: doc.SampleStep | doc.SplitStep) -> str:
    """A number from 0 to BUCKETS for each row, the same for the same keys and seed."""
    keys = compiler.known(sql, step.input, step.keys) or list(compiler.columns[step.input])
    return f"(hash({step.seed}, {listed(keys)}) % {BUCKETS})"


def _sample(compiler: Compiler, sql: Sql, step: doc.SampleStep) -> None:
    drawn = _drawn(compiler, sql, step)
    sql.add(f"SELECT * FROM {quote(step.input)} ")
    if step.fraction is not None:
        sql.add(f"WHERE {drawn} < {round(step.fraction * BUCKETS)}")
    else:
        sql.add(f"ORDER BY {drawn}, {listed(list(compiler.columns[step.input]))} LIMIT {step.rows}")


def _split(compiler: Compiler, sql: Sql, step: doc.SplitStep) -> None:
    cases = []
    if step.by is not None:
        by = quote(compiler.known(sql, step.input, [step.by])[0])
        parts = list(step.until.items())
        cases = [f"WHEN {by} <= {literal_of(end)} THEN {literal_of(n)}" for n, end in parts[:-1]]
        # A row without a time belongs to no part.
        text = f"CASE WHEN {by} IS NULL THEN NULL {' '.join(cases)} "
    else:
        upto, drawn = 0.0, _drawn(compiler, sql, step)
        for name, fraction in list(step.fractions.items())[:-1]:
            upto += fraction
            cases.append(f"WHEN {drawn} < {round(upto * BUCKETS)} THEN {literal_of(name)}")
        text = f"CASE {' '.join(cases)} " if cases else "CASE WHEN FALSE THEN NULL "
    last = list(step.until or step.fractions)[-1]
    text += f"ELSE {literal_of(last)} END"
    _replaced(compiler, sql, step.input, {step.column: lambda out: out.named(step.column, text)})


def _pass_on(compiler: Compiler, sql: Sql, step: doc.CheckStep | doc.WriteStep) -> None:
    sql.add(f"SELECT * FROM {quote(step.input)}")


def _query(compiler: Compiler, sql: Sql, step: doc.SqlStep) -> None:
    sql.user(step.query.rstrip().rstrip(";"), is_query=True)


WRITERS: dict[type, Callable[[Compiler, Sql, Any], None]] = {
    doc.SelectStep: _select,
    doc.FilterStep: _filter,
    doc.CastStep: _cast,
    doc.FillMissingStep: _fill,
    doc.DeduplicateStep: _deduplicate,
    doc.ClipOutliersStep: _clip,
    doc.DeriveStep: _derive,
    doc.JoinStep: _join,
    doc.UnionStep: _union,
    doc.AggregateStep: _aggregate,
    doc.WindowStep: _window,
    doc.SampleStep: _sample,
    doc.SplitStep: _split,
    doc.CheckStep: _pass_on,
    doc.WriteStep: _pass_on,
    doc.SqlStep: _query,
}

"""Rules that rows must hold: counted in one pass where they can be, told with numbers."""

# ruff: noqa: S608 - names are quoted, values are literals, and the rest is the user's own SQL

from typing import Any

from runtime.documents import pipeline as doc
from runtime.pipelines.compiling import Compiler
from runtime.pipelines.engine import Engine
from runtime.pipelines.parameters import literal_of
from runtime.pipelines.sql import Sql, listed, quote


def check(
    engine: Engine, compiler: Compiler, name: str, step: doc.CheckStep
) -> list[dict[str, Any]]:
    """What each rule found: {"rule", "severity", "is_held", "breaches", "message"}, in order.

    Raise StepError when a rule itself does not fit the data.
    """
    counts = _counted(engine, compiler, name, step)
    found = []
    for number, rule in enumerate(step.rules):
        breaches = counts[number]
        if isinstance(rule, doc.RowCountRule):
            is_held = (rule.min or 0) <= breaches <= (breaches if rule.max is None else rule.max)
            breaches, message = (0 if is_held else 1), f"{breaches:,} rows."
        else:
            is_held = breaches == 0
            message = "Holds." if is_held else f"{breaches:,} rows break it."
        found.append(
            {
                "rule": says(rule),
                "severity": rule.severity,
                "is_held": is_held,
                "breaches": breaches,
                "message": message,
            }
        )
    return found


def says(rule: Any) -> str:
    """The rule in words."""
    match rule:
        case doc.NotNullRule():
            return f"{', '.join(rule.columns)} never missing"
        case doc.UniqueRule():
            return f"{', '.join(rule.columns)} unique"
        case doc.RangeRule():
            low = "" if rule.min is None else f"{rule.min} ≤ "
            return f"{low}{rule.column}" + ("" if rule.max is None else f" ≤ {rule.max}")
        case doc.ValuesRule():
            allowed = ", ".join(map(str, rule.allowed[:10]))
            return f"{rule.column} one of {allowed}{' …' if len(rule.allowed) > 10 else ''}"
        case doc.ExpressionRule():
            return str(rule.where)
        case doc.RowCountRule():
            return (
                f"from {rule.min or 0} to {'any number of' if rule.max is None else rule.max} rows"
            )
    return f"{', '.join(rule.columns)} found in {rule.step}"


def _counted(engine: Engine, compiler: Compiler, name: str, step: doc.CheckStep) -> list[int]:
    """The number of breaches of each rule (for row_count: of rows). One query for all that look
    at each row alone, one more for each that does not."""
    together = Sql(name, compiler.parameters, "SELECT ")
    later: list[Any] = []
    for number, rule in enumerate(step.rules):
        together.add(", " if number else "")
        if isinstance(rule, doc.ForeignKeyRule):
            together.add("0")
            later.append((number, _orphans(compiler, name, step, rule)))
        else:
            _count_one(compiler, together, step, rule)
    together.add(f" FROM {quote(step.input)}")
    counts = [int(each or 0) for each in _run(engine, together)]
    for number, sql in later:
        counts[number] = int(_run(engine, sql)[0])
    return counts


def _run(engine: Engine, sql: Sql) -> tuple[Any, ...]:
    try:
        return engine.one(sql.text)
    except engine.errors as error:
        raise engine.told(error, sql, 0) from None


def _count_one(compiler: Compiler, sql: Sql, step: doc.CheckStep, rule: Any) -> None:
    match rule:
        case doc.NotNullRule():
            names = compiler.known(sql, step.input, rule.columns)
            text = " OR ".join(f"{quote(each)} IS NULL" for each in names)
            sql.named(names[0], f"count(*) FILTER ({text})")
        case doc.UniqueRule():
            names = compiler.known(sql, step.input, rule.columns)
            key = quote(names[0]) if len(names) == 1 else f"row({listed(names)})"
            # A missing value counts as a value, once.
            missing = f"CAST(count(*) > count({key}) AS INTEGER)" if len(names) == 1 else "0"
            sql.named(names[0], f"count(*) - count(DISTINCT {key}) - {missing}")
        case doc.RangeRule():
            column = compiler.known(sql, step.input, [rule.column])[0]
            ends = ((rule.min, "<"), (rule.max, ">"))
            parts = [f"{quote(column)} {s} {literal_of(e)}" for e, s in ends if e is not None]
            sql.named(column, f"count(*) FILTER ({' OR '.join(parts) or 'FALSE'})")
        case doc.ValuesRule():
            column = compiler.known(sql, step.input, [rule.column])[0]
            allowed = ", ".join(literal_of(each) for each in rule.allowed)
            sql.named(column, f"count(*) FILTER ({quote(column)} NOT IN ({allowed}))")
        case doc.ExpressionRule():
            sql.add("count(*) FILTER (NOT coalesce(").user(rule.where).add(", FALSE))")
        case _:
            sql.add("count(*)")


def _orphans(compiler: Compiler, name: str, step: doc.CheckStep, rule: doc.ForeignKeyRule) -> Sql:
    sql = Sql(name, compiler.parameters)
    names = compiler.known(sql, step.input, rule.columns)
    others = compiler.known(sql, rule.step, rule.step_columns or rule.columns)
    pairs = zip(names, others, strict=True)
    equal = " AND ".join(f"l.{quote(a)} = r.{quote(b)}" for a, b in pairs)
    present = " AND ".join(f"l.{quote(each)} IS NOT NULL" for each in names)
    return sql.add(
        f"SELECT count(*) FROM {quote(step.input)} l ANTI JOIN {quote(rule.step)} r "
        f"ON {equal} WHERE {present}"
    )

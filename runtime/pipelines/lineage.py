"""Where every column comes from, step by step, and columns that are not there, found at save.

Each step maps its columns to [step, column] pairs it was made of (for a read: [dataset, column]);
a column made of no column in particular, such as count(*), points to [step, ""]. What only decides
which rows there are (filters, join keys, groups) is no source of a column's values.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runtime.documents import pipeline as doc
from runtime.documents.base import DocumentError
from runtime.documents.pipeline import PipelineDocument, inputs_of
from runtime.pipelines.compiling import split_order
from runtime.pipelines.graph import ordered, suggest
from runtime.pipelines.parameters import SqlError
from runtime.pipelines.sqltext import DIALECT, check_expression, check_query, columns_in

Sources = list[list[str]]
StepLineage = dict[str, Sources]


class Reader:
    """Reads a document as it is saved: every piece of SQL parsed, columns followed where known.

    `schemas` gives datasets' columns; a dataset not given is not known yet, and neither is what
    is made of it. `lineage` has the steps whose columns are known, `errors` what is wrong by path.
    """

    def __init__(self, document: PipelineDocument, schemas: Mapping[str, Sequence[str]]) -> None:
        self.document, self.schemas = document, schemas
        self.lineage: dict[str, StepLineage] = {}
        self.errors: dict[str, str] = {}
        for name in ordered(document):
            self._follow(name, document.steps[name])

    def refuse(self) -> None:
        """Raise DocumentError if anything is wrong."""
        if self.errors:
            raise DocumentError(self.errors)

    def columns(self, step: str) -> list[str] | None:
        return list(self.lineage[step]) if step in self.lineage else None

    def _follow(self, name: str, step: Any) -> None:
        path = f"steps.{name}"
        found = FOLLOWERS[type(step)](self, path, step)
        if found is not None and all(each in self.lineage for each in inputs_of(step)):
            self.lineage[name] = found

    def note(self, path: str, message: str) -> None:
        self.errors.setdefault(path, message)

    def named(self, path: str, source: str, names: Sequence[str]) -> None:
        """Columns named outside of expressions must be there."""
        known = self.columns(source)
        if known is None:
            return
        folded = {each.lower() for each in known}
        for each in names:
            if each.lower() not in folded:
                self.note(path, _unknown(each, source, known))

    def uses(self, path: str, source: str, text: str) -> Sources:
        """The columns an expression is made of."""
        parameters = self.document.parameters
        try:
            parsed = check_expression(text, parameters)
        except SqlError as error:
            at = f" (position {error.position})" if error.position else ""
            self.note(path, f"{error.message}{at}")
            return []
        known = self.columns(source)
        if known is None:
            return []
        spelled = {each.lower(): each for each in known}
        found: dict[str, None] = {}
        for column, place in columns_in(parsed, text, parameters):
            if column.lower() in spelled:
                found[spelled[column.lower()]] = None
            else:
                at = f" (position {place})" if place else ""
                self.note(path, _unknown(column, source, known) + at)
        return [[source, each] for each in found] or [[source, ""]]

    def orders(self, path: str, source: str, order_by: Sequence[str]) -> None:
        for number, each in enumerate(order_by):
            self.uses(f"{path}.order_by.{number}", source, split_order(each)[0])

    def passed(self, source: str) -> StepLineage | None:
        """Every column as it came."""
        known = self.columns(source)
        return None if known is None else {each: [[source, each]] for each in known}


def _unknown(name: str, source: str, known: Sequence[str]) -> str:
    more = " …" if len(known) > 12 else ""
    hint = suggest(name, known) or f" It has {', '.join(known[:12])}{more}."
    return f"`{source}` has no column `{name}`.{hint}"


def _read(reader: Reader, path: str, step: doc.ReadStep) -> StepLineage | None:
    known = reader.schemas.get(step.dataset)
    if known is None:
        return None
    spelled = {each.lower(): each for each in known}
    for each in step.columns:
        if each.lower() not in spelled:
            reader.note(f"{path}.columns", _unknown(each, step.dataset, known))
    chosen = [spelled[each.lower()] for each in step.columns if each.lower() in spelled]
    return {each: [[step.dataset, each]] for each in chosen or known}


def _select(reader: Reader, path: str, step: doc.SelectStep) -> StepLineage | None:
    for part in ("columns", "drop", "rename"):
        reader.named(f"{path}.{part}", step.input, list(getattr(step, part)))
    known = reader.columns(step.input)
    if known is None:
        return None
    spelled = {each.lower(): each for each in known}
    kept = [spelled.get(each.lower(), each) for each in step.columns] or known
    dropped = {each.lower() for each in step.drop}
    renamed = {old.lower(): new for old, new in step.rename.items()}
    return {
        renamed.get(each.lower(), each): [[step.input, each]]
        for each in kept
        if each.lower() not in dropped
    }


def _filter(reader: Reader, path: str, step: doc.FilterStep) -> StepLineage | None:
    reader.uses(f"{path}.where", step.input, step.where)
    return reader.passed(step.input)


def _cast(reader: Reader, path: str, step: doc.CastStep) -> StepLineage | None:
    reader.named(f"{path}.columns", step.input, list(step.columns))
    return reader.passed(step.input)


def _fill(reader: Reader, path: str, step: doc.FillMissingStep) -> StepLineage | None:
    reader.named(f"{path}.columns", step.input, list(step.columns))
    for column, fill in step.columns.items():
        below = f"{path}.columns.{column}"
        reader.named(f"{below}.order_by", step.input, fill.order_by)
        reader.named(f"{below}.partition_by", step.input, fill.partition_by)
    return reader.passed(step.input)


def _deduplicate(reader: Reader, path: str, step: doc.DeduplicateStep) -> StepLineage | None:
    reader.named(f"{path}.keys", step.input, step.keys)
    reader.orders(path, step.input, step.order_by)
    return reader.passed(step.input)


def _clip(reader: Reader, path: str, step: doc.ClipOutliersStep) -> StepLineage | None:
    reader.named(f"{path}.columns", step.input, step.columns)
    return reader.passed(step.input)


def _with(old: StepLineage | None, new: Mapping[str, Sources]) -> StepLineage | None:
    """The columns there were, with these in their places or at the end."""
    if old is None:
        return None
    folded = {each.lower(): each for each in new}
    changed = {name: new.get(folded.get(name.lower(), ""), old[name]) for name in old}
    there = {name.lower() for name in old}
    return {**changed, **{name: new[name] for name in new if name.lower() not in there}}


def _derive(reader: Reader, path: str, step: doc.DeriveStep) -> StepLineage | None:
    new = {
        name: reader.uses(f"{path}.columns.{name}", step.input, text)
        for name, text in step.columns.items()
    }
    return _with(reader.passed(step.input), new)


def _join(reader: Reader, path: str, step: doc.JoinStep) -> StepLineage | None:
    keys, right_keys = step.keys, step.right_keys or step.keys
    reader.named(f"{path}.keys", step.left, keys)
    part = "right_keys" if step.right_keys else "keys"
    reader.named(f"{path}.{part}", step.right, right_keys)
    left, right = reader.passed(step.left), reader.passed(step.right)
    if left is None or right is None or step.how in ("semi", "anti"):
        return left
    found = dict(left)
    taken = {each.lower() for each in left}
    held = {each.lower() for each in right_keys}
    for name, sources in right.items():
        if name.lower() not in held:
            found[name + step.suffix if name.lower() in taken else name] = sources
    return found


def _union(reader: Reader, path: str, step: doc.UnionStep) -> StepLineage | None:
    found: StepLineage = {}
    for source in step.inputs:
        spelled = {each.lower(): each for each in found}
        for name, sources in (reader.passed(source) or {}).items():
            found.setdefault(spelled.get(name.lower(), name), []).extend(sources)
    return found


def _aggregate(reader: Reader, path: str, step: doc.AggregateStep) -> StepLineage | None:
    reader.named(f"{path}.group_by", step.input, step.group_by)
    passed = reader.passed(step.input)
    spelled = {each.lower(): each for each in passed or {}}
    groups = {spelled.get(each.lower(), each) for each in step.group_by}
    kept = {name: [[step.input, name]] for name in (passed or {}) if name in groups}
    return kept | {
        name: reader.uses(f"{path}.columns.{name}", step.input, text)
        for name, text in step.columns.items()
    }


def _window(reader: Reader, path: str, step: doc.WindowStep) -> StepLineage | None:
    reader.named(f"{path}.partition_by", step.input, step.partition_by)
    reader.orders(path, step.input, step.order_by)
    new = {}
    for name, column in step.columns.items():
        below = f"{path}.columns.{name}"
        new[name] = reader.uses(below, step.input, column.expression)
        if below not in reader.errors and not _is_call(reader, column.expression):
            reader.note(below, "Call a function over the window here, such as sum(x) or lag(x).")
    return _with(reader.passed(step.input), new)


def _is_call(reader: Reader, text: str) -> bool:
    """Whether some function is called, and none over a window of its own."""
    from sqlglot import exp

    parsed = check_expression(text, reader.document.parameters)
    return parsed.find(exp.Func) is not None and parsed.find(exp.Window) is None


def _sample(reader: Reader, path: str, step: doc.SampleStep) -> StepLineage | None:
    reader.named(f"{path}.keys", step.input, step.keys)
    return reader.passed(step.input)


def _split(reader: Reader, path: str, step: doc.SplitStep) -> StepLineage | None:
    reader.named(f"{path}.keys", step.input, step.keys)
    by = [step.by] if step.by else []
    reader.named(f"{path}.by", step.input, by)
    made_of = [[step.input, each] for each in [*by, *step.keys]] or [[step.input, ""]]
    return _with(reader.passed(step.input), {step.column: made_of})


def _check(reader: Reader, path: str, step: doc.CheckStep) -> StepLineage | None:
    for number, rule in enumerate(step.rules):
        below = f"{path}.rules.{number}"
        match rule:
            case doc.ExpressionRule():
                reader.uses(f"{below}.where", step.input, rule.where)
            case doc.RangeRule() | doc.ValuesRule():
                reader.named(f"{below}.column", step.input, [rule.column])
            case doc.NotNullRule() | doc.UniqueRule() | doc.ForeignKeyRule():
                reader.named(f"{below}.columns", step.input, rule.columns)
        if isinstance(rule, doc.ForeignKeyRule):
            names = rule.step_columns or rule.columns
            reader.named(f"{below}.step_columns", rule.step, names)
    return reader.passed(step.input)


def _write(reader: Reader, path: str, step: doc.WriteStep) -> StepLineage | None:
    return reader.passed(step.input)


def _query(reader: Reader, path: str, step: doc.SqlStep) -> StepLineage | None:
    parameters = reader.document.parameters
    try:
        parsed = check_query(step.query, parameters, step.inputs)
    except SqlError as error:
        at = f" (position {error.position})" if error.position else ""
        reader.note(f"{path}.query", f"{error.message}{at}")
        return None
    schema = {each: reader.columns(each) for each in step.inputs}
    if any(columns is None for columns in schema.values()):
        return None
    return query_lineage(parsed, {name: columns or [] for name, columns in schema.items()})


def query_lineage(parsed: Any, schema: Mapping[str, Sequence[str]]) -> StepLineage | None:
    """The SELECT's columns and what they are made of; None where sqlglot cannot tell, which is no
    fault: the engine has the last word on whether it runs."""
    from sqlglot import exp
    from sqlglot.errors import SqlglotError
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    if any(each.args.get("by_name") for each in parsed.find_all(exp.SetOperation)):
        # sqlglot would match the columns by their order.
        return None
    typed: Any = {table: dict.fromkeys(names, "UNKNOWN") for table, names in schema.items()}
    tables = {each.lower(): each for each in schema}
    try:
        whole = qualify(parsed.copy(), schema=typed, dialect=DIALECT, validate_qualify_columns=True)
        scope = build_scope(whole)
        found: StepLineage = {}
        for column in whole.selects:
            sources: dict[tuple[str, str], None] = {}
            node = lineage(column.alias_or_name, whole, typed, scope=scope, dialect=DIALECT)
            for each in node.walk():
                if isinstance(each.expression, exp.Table) and not each.downstream:
                    table = tables.get(each.expression.name.lower())
                    if table:
                        sources[(table, _spelled(each.name, schema[table]))] = None
            found[column.alias_or_name] = [list(each) for each in sources] or [
                [table, ""] for table in schema
            ]
    except (SqlglotError, KeyError, ValueError, RecursionError, AttributeError):
        return None
    return found


def _spelled(name: str, known: Sequence[str]) -> str:
    bare = name.split(".")[-1].strip('"')
    return {each.lower(): each for each in known}.get(bare.lower(), "")


FOLLOWERS: dict[type, Callable[[Reader, str, Any], StepLineage | None]] = {
    doc.ReadStep: _read,
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
    doc.CheckStep: _check,
    doc.SqlStep: _query,
    doc.WriteStep: _write,
}


def end_to_end(
    document: PipelineDocument, lineage: Mapping[str, StepLineage], step: str
) -> dict[str, list[tuple[str, str]]]:
    """The step's columns and the (read step, column) pairs that they are made of at last. The
    column is "" where it is the table as a whole."""
    seen: dict[tuple[str, str], dict[tuple[str, str], None]] = {}

    def walk(name: str, column: str) -> dict[tuple[str, str], None]:
        if isinstance(document.steps[name], doc.ReadStep) or name not in lineage:
            return {(name, column): None}
        if (name, column) not in seen:
            seen[(name, column)] = {}
            found: dict[tuple[str, str], None] = {}
            # Of a table as a whole: go on to the tables it stands on.
            whole = [[each, ""] for each in inputs_of(document.steps[name])]
            for before, source in lineage[name].get(column, []) if column else whole:
                found |= walk(before, source)
            seen[(name, column)] = found
        return seen[(name, column)]

    return {column: list(walk(step, column)) for column in lineage.get(step, {})}

"""The filter grammar: one for every list, in browser, REST and command line.

```
state = failed and (label ~ "churn" or created_at >= now-2d) and not project is null
expression := term {("and" | "or") term}         `and` binds closer than `or`
term       := "not" term | "(" expression ")" | comparison
comparison := field ("=" | "!=" | ">" | ">=" | "<" | "<=" | "~") value
            | field ["not"] "in" "(" value {"," value} ")"
            | field "is" ["not"] "null"
```
Where a list has many values of a kind, such as a run's metrics, the field is `metrics.<name>`.
Words are case-insensitive; values with spaces or signs stand in double quotes, in which a
backslash goes before a quote. `~` means "contains", upper or lower case alike (SQLite: A to Z
only). Times are ISO 8601, UTC unless they say otherwise, or `now` less a span: `now-30m`,
`now-2h`, `now-7d`. `!=` and `not` also find rows without a value, as people expect and SQL does
not.
"""

import datetime as dt
import difflib
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.db.models import FloatField, Q, Value
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

MAX_LENGTH = 1000
MAX_DEPTH = 20
MAX_TERMS = 50
Kind = Literal["text", "choice", "number", "datetime", "bool", "uuid"]
SIGNS = ("=", "!=", ">", ">=", "<", "<=", "~")
ORDER = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
OPERATORS: Mapping[str, frozenset[str]] = {
    "text": frozenset({"=", "!=", "~"}),
    "choice": frozenset({"=", "!="}),
    "number": frozenset({"=", "!=", *ORDER}),
    "datetime": frozenset({"=", "!=", *ORDER}),
    "bool": frozenset({"=", "!="}),
    "uuid": frozenset({"=", "!="}),
}
SPANS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
TOKEN = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<sign>!=|>=|<=|[=<>~(),])|(?P<word>[^\s"=<>~!(),]+))'
)


class FilterError(ValueError):
    """What is wrong, at which `column` (1-based). The message names the column, too."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(f"{message} (column {column})")
        self.column = column


@dataclass(frozen=True)
class FilterField:
    """A field people may filter by: what it holds, and the ORM path it stands for.

    `choices` are the values a "choice" field knows. Numbers carry their unit in the field's name.
    A "bool" is never null, and may stand for a lookup such as `finished_at__isnull`.

    Where a row has many values, such as a run its metrics, the field is listed as `metrics.*`:
    `family` makes the field of what follows the dot, whose `within` turns a condition on such a
    value's row into one on the list's row. A row without the value is one where it is null.
    """

    kind: Kind
    path: str
    choices: tuple[str, ...] = ()
    family: Callable[[str], "FilterField"] | None = None
    within: Callable[[Q], Q] | None = None

    def where(self, lookup: str, value: Any) -> Q:
        """The condition that the lookup, such as `__gt`, holds for the value."""
        condition = Q(**{f"{self.path}{lookup}": value})
        return self.within(condition) if self.within else condition

    def is_null(self) -> Q:
        return ~self.within(Q()) if self.within else Q(**{f"{self.path}__isnull": True})


@dataclass(frozen=True)
class Token:
    kind: Literal["text", "sign", "word", "end"]
    value: str
    column: int

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.value.lower() in words

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else f"“{self.value}”"


def parse_filter(text: str, fields: Mapping[str, FilterField]) -> Q:
    """The condition `text` stands for; an empty text lets everything through.

    Raise FilterError for anything else that is not the grammar's.
    """
    if len(text) > MAX_LENGTH:
        raise FilterError(f"The filter is longer than {MAX_LENGTH} characters", MAX_LENGTH + 1)
    if "\x00" in text:
        raise FilterError("The filter holds a character that cannot be searched", 1)
    tokens = _tokens(text)
    return Q() if tokens[0].kind == "end" else _Parser(tokens, fields).parse()


def _tokens(text: str) -> list[Token]:
    found: list[Token] = []
    at = 0
    while match := TOKEN.match(text, at):
        kind = match.lastgroup
        value = match[kind] if kind else ""
        column = match.start(kind or 0) + 1
        if kind == "text":
            found.append(Token("text", re.sub(r"\\(.)", r"\1", value[1:-1]), column))
        else:
            found.append(Token("sign" if kind == "sign" else "word", value, column))
        at = match.end()
    rest = text[at:]
    if rest.strip():
        column = at + len(rest) - len(rest.lstrip()) + 1
        what = "This quote is never closed" if rest.lstrip()[0] == '"' else "Nothing starts so here"
        raise FilterError(what, column)
    return [*found, Token("end", "", len(text) + 1)]


class _Parser:
    def __init__(self, tokens: Sequence[Token], fields: Mapping[str, FilterField]) -> None:
        self.tokens, self.fields = tokens, fields
        self.at = self.terms = 0

    def parse(self) -> Q:
        condition = self._or(0)
        if self._next.kind != "end":
            raise self._error(f"Expected “and”, “or” or the end, not {self._next}")
        return condition

    @property
    def _next(self) -> Token:
        return self.tokens[self.at]

    def _take(self) -> Token:
        token = self._next
        if token.kind != "end":
            self.at += 1
        return token

    def _error(self, message: str) -> FilterError:
        return FilterError(message, self._next.column)

    def _or(self, depth: int) -> Q:
        return self._chain("or", lambda: self._and(depth), lambda a, b: a | b)

    def _and(self, depth: int) -> Q:
        return self._chain("and", lambda: self._term(depth), lambda a, b: a & b)

    def _chain(self, word: str, part: Callable[[], Q], join: Callable[[Q, Q], Q]) -> Q:
        condition = part()
        while self._next.is_word(word):
            self._take()
            condition = join(condition, part())
        return condition

    def _term(self, depth: int) -> Q:
        if depth > MAX_DEPTH:
            raise self._error(f"Brackets and “not” go deeper than {MAX_DEPTH}")
        if self._next.is_word("not"):
            self._take()
            return ~self._term(depth + 1)
        if self._next.value == "(" and self._next.kind == "sign":
            self._take()
            condition = self._or(depth + 1)
            self._expect(")")
            return condition
        return self._comparison()

    def _expect(self, sign: str) -> None:
        if self._next.kind != "sign" or self._next.value != sign:
            raise self._error(f"Expected “{sign}”, not {self._next}")
        self._take()

    def _comparison(self) -> Q:
        self.terms += 1
        if self.terms > MAX_TERMS:
            raise self._error(f"The filter has more than {MAX_TERMS} conditions")
        field = self._field()
        takes_words = field.kind != "bool"
        if takes_words and self._next.is_word("is"):
            return self._null(field)
        if takes_words and self._next.is_word("in", "not"):
            return self._in(field)
        sign = self._next
        if sign.kind != "sign" or sign.value not in OPERATORS[field.kind]:
            known = ", ".join(each for each in SIGNS if each in OPERATORS[field.kind])
            words = ", “in” or “is null”" if takes_words else ""
            raise self._error(f"Expected {known}{words}, not {sign}")
        self._take()
        return _compare(field, sign.value, self._value(field))

    def _field(self) -> FilterField:
        token = self._next
        if token.kind != "word":
            raise self._error(f"Expected a field, not {token}")
        prefix, _, rest = token.value.partition(".")
        many = self.fields.get(f"{prefix}.*")
        if many is not None and many.family is not None and rest not in ("", "*"):
            self._take()
            return many.family(rest)
        if token.value not in self.fields or token.value.endswith(".*"):
            near = difflib.get_close_matches(token.value, self.fields, 1)
            hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(self.fields)}."
            raise self._error(f"Unknown field “{token.value}”. {hint}")
        self._take()
        return self.fields[token.value]

    def _null(self, field: FilterField) -> Q:
        self._take()
        is_not = self._next.is_word("not")
        if is_not:
            self._take()
        if not self._next.is_word("null"):
            raise self._error(f"Expected “null”, not {self._next}")
        self._take()
        return ~field.is_null() if is_not else field.is_null()

    def _in(self, field: FilterField) -> Q:
        is_not = self._take().is_word("not")
        if is_not:
            if not self._next.is_word("in"):
                raise self._error(f"Expected “in”, not {self._next}")
            self._take()
        self._expect("(")
        values = [self._value(field)]
        while self._next.kind == "sign" and self._next.value == ",":
            self._take()
            values.append(self._value(field))
        self._expect(")")
        condition = field.where("__in", values)
        return ~condition if is_not else condition

    def _value(self, field: FilterField) -> Any:
        token = self._next
        if token.kind not in ("word", "text"):
            raise self._error(f"Expected a value, not {token}")
        try:
            value = _READERS[field.kind](token.value, field)
        except (ValueError, OverflowError) as error:
            raise self._error(str(error)) from None
        self._take()
        return value


def _compare(field: FilterField, sign: str, value: Any) -> Q:
    if sign == "!=":
        return ~field.where("", value)
    suffix = "__icontains" if sign == "~" else f"__{ORDER[sign]}" if sign in ORDER else ""
    return field.where(suffix, value)


def _read_choice(text: str, field: FilterField) -> str:
    if text not in field.choices:
        raise ValueError(f"“{text}” is not one of {', '.join(field.choices)}")
    return text


def _read_number(text: str, _: FilterField) -> int | Value:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?", text):
        raise ValueError(f"“{text}” is not a number")
    # Bare, a fraction would be cut to a whole number before it is compared to a whole column.
    return Value(float(text), output_field=FloatField()) if "." in text else int(text)


def _read_time(text: str, _: FilterField) -> dt.datetime:
    if match := re.fullmatch(r"now(?:-([0-9]{1,5})([smhdw]))?", text, re.IGNORECASE):
        span = {SPANS[match[2].lower()]: int(match[1])} if match[1] else {}
        return timezone.now() - dt.timedelta(**span)
    moment = parse_datetime(text)
    if moment is None and (day := parse_date(text)):
        moment = dt.datetime.combine(day, dt.time())
    if moment is None:
        raise ValueError(f"“{text}” is no time. Write 2026-11-24, 2026-11-24T06:00Z or now-2h")
    aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return aware.astimezone(dt.UTC)


def _read_bool(text: str, _: FilterField) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"“{text}” is neither true nor false")
    return text.lower() == "true"


def _read_uuid(text: str, _: FilterField) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise ValueError(f"“{text}” is not an id") from None


_READERS: Mapping[str, Callable[[str, FilterField], Any]] = {
    "text": lambda text, _: text,
    "choice": _read_choice,
    "number": _read_number,
    "datetime": _read_time,
    "bool": _read_bool,
    "uuid": _read_uuid,
}

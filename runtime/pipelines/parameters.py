"""Parameters in what users write in SQL: `$name` stands for a value, wherever it is no text."""

import re
from collections.abc import Container, Mapping

from runtime.documents.pipeline import Scalar

# Quoted texts, names and comments are passed over whole; the one thing looked for is `$name`.
PIECES = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | \$\$.*?\$\$
      | \$(?P<name>[A-Za-z_][A-Za-z0-9_]*)""",
    re.VERBOSE | re.DOTALL,
)

CALL = re.compile(r"\b([A-Za-z_]\w*)\s*\(")
FILTER = re.compile(r"\s*FILTER\s*\(", re.IGNORECASE)


class SqlError(ValueError):
    """What is wrong, at which place (1-based) in the text, where that is known."""

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.message, self.position = message, position


def fill_parameters(text: str, parameters: Mapping[str, Scalar]) -> tuple[str, list[int]]:
    """The text with each `$name` as a literal, and for each of its characters the place in the
    original. Raise SqlError for a name that is no parameter."""
    out: list[str] = []
    places: list[int] = []
    at = 0
    for match in PIECES.finditer(text):
        name = match["name"]
        if name is None:
            continue
        if name not in parameters:
            known = ", ".join(f"${each}" for each in parameters) or "none"
            raise SqlError(
                f"There is no parameter `${name}`. Parameters: {known}.", match.start() + 1
            )
        out.append(text[at : match.start()])
        places += range(at, match.start())
        literal = literal_of(parameters[name])
        out.append(literal)
        places += [match.start()] * len(literal)
        at = match.end()
    out.append(text[at:])
    places += range(at, len(text) + 1)
    return "".join(out), places


def literal_of(value: Scalar | None) -> str:
    """The value as SQL says it."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return f"({value!r})" if value < 0 else repr(value)
    return "'" + value.replace("'", "''") + "'"


def calls_of(text: str, names: Container[str]) -> list[int]:
    """Where calls of these functions end in the text, with their FILTER (…) if they have one; of
    calls within calls, the outermost."""
    skipped = [match.span() for match in PIECES.finditer(text)]
    ends: list[int] = []
    at = 0
    while match := CALL.search(text, at):
        at = match.end()
        if any(a <= match.start() < b for a, b in skipped) or match[1].lower() not in names:
            continue
        at = _closing(text, match.end() - 1, skipped)
        if more := FILTER.match(text, at):
            at = _closing(text, more.end() - 1, skipped)
        ends.append(at)
    return ends


def _closing(text: str, opening: int, skipped: list[tuple[int, int]]) -> int:
    """The place after the bracket that closes the one at `opening`; the text's end without one."""
    depth, at = 0, opening
    jumps = dict(skipped)
    while at < len(text):
        if at in jumps:
            at = jumps[at]
            continue
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
        if depth == 0:
            return at
    return len(text)

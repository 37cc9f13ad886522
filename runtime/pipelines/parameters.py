"""Parameters in what users write in SQL: `$name` stands for a value, wherever it is no text."""

import re
from collections.abc import Mapping

from runtime.documents.pipeline import Scalar

# Quoted texts, names and comments are passed over whole; the one thing looked for is `$name`.
PIECES = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | \$\$.*?\$\$
      | \$(?P<name>[A-Za-z_][A-Za-z0-9_]*)""",
    re.VERBOSE | re.DOTALL,
)


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

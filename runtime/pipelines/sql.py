"""SQL put together from ours and the user's own, and errors that say where in theirs."""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field

from runtime.documents.pipeline import Scalar
from runtime.job import JobError
from runtime.pipelines.parameters import SqlError, calls_of, fill_parameters


class StepError(JobError):
    """What is wrong in which step, and where in it. Its message says all of that."""

    def __init__(
        self, message: str, *, step: str, column: str = "", position: int | None = None
    ) -> None:
        where = [f"Step `{step}`"]
        if column:
            where.append(f"column `{column}`")
        if position is not None:
            where.append(f"position {position}")
        super().__init__(f"{', '.join(where)}: {message}", field=f"steps.{step}", step=step)
        self.column, self.position = column, position


@dataclass(frozen=True)
class Span:
    """Where in the SQL a piece of the user's own stands, and what it is for."""

    start: int
    end: int
    column: str
    places: Sequence[int]


@dataclass
class Sql:
    """SQL being put together, with what of it is the user's."""

    step: str
    parameters: Mapping[str, Scalar]
    text: str = ""
    spans: list[Span] = field(default_factory=list)

    def add(self, text: str) -> "Sql":
        self.text += text
        return self

    def user(self, text: str, column: str = "", *, is_query: bool = False) -> "Sql":
        """Add what the user wrote, on lines of its own: a comment at its end ends there."""
        filled, places = self._filled(text, column)
        self.text += "\n" if is_query else "(\n"
        start = len(self.text)
        self.text += filled
        self.spans.append(Span(start, len(self.text), column, places))
        self.text += "\n" if is_query else "\n)"
        return self

    def _filled(self, text: str, column: str) -> tuple[str, list[int]]:
        try:
            return fill_parameters(text, self.parameters)
        except SqlError as error:
            raise StepError(
                error.message, step=self.step, column=column, position=error.position
            ) from None

    def over(
        self, text: str, column: str, names: Container[str], window: Callable[[], object]
    ) -> "Sql":
        """Add a user's expression with a window, which `window` adds, after each call of these
        functions."""
        filled, places = self._filled(text, column)
        self.text += "(\n"
        ends = calls_of(filled, names)
        starts = [0, *ends]
        for start, end in zip(starts, [*ends, len(filled)], strict=True):
            if start:
                window()
            at = len(self.text)
            self.text += filled[start:end]
            self.spans.append(Span(at, len(self.text), column, places[start : end + 1]))
        self.text += "\n)"
        return self

    def named(self, column: str, text: str) -> None:
        """Add SQL of ours that is about one column, so that an error in it can name the column."""
        start = len(self.text)
        self.add(text)
        self.spans.append(Span(start, len(self.text), column, ()))

    def where_is(self, place: int) -> tuple[str, int | None]:
        """The column and the position (1-based) in the user's text of a place in the SQL."""
        for span in self.spans:
            if span.start <= place <= span.end:
                at = span.places[place - span.start] + 1 if span.places else None
                return span.column, at
        return "", None


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def listed(names: Sequence[str]) -> str:
    return ", ".join(quote(each) for each in names)

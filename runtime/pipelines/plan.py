"""Which steps are computed for themselves, and which only within a later one.

A step is kept (its rows computed once, into a table) where that saves work or is asked for: it
makes few rows of many, or is costly and used more than once. All others are views, which DuckDB
computes together with the step that needs them: columns nobody reads are never computed at all.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.documents import pipeline as doc
from runtime.documents.pipeline import PipelineDocument, inputs_of
from runtime.pipelines.graph import needed_by, ordered

# One row in, one row out: their count is their input's.
ROW_WISE = (
    doc.SelectStep,
    doc.CastStep,
    doc.FillMissingStep,
    doc.ClipOutliersStep,
    doc.DeriveStep,
    doc.WindowStep,
    doc.SplitStep,
    doc.CheckStep,
    doc.WriteStep,
)


class Plan:
    """The steps of a run in order, with what is kept. Steps that lead nowhere are left out."""

    def __init__(self, document: PipelineDocument) -> None:
        self.steps: Mapping[str, Any] = document.steps
        ends = [
            name
            for name, step in document.steps.items()
            if isinstance(step, doc.WriteStep | doc.CheckStep)
        ]
        needed = needed_by(document, ends)
        self.order = [name for name in ordered(document) if name in needed]
        self.users: dict[str, list[str]] = {name: [] for name in self.order}
        for name in self.order:
            for each in inputs_of(self.steps[name]):
                self.users[each].append(name)
        self.writes = [n for n in self.order if isinstance(self.steps[n], doc.WriteStep)]
        self.kept: set[str] = set()
        for name in self.order:
            if self._is_worth_keeping(name):
                self.kept.add(name)

    def _is_worth_keeping(self, name: str) -> bool:
        step, users = self.steps[name], self.users[name]
        if isinstance(step, doc.ReadStep | doc.WriteStep | doc.CheckStep):
            return False
        is_written = any(name == self.written_step(each) for each in self.writes)
        if is_written and len(self.writes) > 1:
            # Several datasets change together: all that can fail comes before the first of them.
            return True
        if users and all(each in self.writes for each in users):
            return False
        shrinks = isinstance(step, doc.AggregateStep | doc.DeduplicateStep | doc.SqlStep)
        if shrinks or (len(self._real_users(name)) > 1 and self._is_costly(name)):
            return True
        # Its rows have to be counted, and counting would compute all of this once more.
        is_counted = isinstance(step, doc.FilterStep | doc.JoinStep | doc.SampleStep)
        return is_counted and any(
            isinstance(self.steps[each], doc.WindowStep) for each in self.chain(name)
        )

    def written_step(self, write: str) -> str:
        """The step whose rows a write takes, beneath checks."""
        name = inputs_of(self.steps[write])[0]
        while isinstance(self.steps[name], doc.CheckStep):
            name = self.steps[name].input
        return name

    def _real_users(self, name: str) -> list[str]:
        """Who computes from it: users, and the users of checks between."""
        found = []
        for user in self.users[name]:
            found.append(user)
            if isinstance(self.steps[user], doc.CheckStep) and self.steps[user].input == name:
                found += self._real_users(user)
        return found

    def _is_costly(self, name: str) -> bool:
        """Whether computing it twice costs more than reading and filtering rows does."""
        step = self.steps[name]
        if _is_slow(step) or isinstance(step, doc.JoinStep | doc.SampleStep | doc.UnionStep):
            return True
        return any(each not in self.kept and self._is_costly(each) for each in inputs_of(step))

    def chain(self, name: str) -> list[str]:
        """The steps computed together when this one is: itself and the views beneath, in order."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            each = waiting.pop()
            if each in found or (each in self.kept and each != name):
                continue
            found.add(each)
            waiting += inputs_of(self.steps[each])
        return [each for each in self.order if each in found]

    def computed_in(self, name: str) -> str:
        """The first kept or written step that a view's rows are computed for, "" if none."""
        waiting: Sequence[str] = self.users[name]
        while waiting:
            for each in waiting:
                if each in self.kept or each in self.writes:
                    return each
            waiting = [user for each in waiting for user in self.users[each]]
        return ""

    def infer(self, counts: dict[str, int]) -> None:
        """Fill in the row counts that follow from others, without asking the data."""
        for names in (self.order, self.order[::-1], self.order):
            for name in names:
                step = self.steps[name]
                before = inputs_of(step)[:1]
                if isinstance(step, ROW_WISE) and before:
                    _same(counts, before[0], name)
                elif isinstance(step, doc.UnionStep) and not step.distinct:
                    parts = [counts.get(each) for each in step.inputs]
                    known = [each for each in parts if each is not None]
                    if len(known) == len(parts):
                        counts.setdefault(name, sum(known))


def _is_slow(step: Any) -> bool:
    """Whether rows are looked at together, though as many come out as go in."""
    if isinstance(step, doc.FillMissingStep):
        return any(fill.method != "constant" for fill in step.columns.values())
    if isinstance(step, doc.ClipOutliersStep):
        return step.lower_quantile is not None or step.upper_quantile is not None
    return isinstance(step, doc.WindowStep)


def _same(counts: dict[str, int], one: str, other: str) -> None:
    if one in counts:
        counts.setdefault(other, counts[one])
    elif other in counts:
        counts[one] = counts[other]

"""The order of steps: every input is there, and nothing feeds itself."""

import difflib
from collections.abc import Iterable

from runtime.documents.base import DocumentError
from runtime.documents.pipeline import PipelineDocument, ReadStep, WriteStep, inputs_of


def ordered(document: PipelineDocument) -> list[str]:
    """The steps' names, each after what it reads, otherwise as written.

    Raise DocumentError for inputs that are not there, cycles, and a dataset written twice.
    """
    _refuse_dangling(document)
    waiting = dict(document.steps)
    order: list[str] = []
    while waiting:
        ready = [n for n, step in waiting.items() if not waiting.keys() & set(inputs_of(step))]
        if not ready:
            raise _cycle(document, waiting)
        for name in ready:
            del waiting[name]
        order += ready
    _refuse_double_writes(document)
    return order


def warnings(document: PipelineDocument) -> list[str]:
    """What is odd, but may be meant."""
    used = {each for step in document.steps.values() for each in inputs_of(step)}
    found = [
        f"Nothing uses step `{name}`, so it is left out of runs. Write it, or remove it."
        for name, step in document.steps.items()
        if name not in used and not isinstance(step, WriteStep)
    ]
    if not any(isinstance(step, WriteStep) for step in document.steps.values()):
        found.append("No step writes a dataset, so a run would leave nothing. Add a write step.")
    return found


def needed_by(document: PipelineDocument, names: Iterable[str]) -> set[str]:
    """These steps and all they stand on."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += inputs_of(document.steps[name])
    return found


def written(document: PipelineDocument) -> dict[str, WriteStep]:
    """The write steps by name."""
    return {n: step for n, step in document.steps.items() if isinstance(step, WriteStep)}


def read(document: PipelineDocument) -> dict[str, ReadStep]:
    """The read steps by name."""
    return {n: step for n, step in document.steps.items() if isinstance(step, ReadStep)}


def suggest(name: str, known: Iterable[str]) -> str:
    """“ Did you mean `x`?”, or nothing."""
    folded = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), list(folded), n=1)
    return f" Did you mean `{folded[close[0]]}`?" if close else ""


def _refuse_dangling(document: PipelineDocument) -> None:
    errors = {}
    for name, step in document.steps.items():
        for each in inputs_of(step):
            path = f"steps.{name}"
            if each not in document.steps:
                hint = suggest(each, document.steps) or " Name a step of this pipeline."
                errors[path] = f"Step `{name}` reads `{each}`, but there is no such step.{hint}"
            elif isinstance(document.steps[each], WriteStep):
                errors[path] = (
                    f"Step `{name}` reads `{each}`, which writes and gives no rows on. "
                    f"Read `{inputs_of(document.steps[each])[0]}` instead."
                )
    if errors:
        raise DocumentError(errors)


def _cycle(document: PipelineDocument, waiting: Iterable[str]) -> DocumentError:
    """Walk back along inputs that never become ready: the walk must meet itself."""
    left = set(waiting)
    path = [min(left)]
    while True:
        before = next(each for each in inputs_of(document.steps[path[-1]]) if each in left)
        if before in path:
            circle = [*path[path.index(before) :], before][::-1]
            text = " → ".join(f"`{each}`" for each in circle)
            return DocumentError(
                {"steps": f"These steps feed each other in a circle: {text}. Break it."}
            )
        path.append(before)


def _refuse_double_writes(document: PipelineDocument) -> None:
    seen: dict[str, str] = {}
    for name, step in written(document).items():
        if step.dataset in seen:
            raise DocumentError(
                {
                    f"steps.{name}.write.dataset": f"Step `{seen[step.dataset]}` writes "
                    f"`{step.dataset}` already. Write each dataset once."
                }
            )
        seen[step.dataset] = name

"""Documents: where their faults are, in the data that was sent."""

from typing import Any

import pytest

from runtime.documents.base import Document, DocumentError, validate_document
from runtime.documents.pipeline import PipelineDocument
from runtime.documents.schedule import ScheduleDocument
from runtime.documents.source import SourceDocument
from runtime.documents.training import TrainingDocument

TRAINING = {"dataset": "d", "target": "t", "task": "regression", "algorithm": "linear"}
BAD: list[tuple[type[Document], dict[str, Any], str]] = [
    (SourceDocument, {"connection": {"kind": "upload", "upload": "x"}}, "connection.upload"),
    (SourceDocument, {"connection": {"kind": "folder"}}, "connection.path"),
    (SourceDocument, {"connection": {"kind": "tape"}}, "connection"),
    (SourceDocument, {"connection": {"kind": "folder", "folder": "x"}}, "connection.folder"),
    (PipelineDocument, {"steps": {"a": {"operation": "read"}}}, "steps.a.dataset"),
    (
        PipelineDocument,
        {"steps": {"a": {"operation": "check", "input": "b", "rules": [{"rule": "range"}]}}},
        "steps.a.rules.0.column",
    ),
    (TrainingDocument, {**TRAINING, "split": {"by": "time", "column": "w"}}, "split.test_from"),
    (
        TrainingDocument,
        {**TRAINING, "split": {"by": "random", "fractions": {"train": 2}}},
        "split.fractions.train",
    ),
    (TrainingDocument, {**TRAINING, "algorithm": "logistic"}, "algorithm"),
    (TrainingDocument, {**TRAINING, "settings": {"alpha": -1}}, "settings.alpha"),
    (ScheduleDocument, {"subject": {"kind": "monitor", "name": ""}}, "subject.name"),
]


@pytest.mark.parametrize(("model", "data", "path"), BAD)
def test_fault_is_where_it_was_sent(model: type[Document], data: dict[str, Any], path: str) -> None:
    with pytest.raises(DocumentError) as refused:
        validate_document(model, data)
    assert path in refused.value.errors


def test_choice_that_is_none_tells_those_there_are() -> None:
    with pytest.raises(DocumentError) as refused:
        validate_document(TrainingDocument, {**TRAINING, "task": "guessing"})
    assert refused.value.errors["task"] == "Use one of 'classification' or 'regression'."

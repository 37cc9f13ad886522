"""The first rows after any step of a pipeline, saved or not.

Question: definition, parameters, step, limit, inputs (read step → path, number), memory_mb. Steps
are views here, so a chain that works row by row stops as soon as it has enough rows. Where rows
have to be seen together (aggregates, joins, windows, …), about SAMPLE_ROWS rows of a large input
are taken, spread over all of it, and the answer says so.
"""

import json
import os
import time
from collections.abc import Mapping
from typing import Any

import duckdb
import pyarrow as pa

from runtime.data import delta
from runtime.documents import pipeline as doc
from runtime.documents.base import validate_document
from runtime.documents.pipeline import PipelineDocument, inputs_of
from runtime.pipelines.compiling import Compiler
from runtime.pipelines.engine import Calls, Engine
from runtime.pipelines.graph import needed_by, ordered
from runtime.pipelines.sql import Sql, StepError

SAMPLE_ROWS = 200_000
TEXT_LIMIT = 500
# One row after the other, without a look at the rest.
SIMPLE = (
    doc.ReadStep,
    doc.SelectStep,
    doc.FilterStep,
    doc.CastStep,
    doc.DeriveStep,
    doc.SplitStep,
    doc.CheckStep,
    doc.WriteStep,
)


def answer(question: dict[str, Any]) -> dict[str, Any]:
    began = time.perf_counter()
    preview = Preview(question)
    for name in preview.order:
        preview.define(name)
    table = preview.first_rows(int(question["limit"]))
    return {
        "step": preview.last,
        "columns": [{"name": each.name, "type": str(each.type)} for each in table.schema],
        "rows": [[plain(row) for row in each.values()] for each in table.to_pylist()],
        "sampled": preview.sampled,
        "seconds": round(time.perf_counter() - began, 3),
    }


class Preview:
    """The steps up to one, as views. `sampled` tells which inputs were cut, and to what part."""

    def __init__(self, question: Mapping[str, Any]) -> None:
        document = validate_document(PipelineDocument, json.loads(question["definition"]))
        self.last = str(question["step"])
        needed = needed_by(document, [self.last])
        self.order = [name for name in ordered(document) if name in needed]
        self.steps: Mapping[str, Any] = document.steps
        self.is_simple = all(_is_simple(self.steps[name]) for name in self.order)
        self.inputs = {
            name: each for name, each in question["inputs"].items() if name in self.order
        }
        self.held = {
            name: delta.look_at(each["path"], int(each["number"]))
            for name, each in self.inputs.items()
        }
        self.columns: dict[str, list[str]] = {}
        self.sampled: dict[str, list[int]] = {}
        parameters = {**document.parameters, **question["parameters"]}
        self.engine = Engine(
            files=[path for held in self.held.values() for path in held.files],
            memory_mb=int(question["memory_mb"]),
            threads=os.cpu_count() or 1,
            temp_folder=os.path.join(os.getcwd(), "spill"),
        )
        self.compiler = Compiler(self.columns, parameters, Calls(self.engine))

    def define(self, name: str) -> None:
        step = self.steps[name]
        if isinstance(step, doc.ReadStep):
            self._read(name, step)
            return
        self.engine.define(self.compiler.compile(name, step), is_kept=False)
        self.columns[name] = list(self.engine.types(name))

    def _read(self, name: str, step: doc.ReadStep) -> None:
        held = self.held[name]
        self.columns[name] = held.schema.names
        chosen = self.compiler.known(Sql(name, {}), name, step.columns) or held.schema.names
        schema = held.schema.empty_table().select(chosen).schema
        rows = 0 if self.is_simple else held.rows
        percent = 0.0
        if rows > SAMPLE_ROWS:
            percent = 100 * SAMPLE_ROWS / rows
            self.sampled[name] = [SAMPLE_ROWS, rows]
        self.engine.read(name, held.files, schema, percent)
        self.columns[name] = list(chosen)

    def first_rows(self, limit: int) -> pa.Table:
        try:
            return self.engine.first_rows(self.last, limit)
        except duckdb.Error as error:
            steps = [n for n in self.order if not isinstance(self.steps[n], doc.ReadStep)]
            chain = [self.compiler.compile(name, self.steps[name]) for name in steps]
            blamed = self.engine.blamed(error, chain) if chain else None
            raise blamed or StepError(str(error)[:300], step=self.last) from None


def _is_simple(step: Any) -> bool:
    if isinstance(step, doc.FillMissingStep):
        return all(each.method == "constant" for each in step.columns.values())
    if isinstance(step, doc.ClipOutliersStep):
        return step.lower_quantile is None and step.upper_quantile is None
    if isinstance(step, doc.UnionStep):
        return not step.distinct
    return isinstance(step, SIMPLE) and len(inputs_of(step)) < 2


def plain(value: Any) -> Any:
    """As JSON has it."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, bytes):
        return value[: TEXT_LIMIT // 2].hex()
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"

"""Rows of a dataset version: the first ones, or those whose columns equal given values."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from runtime.data.delta import open_dataset
from runtime.job import JobError
from runtime.questions.json_rows import json_rows

MAX_BYTES = 4 * 1024 * 1024
WORDS = {"true": True, "false": False}


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """`{"rows": [{…}], "is_cut"}`. `where` maps columns to values given as text ("" is null), or to
    lists of them."""
    dataset = open_dataset(question["path"], int(question["number"]))
    limit = int(question["limit"])
    chosen = _condition(dataset.schema, question.get("where") or {})
    scanner = dataset.scanner(filter=chosen, batch_readahead=1, fragment_readahead=1)
    rows, is_cut = json_rows(scanner.to_reader(), MAX_BYTES, limit)
    return {"rows": rows, "is_cut": is_cut}


def _condition(schema: pa.Schema, where: dict[str, str | list[str]]) -> ds.Expression | None:
    found = None
    for name, text in where.items():
        if name not in schema.names:
            raise JobError(f"This version has no column “{name}”.", field=name)
        kind = schema.field(name).type
        if isinstance(text, list):
            values = [_value(name, each, kind) for each in text if each != ""]
            test = ds.field(name).isin([each.as_py() for each in values if each is not None])
            found = test if found is None else found & test
            continue
        value = _value(name, text, kind)
        test = ds.field(name).is_null() if value is None else ds.field(name) == value
        found = test if found is None else found & test
    return found


def _value(name: str, text: str, kind: pa.DataType) -> pa.Scalar | None:
    if text == "":
        return None
    if pa.types.is_boolean(kind):
        if text.lower() not in WORDS:
            raise JobError(f"{name} is true or false.", field=name)
        return pa.scalar(WORDS[text.lower()])
    try:
        return pc.cast(pa.scalar(text), kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise JobError(f"“{text[:100]}” is no {kind}, as {name} is.", field=name) from None

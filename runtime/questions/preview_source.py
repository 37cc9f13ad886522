"""What a source holds: whether it can be read, its columns and its first rows."""

from typing import Any

from runtime.data.delta import columns_of
from runtime.data.reading import Asked, open_source
from runtime.questions.json_rows import json_rows

MAX_BYTES = 2 * 1024 * 1024


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """`{"columns": [{"name", "type"}], "rows": [{…}]}`; rows are cut short at about 2 MB."""
    asked = Asked.of(question, sample_rows=int(question["rows"]), temp=".", memory_mb=384)
    with open_source(asked) as reader:
        columns = columns_of(reader.schema)
        rows, is_cut = json_rows(reader, MAX_BYTES)
    return {"columns": columns, "rows": rows, "is_cut": is_cut}

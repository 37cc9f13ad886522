"""The rows a traced prediction stands on, as they were then: its dataset row, and the rows of the
pinned inputs from which that was computed."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError

from apps.accounts.models import User
from apps.jobs.asking import ask
from apps.overview.lineage import walk_lineage
from apps.overview.traces import (
    Found,
    find_request,
    get_found_row,
    pinned_inputs,
    reference_to,
)
from apps.sources.models import DatasetVersion
from apps.targets.services import get_local_target

READ_SECONDS = 20.0
MAX_LIMIT = 10_000
MAX_INPUTS = 20


def trace_rows(
    user: User,
    *,
    project: str,
    request_id: str,
    endpoint: str = "",
    row: int = 0,
    by: str = "",
    input_id: str = "",
    limit: int = 1_000,
    offset: int = 0,
) -> dict[str, Any]:
    """The dataset row with the request's key values, and of every pinned input the rows that share
    the key `by` (left out: for each input the first key that reaches it).

    A key reaches an input by column lineage, or by a column of its name. `input_id` (a dataset
    version's uuid) asks for that one alone, which is how to page with `offset`. Raises as
    `find_request`, and ValidationError for a key or input that is none.
    """
    found = find_request(user, project=project, request_id=request_id, endpoint=endpoint)
    captured = get_found_row(found, row)
    keys = found.keys_of(captured)
    if by and by not in keys:
        raise ValidationError({"by": f"{by} is no key. Keys: {', '.join(keys) or 'none'}."})
    version = found.release.version.run.dataset_version
    inputs = _chosen(version, input_id)
    return {
        "request": {"request_id": request_id, "row": row, "keys": keys},
        "dataset_row": _dataset_row(user, found, version, keys),
        "inputs": [
            _input_rows(user, found, version, each, _only(keys, by), limit, offset)
            for each in inputs
        ],
    }


def _only(keys: Mapping[str, Any], by: str) -> dict[str, Any]:
    return {name: value for name, value in keys.items() if by in ("", name)}


def _chosen(version: DatasetVersion, input_id: str) -> list[DatasetVersion]:
    inputs = pinned_inputs(version)[:MAX_INPUTS]
    if not input_id:
        return inputs
    if not (one := [each for each in inputs if str(each.uuid) == input_id]):
        raise ValidationError(
            {"input": f"{version} was not made from this dataset version. Leave it out to see all."}
        )
    return one


def _dataset_row(
    user: User, found: Found, version: DatasetVersion, keys: Mapping[str, Any]
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "dataset_version": reference_to("dataset_version", version.uuid, str(version))
    }
    there = _names(version)
    where = {name: value for name, value in keys.items() if name in there}
    if not where:
        return {**told, "where": {}, "rows": [], "note": "The model has no key columns to find it."}
    read = _read(user, found, version, where, limit=MAX_LIMIT, offset=0)
    return {**told, "where": where, **read}


def _input_rows(
    user: User,
    found: Found,
    version: DatasetVersion,
    source: DatasetVersion,
    keys: Mapping[str, Any],
    limit: int,
    offset: int,
) -> dict[str, Any]:
    data = reference_to("dataset_version", source.uuid, str(source), dataset=source.dataset.slug)
    for key, value in keys.items():
        column, matched_by = _reach(user, version, source, key)
        if column:
            where = {column: value}
            read = _read(user, found, source, where, limit=limit, offset=offset)
            told = {"dataset_version": data, "where": where, "key": key, "matched_by": matched_by}
            return {**told, **read}
    note = "No key reaches this input; its rows are at the dataset version's own address."
    return {
        "dataset_version": data,
        "where": {},
        "key": "",
        "matched_by": "",
        "rows": [],
        "is_cut": False,
        "note": note,
    }


def _reach(
    user: User, version: DatasetVersion, source: DatasetVersion, key: str
) -> tuple[str, str]:
    """The input's column that the key came from, and how that is known."""
    if key in _names(version):
        walk = walk_lineage(
            user, kind="dataset_version", id=version.uuid, column=key, direction="up"
        )
        columns = [
            node["column"]
            for node in walk["nodes"]
            if node["uuid"] == str(source.uuid) and node["column"]
        ]
        if columns:
            return (key if key in columns else columns[0]), "lineage"
    return (key, "name") if key in _names(source) else ("", "")


def _names(version: DatasetVersion) -> set[str]:
    return {str(each.get("name")) for each in version.columns}


def _read(
    user: User,
    found: Found,
    version: DatasetVersion,
    where: Mapping[str, Any],
    *,
    limit: int,
    offset: int,
) -> dict[str, Any]:
    """Rows of a version by a question. One row more than asked tells whether there are more."""
    spec = {
        "path": str(version.dataset.path),
        "number": version.number,
        "limit": offset + limit + 1,
        "where": {name: _text(value) for name, value in where.items()},
    }
    answer = ask(
        "read_rows",
        spec=spec,
        target=get_local_target(),
        user=user,
        project=found.project,
        deadline=READ_SECONDS,
    )
    if isinstance(error := answer.get("error"), dict):
        return {"rows": [], "is_cut": False, "note": str(error.get("message", ""))}
    rows = answer.get("rows", [])
    page = rows[offset : offset + limit]
    has_more = len(rows) > offset + limit or bool(answer.get("is_cut"))
    return {"rows": page, "is_cut": has_more, "note": ""}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)

"""The rows a traced prediction stands on, as they were then: its dataset row, and the rows of the
pinned inputs from which that was computed."""

from collections.abc import Mapping
from dataclasses import dataclass
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
MAX_VALUES = 5_000
# How many later versions are looked through for a row.
NEWER = 5


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

    A key reaches an input by column lineage, or by a column of its name; an input that none
    reaches is joined to the rows of one that is reached, by a column of both. `input_id` (a dataset
    version's uuid) asks for that one alone, which is how to page with `offset`. Raises as
    `find_request`, and ValidationError for a key or input that is none.
    """
    found = find_request(user, project=project, request_id=request_id, endpoint=endpoint)
    captured = get_found_row(found, row)
    keys = found.keys_of(captured)
    if by and by not in keys:
        raise ValidationError({"by": f"{by} is no key. Keys: {', '.join(keys) or 'none'}."})
    reader = Reader(user, found, limit, offset)
    version, dataset_row = _dataset_row(reader, captured, keys)
    inputs = pinned_inputs(version)[:MAX_INPUTS]
    chosen = _chosen(version, inputs, input_id)
    told = _inputs_rows(reader, version, inputs if input_id == "" else chosen, _only(keys, by))
    return {
        "request": {"request_id": request_id, "row": row, "keys": keys},
        "dataset_row": dataset_row,
        "inputs": [told[each.pk] for each in chosen],
    }


def _only(keys: Mapping[str, Any], by: str) -> dict[str, Any]:
    return {name: value for name, value in keys.items() if by in ("", name)}


def _chosen(
    version: DatasetVersion, inputs: list[DatasetVersion], input_id: str
) -> list[DatasetVersion]:
    if not input_id:
        return inputs
    if not (one := [each for each in inputs if str(each.uuid) == input_id]):
        raise ValidationError(
            {"input": f"{version} was not made from this dataset version. Leave it out to see all."}
        )
    return one


def _dataset_row(
    reader: "Reader", captured: Mapping[str, Any], keys: Mapping[str, Any]
) -> tuple[DatasetVersion, dict[str, Any]]:
    """The row with these keys, in the version the training stood on or, since what is scored is
    often what came after, in another that the same pipeline wrote. `is_same`: its values are those
    that the request carried."""
    trained = reader.found.release.version.run.dataset_version
    names = [str(each["name"]) for each in reader.found.signature.get("inputs", [])]
    best: tuple[DatasetVersion, dict[str, Any]] | None = None
    for version in _candidates(trained):
        where = {name: value for name, value in keys.items() if name in _names(version)}
        if not where or len(where) < len(keys):
            continue
        read = reader.read(version, where, limit=MAX_LIMIT, offset=0)
        is_same = any(all(row.get(n) == captured.get(n) for n in names) for row in read["rows"])
        told = {**_data(version), "where": where, "is_same": is_same, **read}
        if is_same or (best is None and read["rows"]):
            best = version, told
        if is_same:
            break
    if best is not None:
        return best
    note = "No dataset version made along with the training's has a row with these keys."
    return trained, {
        **_data(trained),
        "where": dict(keys),
        "is_same": False,
        "rows": [],
        "note": note,
    }


def _candidates(trained: DatasetVersion) -> list[DatasetVersion]:
    """The training's version, the others of its pipeline run, and then newer ones of both."""
    if trained.origin_kind != "pipeline_run":
        return [trained]
    related = DatasetVersion.objects.select_related("dataset__project").filter(
        dataset__project=trained.dataset.project_id
    )
    together = list(related.filter(origin_id=trained.origin_id).exclude(pk=trained.pk)[:MAX_INPUTS])
    datasets = [each.dataset_id for each in (trained, *together)]
    newer = related.filter(dataset__in=datasets, pk__gt=trained.pk).order_by("-pk")
    known = {each.pk for each in (trained, *together)}
    return [trained, *together, *newer.exclude(pk__in=known)[:NEWER]]


def _inputs_rows(
    reader: "Reader",
    version: DatasetVersion,
    inputs: list[DatasetVersion],
    keys: Mapping[str, Any],
) -> dict[int, dict[str, Any]]:
    """Rows of each input by a key; of an input that no key reaches, those that share a column's
    values with the rows of another that one does."""
    told: dict[int, dict[str, Any]] = {}
    for source in inputs:
        for key, value in keys.items():
            column, matched_by = _reach(reader.user, version, source, key)
            if column:
                how = {"where": {column: value}, "key": key, "matched_by": matched_by}
                told[source.pk] = {**_input(source), **how, **reader.page(source, {column: value})}
                break
    for source in inputs:
        if source.pk not in told:
            told[source.pk] = _joined(reader, source, [told[i.pk] for i in inputs if i.pk in told])
    return told


def _joined(
    reader: "Reader", source: DatasetVersion, others: list[dict[str, Any]]
) -> dict[str, Any]:
    for other in others:
        for column in sorted(_names(source) & {name for row in other["rows"] for name in row}):
            values = sorted({_text(row.get(column)) for row in other["rows"]} - {""})
            if 0 < len(values) <= MAX_VALUES:
                page = reader.page(source, {column: values})
                told = {"where": {column: values}, "key": "", "matched_by": "join"}
                return {**_input(source), **told, **page}
    note = "No key reaches this input alone. Ask without `input`, or at its own address."
    how: dict[str, Any] = {
        "where": {},
        "key": "",
        "matched_by": "",
        "rows": [],
        "is_cut": False,
        "note": note,
    }
    return {**_input(source), **how}


def _data(version: DatasetVersion) -> dict[str, Any]:
    return {"dataset_version": reference_to("dataset_version", version.uuid, str(version))}


def _input(source: DatasetVersion) -> dict[str, Any]:
    slug = source.dataset.slug
    return {
        "dataset_version": reference_to("dataset_version", source.uuid, str(source), dataset=slug)
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


@dataclass(frozen=True)
class Reader:
    """Asks for rows of dataset versions, a page of `limit` after `offset`."""

    user: User
    found: Found
    limit: int
    offset: int

    def page(self, version: DatasetVersion, where: Mapping[str, Any]) -> dict[str, Any]:
        return self.read(version, where, limit=self.limit, offset=self.offset)

    def read(
        self, version: DatasetVersion, where: Mapping[str, Any], *, limit: int, offset: int
    ) -> dict[str, Any]:
        """One row more than asked for tells whether there are more."""
        spec = {
            "path": str(version.dataset.path),
            "number": version.number,
            "limit": offset + limit + 1,
            "where": {name: _texts(value) for name, value in where.items()},
        }
        answer = ask(
            "read_rows",
            spec=spec,
            target=get_local_target(),
            user=self.user,
            project=self.found.project,
            deadline=READ_SECONDS,
        )
        if isinstance(error := answer.get("error"), dict):
            return {"rows": [], "is_cut": False, "note": str(error.get("message", ""))}
        rows = answer.get("rows", [])
        has_more = len(rows) > offset + limit or bool(answer.get("is_cut"))
        return {"rows": rows[offset : offset + limit], "is_cut": has_more, "note": ""}


def _texts(value: Any) -> str | list[str]:
    return [_text(each) for each in value] if isinstance(value, list) else _text(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)

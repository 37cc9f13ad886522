"""The protocols a request may speak, and how each says rows and answers: our own JSON, MLflow's
`/invocations`, and the Open Inference Protocol's `infer` (version 2)."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.serving.answers import Scored
from runtime.serving.problems import Problem

if TYPE_CHECKING:
    from runtime.serving.endpoints import Endpoint, Release

Rows = list[dict[str, Any]]
DATATYPES = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "category": "BYTES"}


class Format(NamedTuple):
    """`read` makes rows of a body; `write` makes a body of (what was asked, request id, release,
    what was scored)."""

    read: Callable[[Any, "Endpoint"], Rows]
    write: Callable[[Any, str, "Release", Scored], dict[str, Any]]


SCORE_FIELDS = frozenset({"rows", "probabilities"})


def _read_score(asked: Any, endpoint: "Endpoint") -> Rows:
    if type(asked) is not dict or type(asked.get("rows")) is not list:
        raise Problem(400, 'Send {"rows": [{…}, …]}: a list of objects, a row each.')
    if len(asked) > 1 and not asked.keys() <= SCORE_FIELDS:
        unknown = min(asked.keys() - SCORE_FIELDS)
        raise Problem(400, f"There is no field called {unknown!r}: rows, probabilities.")
    rows: Rows = asked["rows"]
    return rows


def _write_score(asked: Any, request_id: str, release: "Release", scored: Scored) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "request_id": request_id,
        "release": release.slug,
        "predictions": scored.predictions,
    }
    if scored.labels is not None:
        answer["labels"] = scored.labels
        if len(release.reader.classes) > 2 or asked.get("probabilities") is True:
            answer["classes"], answer["probabilities"] = (
                release.reader.classes,
                scored.probabilities,
            )
    return answer


def _read_invocations(asked: Any, endpoint: "Endpoint") -> Rows:
    """MLflow's `dataframe_split`, `dataframe_records`, `inputs` and `instances`."""
    given = asked if type(asked) is dict else {}
    if type(split := given.get("dataframe_split")) is dict:
        return _zip_rows(split.get("columns"), split.get("data"))
    if type(records := given.get("dataframe_records")) is list:
        return records
    data = given.get("inputs", given.get("instances"))
    if type(data) is dict:
        columns = [each if type(each) is list else [each] for each in data.values()]
        if len({len(each) for each in columns}) > 1:
            raise Problem(400, "inputs: the columns have different numbers of values.")
        return [dict(zip(data, row, strict=True)) for row in zip(*columns, strict=True)]
    if type(data) is list:
        if all(type(row) is dict for row in data):
            return data
        return _zip_rows(_input_names(endpoint), data)
    raise Problem(
        400, "Send dataframe_split, dataframe_records, inputs or instances, as MLflow names them."
    )


def _zip_rows(names: Any, data: Any) -> Rows:
    if type(names) is not list or type(data) is not list:
        raise Problem(400, "dataframe_split: send columns (a list) and data (a list of lists).")
    if len(set(map(str, names))) < len(names):
        raise Problem(400, "dataframe_split: two columns have the same name.")
    for number, row in enumerate(data):
        if type(row) is not list or len(row) != len(names):
            text = f"Row {number} must be a list of {len(names)} values, one for each column."
            raise Problem(400, text, errors=[{"row": number, "field": "", "message": text}])
    return [dict(zip(map(str, names), row, strict=True)) for row in data]


def _input_names(endpoint: "Endpoint") -> list[str]:
    """The names where rows carry none: the inputs of the releases, in order, if all agree."""
    names = [each.encoder.names for each in endpoint.releases.values()]
    if not names or any(each != names[0] for each in names):
        raise Problem(400, "The releases have different inputs: send rows with their names.")
    return names[0]


def _write_invocations(
    asked: Any, request_id: str, release: "Release", scored: Scored
) -> dict[str, Any]:
    """As MLflow's own models answer: the label of a class, the value of a number."""
    if scored.labels is None:
        return {"predictions": scored.predictions}
    classes = release.reader.classes
    if all(each.lstrip("-").isdigit() for each in classes):
        return {"predictions": [int(each) for each in scored.labels]}
    return {"predictions": scored.labels}


def _read_infer(asked: Any, endpoint: "Endpoint") -> Rows:
    """One tensor a column, or one tensor with a column for each input."""
    tensors = asked.get("inputs") if type(asked) is dict else None
    if type(tensors) is not list or not tensors:
        raise Problem(400, "inputs: send a list of tensors with name, shape, datatype and data.")
    columns: dict[str, list[Any]] = {}
    for tensor in tensors:
        if type(tensor) is not dict or type(tensor.get("data")) is not list:
            raise Problem(400, "inputs: each tensor is an object with name, shape and data.")
        name, shape, data = str(tensor.get("name")), tensor.get("shape"), _flat(tensor["data"])
        if not _holds(shape, len(data)):
            raise Problem(400, f"inputs: the shape of {name} does not fit its {len(data)} values.")
        assert type(shape) is list  # noqa: S101  (it holds)
        if len(shape) == 2 and shape[1] != 1:
            return _wide(name, shape, data, endpoint, len(tensors))
        columns[name] = data
    if len({len(each) for each in columns.values()}) > 1 or len(columns) < len(tensors):
        raise Problem(400, "inputs: the tensors differ in length, or two share a name.")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _holds(shape: Any, count: int) -> bool:
    if type(shape) is not list or len(shape) not in (1, 2):
        return False
    if any(type(each) is not int or each < 0 for each in shape):
        return False
    return bool(shape[0] * (shape[1] if len(shape) == 2 else 1) == count)


def _wide(name: str, shape: list[int], data: list[Any], endpoint: "Endpoint", count: int) -> Rows:
    names = _input_names(endpoint)
    if count > 1 or shape[1] != len(names):
        raise Problem(400, f"inputs: {name} alone must have a column for each of {len(names)}.")
    width = shape[1]
    return [
        dict(zip(names, data[place * width : (place + 1) * width], strict=True))
        for place in range(shape[0])
    ]


def _flat(data: list[Any]) -> list[Any]:
    """Tensors may be sent nested; the protocol allows both."""
    if data and type(data[0]) is list:
        return [value for row in data for value in (row if type(row) is list else [row])]
    return data


def _write_infer(asked: Any, request_id: str, release: "Release", scored: Scored) -> dict[str, Any]:
    rows = len(scored.predictions)
    outputs = [_tensor("prediction", "FP64", [rows], scored.predictions)]
    if scored.labels is not None:
        outputs.append(_tensor("label", "BYTES", [rows], scored.labels))
        flat = [value for row in scored.probabilities or () for value in row]
        shape = [rows, len(release.reader.classes)]
        outputs.append(_tensor("probabilities", "FP64", shape, flat))
    return {
        "model_name": release.endpoint.rpartition("/")[2],
        "model_version": release.slug,
        "id": str(asked.get("id") or request_id),
        "outputs": outputs,
    }


def _tensor(name: str, datatype: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def describe(endpoint: "Endpoint") -> dict[str, Any]:
    """The endpoint as the Open Inference Protocol tells a model's metadata."""
    release = next(iter(endpoint.releases.values()), None)
    if release is None:
        raise Problem(404, "This endpoint has no release yet.")
    signature: Mapping[str, Any] = release.package.signature
    inputs = [
        {"name": each["name"], "datatype": DATATYPES.get(each["kind"], "BYTES"), "shape": [-1]}
        for each in signature["inputs"]
    ]
    outputs: list[dict[str, Any]] = [{"name": "prediction", "datatype": "FP64", "shape": [-1]}]
    if release.reader.is_classification:
        width = len(release.reader.classes)
        outputs += [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP64", "shape": [-1, width]},
        ]
    return {
        "name": endpoint.path.rpartition("/")[2],
        "versions": sorted(endpoint.releases),
        "platform": release.predictor.label,
        "inputs": inputs,
        "outputs": outputs,
    }


SCORE = Format(_read_score, _write_score)
INVOCATIONS = Format(_read_invocations, _write_invocations)
INFER = Format(_read_infer, _write_infer)

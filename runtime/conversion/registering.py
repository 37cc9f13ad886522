"""The `register` job: verify a run's artifacts, convert, compare, leave a package.

The draft folder is filled from nothing each time, so being started again changes nothing; the
engine moves it to its place, whole, when this process has ended well.
"""

import hashlib
import json
import os
import pickle
import shutil
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from runtime.conversion.forms import to_onnx
from runtime.conversion.parity import Conversion, compare
from runtime.conversion.trees import NoConverterError
from runtime.encoding import Encoder, Matrix
from runtime.job import JobError

NATIVE, SIGNATURE, VALIDATION = (
    "model/native.pkl",
    "model/signature.json",
    "model/validation.parquet",
)
EXAMPLE, REFERENCE, PACKAGES = "model/input_example.json", "model/reference.json", "packages.json"
OUTPUTS: Mapping[str, Mapping[str, str]] = {
    "classification": {"label": "label", "probabilities": "probabilities"},
    "regression": {"value": "variable"},
}
FORMAT = 1
BLOCK = 1 << 20


def register(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The job's work; its outputs are what the version's row is filled from."""
    artifacts, draft = str(spec["artifacts"]), str(spec["package"])
    verify(artifacts, spec["files"])
    signature = _read_json(artifacts, SIGNATURE)
    original = _read_original(os.path.join(artifacts, NATIVE))
    matrix = read_matrix(os.path.join(artifacts, VALIDATION), signature)
    onnx, conversion = convert(original, signature, matrix)
    _say(conversion)
    try:
        return write_package(spec, artifacts, draft, signature, onnx, conversion)
    except OSError as error:
        text = f"The package cannot be written: {error.strerror}. Make room on the disk, then "
        raise JobError(f"{text}register the run again.") from error


def verify(artifacts: str, files: Mapping[str, str]) -> None:
    """Raise JobError when a file the run left is gone, or not what the run left."""
    for name in (NATIVE, SIGNATURE, VALIDATION):
        if name not in files:
            text = f"The run left no {name}, so it holds no model to register. Train again."
            raise JobError(text, field="run")
    for name, digest in files.items():
        path = os.path.join(artifacts, name)
        if not os.path.isfile(path):
            raise JobError(f"The run's file {name} is gone. Train again.", field="run")
        if sha256(path) != digest:
            text = f"The run's file {name} is not the one the run left. Train again."
            raise JobError(text, field="run")


def sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _read_json(artifacts: str, name: str, default: Any = None) -> Any:
    path = os.path.join(artifacts, name)
    if default is not None and not os.path.exists(path):
        return default
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def _read_original(path: str) -> Any:
    try:
        with open(path, "rb") as file:
            return pickle.load(file)  # noqa: S301  (this process is confined for this line)
    except Exception as error:  # whatever a pickle's own code raises
        text = f"The run's model cannot be read here: {_first_line(error)}. Train again."
        raise JobError(text, field="run") from error


def read_matrix(path: str, signature: Mapping[str, Any]) -> Matrix:
    """A Parquet file's rows, encoded as serving will encode them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [str(each["name"]) for each in signature["inputs"]]
    table = pq.read_table(path, columns=names)
    columns: dict[str, Any] = {}
    for each in signature["inputs"]:
        column = table.column(each["name"])
        if each["kind"] == "category":
            columns[each["name"]] = column.cast(pa.string()).to_pylist()
        else:
            if pa.types.is_boolean(column.type):
                column = column.cast(pa.int8())
            numbers = column.cast(pa.float64(), safe=False)
            columns[each["name"]] = numbers.to_numpy()
    return Encoder(signature).encode_columns(columns, table.num_rows)


def convert(
    original: Any, signature: Mapping[str, Any], matrix: Matrix
) -> tuple[bytes, Conversion]:
    """The ONNX form, empty where there is none, and how it did."""
    is_classifier = signature["task"] == "classification"
    try:
        onnx = to_onnx(original, width=matrix.shape[1], is_classifier=is_classifier)
        return onnx, compare(original, onnx, matrix, signature)
    except NoConverterError as error:
        return b"", Conversion(False, f"There is no ONNX form of it: {error}")
    except MemoryError:
        raise
    except Exception as error:  # converters raise what they like; the original still serves
        text = f"It could not be converted to ONNX: {type(error).__name__}: {_first_line(error)}"
        return b"", Conversion(False, text[:500])


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__


def write_package(
    spec: Mapping[str, Any],
    artifacts: str,
    draft: str,
    signature: Mapping[str, Any],
    onnx: bytes,
    conversion: Conversion,
) -> dict[str, Any]:
    """Fill the draft folder. Returns the job's outputs."""
    _empty(draft)
    engine = "onnx" if conversion.is_accepted else "native"
    os.mkdir(os.path.join(draft, "native"))
    shutil.copyfile(os.path.join(artifacts, NATIVE), os.path.join(draft, "native", "native.pkl"))
    if os.path.exists(os.path.join(artifacts, REFERENCE)):
        shutil.copyfile(os.path.join(artifacts, REFERENCE), os.path.join(draft, "reference.json"))
    if conversion.is_accepted:
        with open(os.path.join(draft, "model.onnx"), "wb") as file:
            file.write(onnx)
    package = {
        "format": FORMAT,
        "version": str(spec["version"]),
        "engine": engine,
        "task": signature["task"],
        "signature": signature,
        "input_example": _read_json(artifacts, EXAMPLE, default=[]),
        "conversion": conversion.told(),
        "outputs": dict(OUTPUTS[signature["task"]]),
        "packages": _read_json(artifacts, PACKAGES, default={}),
    }
    _write_json(draft, "package.json", package)
    files = {name: sha256(os.path.join(draft, name)) for name in sorted(_names(draft))}
    _write_json(draft, "files.json", files)
    size = sum(os.path.getsize(os.path.join(draft, name)) for name in _names(draft))
    kept = ("engine", "signature", "input_example", "conversion", "packages")
    return {**{name: package[name] for name in kept}, "files": files, "size_bytes": size}


def _empty(draft: str) -> None:
    for name in os.listdir(draft):
        path = os.path.join(draft, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)


def _names(draft: str) -> list[str]:
    found = []
    for folder, _, names in os.walk(draft):
        found += [os.path.relpath(os.path.join(folder, name), draft) for name in names]
    return found


def _write_json(draft: str, name: str, value: Any) -> None:
    with open(os.path.join(draft, name), "w", encoding="utf-8") as file:
        json.dump(value, file)


def _say(conversion: Conversion) -> None:
    """For the job's log."""
    if conversion.is_accepted:
        text = (
            f"ONNX accepted: labels agree on {conversion.rows + conversion.edge_rows:,} rows, "
            f"the largest difference is {np.float64(conversion.max_abs_difference):.2g}.\n"
        )
    else:
        text = f"ONNX not accepted, the original will serve: {conversion.reason}\n"
    sys.stdout.write(text)

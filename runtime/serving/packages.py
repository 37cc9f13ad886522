"""Model packages: read, checked against their hashes, and turned into something that predicts."""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import orjson

from runtime.encoding import Encoder, Matrix, RowError

ONNX_FILE, NATIVE_FILE = "model.onnx", "native/native.pkl"
MAX_JSON_BYTES = 16 * 1024 * 1024

Raw = npt.NDArray[Any]


class PackageError(Exception):
    """The package cannot be served. The message says why."""


@dataclass(frozen=True)
class Package:
    """What `package.json` says. `output` is the model's output that is served: the probabilities,
    or the value."""

    path: str
    engine: str
    task: str
    signature: Mapping[str, Any]
    example: list[dict[str, Any]]
    output: str


class Predictor(Protocol):
    """A loaded model that answers at once. `label` says what runs it."""

    label: str

    def run(self, matrix: Matrix) -> Raw: ...

    def run_row(self, packed: bytes) -> Raw: ...


def read_package(path: str, key_columns: tuple[str, ...] = ()) -> Package:
    """Read and check a package. Raise PackageError when a file is missing or not the one listed.

    Columns in `key_columns` that the signature does not know are taken as texts.
    """
    data = _read_json(os.path.join(path, "package.json"))
    try:
        engine, signature = str(data["engine"]), dict(data["signature"])
        known = {each["name"] for each in [*signature["inputs"], *signature.get("keys", ())]}
        extra = [{"name": name, "kind": "text"} for name in key_columns if name not in known]
        signature["keys"] = [*signature.get("keys", ()), *extra]
        task = str(data.get("task") or signature["task"])
        outputs = dict(data.get("outputs") or {})
        output = str(outputs.get("probabilities" if task == "classification" else "value", ""))
        example = list(data.get("input_example") or [])
    except (KeyError, TypeError, ValueError) as error:
        raise PackageError(f"package.json is malformed: {error!r}.") from None
    if engine not in ("onnx", "native"):
        raise PackageError(f"No engine here is called {engine!r}.")
    if not signature["inputs"] or (task == "classification" and not signature.get("classes")):
        raise PackageError("The signature has no inputs, or no classes.")
    _check_hashes(path, ["package.json", ONNX_FILE if engine == "onnx" else NATIVE_FILE])
    return Package(path, engine, task, signature, example, output)


def _read_json(path: str) -> Any:
    name = os.path.basename(path)
    try:
        if os.path.getsize(path) > MAX_JSON_BYTES:
            raise PackageError(f"{name} is too large.")
        with open(path, "rb") as file:
            data = orjson.loads(file.read())
    except OSError as error:
        raise PackageError(f"{name} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise PackageError(f"{name} is not JSON: {error}.") from None
    if not isinstance(data, dict):
        raise PackageError(f"{name} is not an object.")
    return data


def _check_hashes(path: str, names: list[str]) -> None:
    listed = _read_json(os.path.join(path, "files.json"))
    for name in names:
        try:
            with open(os.path.join(path, name), "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise PackageError(f"{name} cannot be read: {error.strerror}.") from None
        if name in listed and listed[name] != digest:
            raise PackageError(f"{name} is not the file that was registered: its SHA-256 differs.")
        if name not in listed and name != "package.json":
            raise PackageError(f"{name} is not among the files that were registered.")


class OnnxPredictor:
    """An ONNX model, run in this process by one thread that never spins."""

    def __init__(self, package: Package) -> None:
        import onnxruntime

        # A self-hosted portal tells nobody what it runs.
        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                os.path.join(package.path, ONNX_FILE), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            # ONNX Runtime's exceptions share no base class but this.
            raise PackageError(f"ONNX Runtime cannot load the model: {error}") from None
        names = [each.name for each in self._session.get_outputs()]
        if package.output and package.output not in names:
            raise PackageError(f"The model has no output called {package.output!r}.")
        self._outputs = [package.output or names[-1]]
        self._input = self._session.get_inputs()[0].name
        # What the session's own `run` calls after checks that a signature has made already: a
        # quarter of the time of a small model.
        self._run = getattr(self._session, "_sess", self._session).run
        self._how = onnxruntime.RunOptions()
        self.label = f"ONNX Runtime {onnxruntime.__version__}"
        self.run_row = self._bind(len(package.signature["inputs"])) or self._run_plain

    def run(self, matrix: Matrix) -> Raw:
        answer: Raw = self._run(self._outputs, {self._input: matrix}, self._how)[0]
        return answer

    def _run_plain(self, packed: bytes) -> Raw:
        return self.run(np.frombuffer(packed, dtype=np.float32).reshape(1, -1))

    def _bind(self, width: int) -> Callable[[bytes], Raw] | None:
        """`run` for one packed row, in half the time: input and output always lie in the same two
        places, so the answer holds until the next call. For one thread. None if the model will
        not have it."""
        import onnxruntime

        given = np.zeros((1, width), dtype=np.float32)
        try:
            answer = np.zeros_like(self.run(given))
            binding = self._session.io_binding()
            binding.bind_cpu_input(self._input, given)
            place = onnxruntime.OrtValue.ortvalue_from_numpy(answer)
            binding.bind_ortvalue_output(self._outputs[0], place)
            session, bound = self._session._sess, binding._iobinding
            session.run_with_iobinding(bound, self._how)
            is_same = np.array_equal(answer, self.run(given), equal_nan=True)
        except Exception:
            # Whatever it is (they share no base class but this): the plain way is as right.
            return None
        run, how, room = session.run_with_iobinding, self._how, given.data.cast("B")

        def run_row(packed: bytes) -> Raw:
            room[:] = packed
            run(bound, how)
            return answer

        # The binding knows only addresses: what lies there must live as long as it does.
        self._bound = (binding, place, given, answer)
        return run_row if is_same else None


def check_example(package: Package, encoder: Encoder) -> Matrix:
    """The input example as a matrix, or a row of nothing where there is none."""
    if not package.example:
        return np.zeros((1, len(encoder.names)), dtype=np.float32)
    try:
        return encoder.encode_rows(package.example)
    except RowError as error:
        raise PackageError(f"The input example does not fit the signature: {error.text}") from None


def check_output(package: Package, raw: Raw, rows: int) -> None:
    """Raise PackageError unless the model answers in the shape its signature promises."""
    width = len(package.signature["classes"]) if package.task == "classification" else 1
    shape = tuple(raw.shape)
    if shape not in ((rows, width), (rows,) if width == 1 else (rows, width)):
        raise PackageError(f"The model answers in the shape {shape}, not {(rows, width)}.")
    if not np.isfinite(raw).all():
        raise PackageError("The model's answer to its input example is not a number.")

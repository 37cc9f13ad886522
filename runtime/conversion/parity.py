"""Does the ONNX form say what the original says? Tried on rows, judged by fixed limits."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.encoding import Matrix

MAX_DIFFERENCE = 1e-5
MIN_ROWS = 1000
MAX_ROWS = 100_000
EDGE_ROWS = 64
TIE = 1e-12
Answer = tuple[npt.NDArray[np.int64] | None, npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Conversion:
    """How the ONNX form did. `max_abs_difference` is of probabilities; of a regression's values it
    is relative to those above 1. `edge_rows` of `rows` have a field missing that may be."""

    is_accepted: bool
    reason: str = ""
    rows: int = 0
    max_abs_difference: float | None = None
    labels_equal: bool | None = None
    labels_different: int = 0
    edge_rows: int = 0

    def told(self) -> dict[str, Any]:
        return asdict(self)


def compare(original: Any, onnx: bytes, matrix: Matrix, signature: Mapping[str, Any]) -> Conversion:
    """Run both on `matrix`, and on rows of it with each nullable field missing. Accepted only
    when labels agree and differences are at most 1e-5, on 1,000 rows or more. Where two classes
    are equally likely, either is right."""
    is_classifier = signature["task"] == "classification"
    matrix = matrix[:MAX_ROWS]
    if len(matrix) < MIN_ROWS:
        text = (
            f"Only {len(matrix):,} validation rows are there to compare it on; "
            f"{MIN_ROWS:,} are needed."
        )
        return Conversion(False, text, rows=len(matrix))
    ours = ask_original(original, matrix, is_classifier=is_classifier)
    edges = _edge_rows(matrix, signature)
    try:
        at_edges = ask_original(original, edges, is_classifier=is_classifier)
    except ValueError:
        # The original itself refuses a missing value: there is nothing to agree with.
        edges, at_edges = edges[:0], (ours[0][:0] if ours[0] is not None else None, ours[1][:0])
    session = open_session(onnx)
    told = [_ask(session, each, is_classifier) for each in (matrix, edges) if len(each)]
    pairs = zip((ours, at_edges), told, strict=False)
    seen = [_differences(mine, theirs, is_classifier) for mine, theirs in pairs]
    return _judge(
        max(each[0] for each in seen), sum(each[1] for each in seen), len(matrix), len(edges)
    )


def _judge(difference: float, labels: int, rows: int, edges: int) -> Conversion:
    reason = ""
    if labels:
        reason = f"{labels:,} of {rows + edges:,} rows get another label from the ONNX form."
    elif not difference <= MAX_DIFFERENCE:
        reason = (
            f"The ONNX form's predictions differ by up to {difference:.3g}; "
            f"at most {MAX_DIFFERENCE:g} is allowed."
        )
    return Conversion(not reason, reason, rows, difference, labels == 0, labels, edges)


def _differences(mine: Answer, theirs: Answer, is_classifier: bool) -> tuple[float, int]:
    """The largest difference, and how many labels are not the same."""
    if mine[1].shape != theirs[1].shape:
        return float("inf"), len(mine[1])
    scale = 1.0 if is_classifier else np.maximum(1.0, np.abs(mine[1]))
    gaps = np.abs(mine[1] - theirs[1]) / scale
    worst = float(np.max(gaps)) if gaps.size else 0.0
    if mine[0] is None or theirs[0] is None:
        return worst, 0
    return worst, int(np.count_nonzero((mine[0] != theirs[0]) & ~_is_tie(mine[1], theirs[0])))


def _is_tie(probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> Any:
    """Where the original itself finds this label as likely as its own, but for the last digits of
    a double: which of them it names there is chance."""
    named = np.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0]
    return probabilities.max(axis=1) - named <= TIE


def ask_original(original: Any, matrix: Matrix, *, is_classifier: bool) -> Answer:
    """Labels as places among the classes, and probabilities; or None, and values."""
    if not len(matrix):
        return (np.empty(0, np.int64) if is_classifier else None), np.empty((0, 1))
    if not is_classifier:
        return None, np.asarray(original.predict(matrix), dtype=np.float64).reshape(-1, 1)
    probabilities = np.asarray(original.predict_proba(matrix), dtype=np.float64)
    classes = getattr(original, "classes_", None)
    if classes is None:
        return probabilities.argmax(axis=1), probabilities
    places = {each: place for place, each in enumerate(np.asarray(classes).tolist())}
    labels = np.asarray(original.predict(matrix)).tolist()
    return np.array([places.get(each, -1) for each in labels], np.int64), probabilities


def open_session(onnx: bytes) -> Any:
    """ONNX Runtime as serving runs it: one thread, quiet."""
    import onnxruntime

    # A self-hosted portal tells nobody what it runs.
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])


def _ask(session: Any, matrix: Matrix, is_classifier: bool) -> Answer:
    said = session.run(None, {"features": matrix})
    if not is_classifier:
        return None, np.asarray(said[0], dtype=np.float64).reshape(-1, 1)
    return np.asarray(said[0], np.int64), np.asarray(said[1], dtype=np.float64)


def _edge_rows(matrix: Matrix, signature: Mapping[str, Any]) -> Matrix:
    """A few rows again for each field that may be missing, with it missing; categories unseen."""
    made = []
    for place, each in enumerate(signature["inputs"]):
        if not each.get("is_nullable", True):
            continue
        rows = matrix[:EDGE_ROWS].copy()
        rows[:, place] = -1.0 if each["kind"] == "category" else np.nan
        made.append(rows)
    return np.concatenate(made) if made else matrix[:0]

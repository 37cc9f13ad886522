"""Makes model packages for tests, in the layout that registering makes. Run by the training
environment's Python: `make_package.py <folder> <shape>-<engine>…`, a folder below for each.
"""

import hashlib
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent.parent


SLOW = """type("SlowModel", (), {"predict": lambda self, matrix: (
    __import__("os")._exit(1) if (matrix[:, 0] == -1).any() else
    1 // 0 if (matrix[:, 0] == -2).any() else
    __import__("time").sleep(0.5 * len(matrix)) or matrix[:, 0].astype(float)
)})()"""


class Made:
    """Pickles as code that makes a model: half a second for each row; asked for -1 it ends its
    process, for -2 it fails."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return eval, (SLOW,)


def main(folder: Path, shape: str, engine: str) -> None:
    folder.mkdir(parents=True)
    (folder / "native").mkdir()
    model, signature, example = MAKERS[shape]()
    (folder / "native" / "native.pkl").write_bytes(pickle.dumps(model))
    if engine == "onnx":
        (folder / "model.onnx").write_bytes(convert(model, len(signature["inputs"])))
    is_classification = signature["task"] == "classification"
    package = {
        "format": 1,
        "version": folder.name,
        "engine": engine,
        "task": signature["task"],
        "signature": signature,
        "input_example": example,
        "outputs": {"label": "label", "probabilities": "probabilities"}
        if is_classification
        else {"value": "variable"},
    }
    (folder / "package.json").write_text(json.dumps(package))
    files = [path for path in folder.rglob("*") if path.is_file()]
    digests = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
    (folder / "files.json").write_text(json.dumps(digests))


def convert(model: Any, width: int) -> bytes:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    is_classifier = hasattr(model, "predict_proba")
    outputs = ["label", "probabilities"] if is_classifier else ["variable"]
    options = {id(model): {"zipmap": False}} if is_classifier else None
    made = to_onnx(
        model,
        initial_types=[("features", FloatTensorType([None, width]))],
        options=options,
        target_opset=17,
    )
    for place, name in enumerate(outputs):
        rename(made, made.graph.output[place].name, name)
    return bytes(made.SerializeToString())


def rename(made: Any, old: str, new: str) -> None:
    for node in made.graph.node:
        node.output[:] = [new if each == old else each for each in node.output]
        node.input[:] = [new if each == old else each for each in node.input]
    for output in made.graph.output:
        output.name = new if output.name == old else output.name


def classification() -> tuple[Any, dict[str, Any], list[dict[str, Any]]]:
    """Four inputs of every kind and two keys; two classes."""
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(1)
    matrix = np.column_stack(
        [rng.normal(size=300), rng.integers(0, 9, 300), rng.integers(0, 2, 300),
         rng.integers(-1, 3, 300)]
    ).astype(np.float32)  # fmt: skip
    target = (matrix[:, 0] + matrix[:, 1] / 4 + matrix[:, 2] > 1.5).astype(int)
    model = RandomForestClassifier(10, max_depth=4, random_state=1).fit(matrix, target)
    signature = {
        "task": "classification",
        "classes": ["0", "1"],
        "positive": "1",
        "inputs": [
            {"name": "spend", "kind": "number", "is_nullable": False},
            {"name": "visits", "kind": "integer", "is_nullable": False},
            {"name": "is_member", "kind": "boolean", "is_nullable": False},
            {"name": "age", "kind": "category", "categories": ["young", "middle", "old"]},
        ],
        "keys": [
            {"name": "household_id", "kind": "integer"},
            {"name": "week", "kind": "integer"},
        ],
    }
    row = {"spend": 0.5, "visits": 3, "is_member": True, "age": "old"}
    return model, signature, [row]


def regression() -> tuple[Any, dict[str, Any], list[dict[str, Any]]]:
    """Two numbers in, their sum out."""
    from sklearn.linear_model import LinearRegression

    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(50, 2)).astype(np.float32)
    model = LinearRegression().fit(matrix, matrix.sum(axis=1))
    inputs = [{"name": name, "kind": "number", "is_nullable": False} for name in ("a", "b")]
    signature = {"task": "regression", "inputs": inputs, "keys": []}
    return model, signature, [{"a": 1.0, "b": 2.0}]


def wide() -> tuple[Any, dict[str, Any], list[dict[str, Any]]]:
    """The benchmark's model: gradient boosting on thirty numbers."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import GradientBoostingClassifier

    data = load_breast_cancer()
    matrix = data.data.astype(np.float32)
    model = GradientBoostingClassifier(random_state=0).fit(matrix, data.target)
    names = [f"feature_{place}" for place in range(30)]
    signature = {
        "task": "classification",
        "classes": ["0", "1"],
        "positive": "1",
        "inputs": [{"name": name, "kind": "number", "is_nullable": False} for name in names],
        "keys": [{"name": "household_id", "kind": "integer"}],
    }
    rows = [dict(zip(names, map(float, row), strict=True)) for row in matrix[:5]]
    return model, signature, rows


def slow() -> tuple[Any, dict[str, Any], list[dict[str, Any]]]:
    inputs = [{"name": "a", "kind": "number", "is_nullable": False}]
    return Made(), {"task": "regression", "inputs": inputs, "keys": []}, [{"a": 1.0}]


MAKERS = {
    "classification": classification,
    "regression": regression,
    "wide": wide,
    "slow": slow,
}

if __name__ == "__main__":
    for name in sys.argv[2:]:
        main(Path(sys.argv[1]) / name, *name.split("-"))

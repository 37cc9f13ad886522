"""A run's artifacts for tests, as a training leaves them. Run as a file in .envs/train:

`python tests/registry/making.py <folder> <algorithm> <rows>`
"""

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np

NAMES = ["spend", "visits", "age"]
CATEGORIES = ["old", "young"]


def make_rows(rows: int, seed: int = 0) -> tuple[Any, Any]:
    draw = np.random.default_rng(seed)
    matrix = np.column_stack(
        [draw.normal(size=rows), draw.integers(0, 9, rows), draw.integers(-1, 2, rows)]
    ).astype(np.float32)
    matrix[draw.random(rows) < 0.05, 0] = np.nan
    score = np.nan_to_num(matrix[:, 0]) + 0.2 * matrix[:, 1] - matrix[:, 2]
    return matrix, (score + draw.normal(size=rows) > 0.5).astype(int)


def make_model(name: str, matrix: Any, target: Any) -> Any:
    import lightgbm
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    if name == "wrong":
        # What it answers hangs on digits that float32 has not: its ONNX form must differ.
        model = make_model("logistic", matrix, target)
        model[-1].coef_ = np.array([[1.0, 1e6 / 3, 0.0]])
        model[-1].intercept_ = np.array([-4e6 / 3])
        return model
    models: dict[str, Any] = {
        "prior": DummyClassifier(strategy="prior"),
        "logistic": make_pipeline(SimpleImputer(), LogisticRegression()),
        "forest": make_pipeline(SimpleImputer(), RandomForestClassifier(20, random_state=0)),
        "boosting": HistGradientBoostingClassifier(
            max_iter=20, random_state=0, categorical_features=[2]
        ),
        "lightgbm": lightgbm.LGBMClassifier(n_estimators=20, verbose=-1),
    }
    return models[name].fit(matrix, target)


def write_validation(path: Path, matrix: Any, target: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = [None if code < 0 else CATEGORIES[int(code)] for code in matrix[:, 2]]
    spend = [None if np.isnan(value) else float(value) for value in matrix[:, 0]]
    columns = {"spend": spend, "visits": matrix[:, 1].astype(int), "age": texts}
    table = pa.table({**columns, "household_id": np.arange(len(matrix)), "churned": target})
    pq.write_table(table, path)


SIGNATURE = {
    "task": "classification",
    "classes": ["0", "1"],
    "positive": "1",
    "inputs": [
        {"name": "spend", "kind": "number", "is_nullable": True},
        {"name": "visits", "kind": "integer", "is_nullable": False},
        {"name": "age", "kind": "category", "is_nullable": True, "categories": CATEGORIES},
    ],
    "keys": [{"name": "household_id", "kind": "integer"}],
}


def main(folder: Path, algorithm: str, rows: int) -> None:
    (folder / "model").mkdir(parents=True, exist_ok=True)
    model = make_model(algorithm, *make_rows(5_000))
    (folder / "model" / "native.pkl").write_bytes(pickle.dumps(model))
    write_validation(folder / "model" / "validation.parquet", *make_rows(rows, 1))
    written = {
        "model/signature.json": SIGNATURE,
        "model/input_example.json": [{"spend": 1.5, "visits": 2, "age": "old"}],
        "model/reference.json": {"version": 1, "rows": 0, "columns": {}},
        "packages.json": {"numpy": np.__version__},
    }
    for name, value in written.items():
        (folder / name).write_text(json.dumps(value))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))

"""A run's artifacts for tests, as a training leaves them. Run as a file in .envs/train:

`python tests/registry/making.py <folder> <algorithm> <rows>`
"""

import json
import os
import sys

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NAMES = ["spend", "visits", "age"]
CATEGORIES = ["old", "young"]


def make_rows(rows, seed=0):
    draw = np.random.default_rng(seed)
    matrix = np.column_stack(
        [draw.normal(size=rows), draw.integers(0, 9, rows), draw.integers(-1, 2, rows)]
    ).astype(np.float32)
    matrix[draw.random(rows) < 0.05, 0] = np.nan
    score = np.nan_to_num(matrix[:, 0]) + 0.2 * matrix[:, 1] - matrix[:, 2]
    return matrix, (score + draw.normal(size=rows) > 0.5).astype(int)


def make_model(name, matrix, target):
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
    models = {
        "prior": DummyClassifier(strategy="prior"),
        "logistic": make_pipeline(SimpleImputer(), LogisticRegression()),
        "forest": make_pipeline(SimpleImputer(), RandomForestClassifier(20, random_state=0)),
        "boosting": HistGradientBoostingClassifier(
            max_iter=20, random_state=0, categorical_features=[2]
        ),
        "lightgbm": lightgbm.LGBMClassifier(n_estimators=20, verbose=-1),
    }
    return models[name].fit(matrix, target)


def write_validation(path, matrix, target):
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


def main(folder, algorithm, rows):
    import joblib

    os.makedirs(os.path.join(folder, "model"), exist_ok=True)
    matrix, target = make_rows(5_000)
    model = make_model(algorithm, matrix, target)
    joblib.dump(model, os.path.join(folder, "model", "native.pkl"))
    write_validation(os.path.join(folder, "model", "validation.parquet"), *make_rows(rows, 1))
    written = {
        "model/signature.json": SIGNATURE,
        "model/input_example.json": [{"spend": 1.5, "visits": 2, "age": "old"}],
        "model/reference.json": {"version": 1, "rows": 0, "columns": {}},
        "packages.json": {"numpy": np.__version__},
    }
    for name, value in written.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(value, file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

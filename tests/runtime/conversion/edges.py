"""How models and their ONNX forms agree where rounding would show: on thresholds and beside them,
and with every value missing. Run as a file in .envs/train; prints JSON."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from runtime.conversion.forms import to_onnx
from runtime.conversion.parity import ask_original, compare, open_session
from runtime.conversion.trees import floor32

WIDTH = 4


def make_data(rows: int = 4_000) -> tuple[Any, Any]:
    """Prices in cents, counts, a feature that is never missing in training, and a category."""
    draw = np.random.default_rng(7)
    columns = [draw.integers(1, 9_999, rows) / 100, draw.integers(0, 9, rows)]
    columns += [draw.normal(size=rows), draw.integers(-1, 6, rows)]
    matrix = np.column_stack(columns).astype(np.float32)
    matrix[draw.random(rows) < 0.1, 0] = np.nan
    score = np.nan_to_num(matrix[:, 0]) / 50 + matrix[:, 2] - (matrix[:, 3] == 2)
    return matrix, score + draw.normal(size=rows)


def make_models(matrix: Any, score: Any) -> dict[str, tuple[Any, bool]]:
    import lightgbm
    from sklearn import ensemble

    two, three = (score > 1).astype(int), np.digitize(score, [0, 2])
    text = {"categorical_features": [3]}
    made = {
        "forest": (ensemble.RandomForestClassifier(20, random_state=0), two),
        "forest-3": (ensemble.RandomForestClassifier(9, min_samples_leaf=3, random_state=2), three),
        "forest-values": (ensemble.RandomForestRegressor(9, random_state=0), score),
        "boosting": (ensemble.HistGradientBoostingClassifier(max_iter=30), two),
        "boosting-categories": (ensemble.HistGradientBoostingClassifier(max_iter=30, **text), two),
        "boosting-3": (ensemble.HistGradientBoostingClassifier(max_iter=20, **text), three),
        "boosting-values": (ensemble.HistGradientBoostingRegressor(**text), score),
        "boosting-counts": (
            ensemble.HistGradientBoostingRegressor(max_iter=30, loss="poisson"),
            two,
        ),
        "lightgbm": (lightgbm.LGBMClassifier(n_estimators=50, verbose=-1), two),
        "lightgbm-3": (lightgbm.LGBMClassifier(n_estimators=20, verbose=-1), three),
        "lightgbm-values": (lightgbm.LGBMRegressor(n_estimators=50, verbose=-1), score),
    }
    return {
        name: (model.fit(matrix, target), hasattr(model, "predict_proba"))
        for name, (model, target) in made.items()
    }


def thresholds_of(model: Any) -> list[tuple[int, float]]:
    """Feature and threshold of some splits by size, as the library keeps them."""
    found: list[tuple[int, float]] = []
    if hasattr(model, "estimators_"):
        for each in model.estimators_:
            tree = each.tree_
            is_split = tree.children_left >= 0
            found += zip(tree.feature[is_split], tree.threshold[is_split], strict=True)
    elif hasattr(model, "_predictors"):
        for each in (one for stage in model._predictors for one in stage):
            nodes = each.nodes
            is_split = (nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 0)
            split = nodes[is_split]
            if model.is_categorical_ is None:
                found += zip(split["feature_idx"], split["num_threshold"], strict=True)
    else:
        frame = model.booster_.dump_model()["tree_info"]
        found += [each for tree in frame for each in _splits(tree["tree_structure"])]
    # A split by nothing but what is missing has no threshold.
    found = [each for each in found if np.isfinite(each[1])]
    draw = np.random.default_rng(0)
    return [found[place] for place in draw.permutation(len(found))[:500]]


def _splits(node: Any) -> list[tuple[int, float]]:
    if "threshold" not in node:
        return []
    below = [*_splits(node["left_child"]), *_splits(node["right_child"])]
    return [(node["split_feature"], float(node["threshold"])), *below]


def edge_rows(model: Any, matrix: Any) -> Any:
    """Rows with one value moved onto a threshold, to its neighbours, or away."""
    made = []
    for number, (feature, threshold) in enumerate(thresholds_of(model)):
        at = floor32(threshold)
        for value in (at, np.nextafter(at, np.float32(np.inf)), np.float32(threshold), np.nan):
            row = matrix[number % len(matrix)].copy()
            row[feature] = value
            made.append(row)
    return np.array(made, dtype=np.float32).reshape(-1, WIDTH)


def look_at(model: Any, is_classifier: bool, matrix: Any) -> dict[str, Any]:
    signature = {
        "task": "classification" if is_classifier else "regression",
        "inputs": [{"name": str(n), "kind": "number", "is_nullable": True} for n in range(WIDTH)],
    }
    onnx = to_onnx(model, width=WIDTH, is_classifier=is_classifier)
    rows = np.concatenate([matrix, edge_rows(model, matrix)])
    told = compare(model, onnx, accepted_by(model, rows, is_classifier), signature).told()
    session = open_session(onnx)
    outputs = [each.name for each in session.get_outputs()]
    return {**told, "outputs": outputs, "inputs": [each.name for each in session.get_inputs()]}


def accepted_by(model: Any, rows: Any, is_classifier: bool) -> Any:
    """All rows, or those without a missing value where the model had none in training."""
    try:
        ask_original(model, rows[-4:], is_classifier=is_classifier)
    except ValueError:
        return rows[~np.isnan(rows).any(axis=1)]
    return rows


def main() -> None:
    matrix, score = make_data()
    models = make_models(matrix, score)
    told = {name: look_at(*each, matrix) for name, each in models.items()}
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main()

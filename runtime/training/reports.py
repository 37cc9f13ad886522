"""What charts are drawn from: plain JSON, small whatever the rows."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from runtime.encoding import Matrix
from runtime.training.models import Learner
from runtime.training.rows import Floats
from runtime.training.scores import score

MAX_POINTS = 200
MAX_CURVES = 10
BINS = 10
IMPORTANCE_ROWS = 5_000
RESIDUAL_BINS = 40
RESIDUAL_POINTS = 500
IMPORTANCE_REPEATS = 3
Report = dict[str, Any]


def reports_of(
    y: Floats, predicted: Floats, *, classes: Sequence[str], positive: int
) -> dict[str, Report]:
    """Every report of one part, by name."""
    if not classes:
        return {"residuals": _residuals(y, predicted)}
    labels = predicted.argmax(axis=1)
    told = [positive] if len(classes) == 2 else range(min(len(classes), MAX_CURVES))
    truths = {classes[place]: (y == place, predicted[:, place]) for place in told}
    curves = {name: of for name, of in truths.items() if of[0].any() and not of[0].all()}
    return {
        "confusion": _confusion(y, labels, classes),
        "roc": {"curves": {name: _roc(*of) for name, of in curves.items()}},
        "pr": {"curves": {name: _pr(*of) for name, of in curves.items()}},
        "calibration": _calibration(y, predicted, labels, positive),
    }


def _confusion(y: Floats, labels: Any, classes: Sequence[str]) -> Report:
    """`counts[true class][predicted class]`."""
    count = len(classes)
    cells = np.bincount(y.astype(int) * count + labels, minlength=count * count)
    return {"classes": list(classes), "counts": cells.reshape(count, count).tolist()}


def _thin(count: int) -> Any:
    """Places of at most so many points, first and last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, MAX_POINTS)).round().astype(int))


def _roc(truth: Any, probability: Floats) -> Report:
    from sklearn.metrics import roc_curve

    fpr, tpr, thresholds = roc_curve(truth, probability)
    kept = _thin(len(fpr))
    return {
        "fpr": fpr[kept].tolist(),
        "tpr": tpr[kept].tolist(),
        "thresholds": np.minimum(thresholds[kept], 1.0).tolist(),
    }


def _pr(truth: Any, probability: Floats) -> Report:
    from sklearn.metrics import precision_recall_curve

    precision, recall, thresholds = precision_recall_curve(truth, probability)
    kept = _thin(len(precision))
    return {
        "precision": precision[kept].tolist(),
        "recall": recall[kept].tolist(),
        "thresholds": np.append(thresholds, 1.0)[kept].tolist(),
        "share": float(np.mean(truth)),
    }


def _calibration(y: Floats, predicted: Floats, labels: Any, positive: int) -> Report:
    """Of two classes, the positive's probability; of more, whether the likeliest was right."""
    if predicted.shape[1] == 2:
        said, truth = predicted[:, positive], y == positive
    else:
        said, truth = predicted.max(axis=1), y == labels
    place = np.minimum((said * BINS).astype(int), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    safe = np.maximum(count, 1)
    return {
        "edges": np.linspace(0, 1, BINS + 1).tolist(),
        "counts": count.tolist(),
        "predicted": (np.bincount(place, said, BINS) / safe).tolist(),
        "observed": (np.bincount(place, truth, BINS) / safe).tolist(),
    }


def _residuals(y: Floats, predicted: Floats) -> Report:
    """Truth less prediction."""
    left = y - predicted
    counts, edges = np.histogram(left, bins=RESIDUAL_BINS)
    kept = np.linspace(0, len(y) - 1, min(len(y), RESIDUAL_POINTS)).astype(int)
    shares = (0.05, 0.25, 0.5, 0.75, 0.95)
    return {
        "edges": edges.tolist(),
        "counts": counts.tolist(),
        "quantiles": {f"{q:g}": float(np.quantile(left, q)) for q in shares},
        "points": {"actual": y[kept].tolist(), "predicted": predicted[kept].tolist()},
    }


def importance(
    learner: Learner, model: Any, x: Matrix, y: Floats, names: Sequence[str], positive: int
) -> Report:
    """The algorithm's own where it has one, else by shuffling a column: what its loss costs."""
    last = getattr(model, "named_steps", {}).get("model", model)
    own = getattr(last, "feature_importances_", None)
    if own is not None:
        values = np.asarray(own, dtype=np.float64)
        total = float(values.sum())
        shares = (values / total if total else values).tolist()
        return {"method": "native", "features": _ranked(names, shares)}
    draw = np.random.default_rng(learner.seed)
    kept = np.sort(draw.permutation(len(y))[:IMPORTANCE_ROWS])
    few, truth = x[kept], y[kept]
    metric, rate = _rate(learner, positive)
    whole = rate(truth, learner.predict(model, few))
    losses = []
    for place in range(len(names)):
        shuffled = few.copy()
        found = []
        for _ in range(IMPORTANCE_REPEATS):
            shuffled[:, place] = few[draw.permutation(len(few)), place]
            found.append(whole - rate(truth, learner.predict(model, shuffled)))
        losses.append(float(np.mean(found)))
    return {"method": "permutation", "metric": metric, "features": _ranked(names, losses)}


def _rate(learner: Learner, positive: int) -> tuple[str, Callable[[Floats, Floats], float]]:
    metric = "auc" if learner.is_classes else "r2"

    def rate(y: Floats, predicted: Floats) -> float:
        made = score(y, predicted, class_count=learner.class_count, positive=positive)
        return made.get(metric, 0.0)

    return metric, rate


def _ranked(names: Sequence[str], values: Sequence[float]) -> list[Mapping[str, Any]]:
    order = sorted(range(len(names)), key=lambda place: (-values[place], names[place]))
    return [{"name": names[place], "importance": values[place]} for place in order]

"""Metrics. Classification: of the positive class where there are two, else the classes' mean,
each against the rest. Labels are those of the greatest probability, as in serving.

Computed by scikit-learn on the very doubles that are stored as predictions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.training.rows import Floats

Scores = dict[str, float]


def score(y: Floats, predicted: Floats, *, class_count: int, positive: int) -> Scores:
    """Every metric that is defined. `predicted`: probabilities [rows, classes], or numbers."""
    if not class_count:
        return score_numbers(y, predicted)
    return score_classes(y.astype(np.int64), predicted, positive=positive)


def score_classes(y: npt.NDArray[np.int64], predicted: Floats, *, positive: int) -> Scores:
    from sklearn import metrics

    count = predicted.shape[1]
    labels = predicted.argmax(axis=1)
    made = {
        "log_loss": metrics.log_loss(y, predicted, labels=list(range(count))),
        "accuracy": metrics.accuracy_score(y, labels),
        **_ranked(y, predicted, positive),
    }
    if count == 2:
        how: dict[str, Any] = {"pos_label": positive, "average": "binary"}
        made["brier"] = float(np.mean((predicted[:, positive] - (y == positive)) ** 2))
    else:
        how = {"average": "macro", "labels": list(range(count))}
        made["brier"] = float(np.mean(((predicted - np.eye(count)[y]) ** 2).sum(axis=1)))
    for name in ("f1", "precision", "recall"):
        made[name] = getattr(metrics, f"{name}_score")(y, labels, zero_division=0.0, **how)
    return {name: float(value) for name, value in made.items()}


def _ranked(y: npt.NDArray[np.int64], predicted: Floats, positive: int) -> Scores:
    """AUC and average precision. A class that no row or every row has is left out."""
    from sklearn import metrics

    places = [positive] if predicted.shape[1] == 2 else range(predicted.shape[1])
    is_class = [(y == place, predicted[:, place]) for place in places]
    told = [(truth, p) for truth, p in is_class if truth.any() and not truth.all()]
    if not told:
        return {}
    return {
        "auc": float(np.mean([metrics.roc_auc_score(truth, p) for truth, p in told])),
        "average_precision": float(
            np.mean([metrics.average_precision_score(truth, p) for truth, p in told])
        ),
    }


def score_numbers(y: Floats, predicted: Floats) -> Scores:
    from sklearn import metrics

    made = {
        "rmse": metrics.root_mean_squared_error(y, predicted),
        "mae": metrics.mean_absolute_error(y, predicted),
    }
    if len(y) > 1 and (y != y[0]).any():
        made["r2"] = metrics.r2_score(y, predicted)
    if (y != 0).all():
        made["mape"] = metrics.mean_absolute_percentage_error(y, predicted)
    return {name: float(value) for name, value in made.items()}


def main_prediction(predicted: Floats, *, class_count: int, positive: int) -> Floats:
    """What is told of a row: the positive class's probability, the predicted class's, a number."""
    if not class_count:
        return predicted
    return predicted[:, positive] if class_count == 2 else predicted.max(axis=1)


def naive_baselines(
    y: Mapping[str, Floats],
    columns: Mapping[str, Mapping[str, Floats]],
    named: Sequence[str],
    *,
    class_count: int,
    positive: int,
) -> tuple[Scores, dict[str, Any]]:
    """What needs no model, scored on every part but `train`, which alone decides its direction.

    `y` and each of `columns` are by part, `train` first. Metrics are `baseline.<name>.<metric>` on
    the last part; the report tells all of them.
    """
    makers = _NUMBERS if not class_count else _CLASSES
    report: dict[str, Any] = {}
    makers(y, columns, named, report, class_count, positive)
    last = list(y)[-1]
    told = {
        f"baseline.{name}.{metric}": value
        for name, parts in report.items()
        for metric, value in parts["splits"].get(last, {}).items()
    }
    return told, report


def _for_classes(
    y: Mapping[str, Floats],
    columns: Mapping[str, Mapping[str, Floats]],
    named: Sequence[str],
    report: dict[str, Any],
    class_count: int,
    positive: int,
) -> None:
    shares = np.bincount(y["train"].astype(int), minlength=class_count) / len(y["train"])
    parts = list(y)[1:]
    report["prior"] = {"splits": {}, "shares": shares.tolist()}
    for part in parts:
        guess = np.tile(shares, (len(y[part]), 1))
        all_scores = score(y[part], guess, class_count=class_count, positive=positive)
        kept = ("auc", "log_loss", "brier", "accuracy")
        report["prior"]["splits"][part] = {k: all_scores[k] for k in kept if k in all_scores}
    if class_count != 2:
        return
    aucs = {name: auc_of(y["train"] == positive, of["train"]) for name, of in columns.items()}
    ranked = sorted(aucs, key=lambda name: (-abs(aucs[name] - 0.5), name))
    for title, name in [("best_feature", ranked[0])] * bool(ranked) + [(n, n) for n in named]:
        sign = 1.0 if aucs[name] >= 0.5 else -1.0
        middle = float(np.nanmedian(columns[name]["train"]))
        report[title] = {"column": name, "is_rising": sign > 0, "splits": {}}
        for part in parts:
            filled = np.nan_to_num(columns[name][part], nan=middle) * sign
            report[title]["splits"][part] = {"auc": auc_of(y[part] == positive, filled)}


def _for_numbers(
    y: Mapping[str, Floats],
    columns: Mapping[str, Mapping[str, Floats]],
    named: Sequence[str],
    report: dict[str, Any],
    class_count: int,
    positive: int,
) -> None:
    parts = list(y)[1:]
    mean = float(y["train"].mean())
    report["mean"] = {
        "splits": {part: score_numbers(y[part], np.full(len(y[part]), mean)) for part in parts}
    }
    lines = {name: _line(of["train"], y["train"]) for name, of in columns.items()}
    ranked = sorted(lines, key=lambda name: (lines[name][3], name))
    for title, name in [("best_feature", ranked[0])] * bool(ranked) + [(n, n) for n in named]:
        slope, start, middle, _ = lines[name]
        if title in named:  # the column itself is the guess, as last week's sales are
            slope, start = 1.0, 0.0
        report[title] = {"column": name, "slope": slope, "intercept": start, "splits": {}}
        for part in parts:
            guess = start + slope * np.nan_to_num(columns[name][part], nan=middle)
            report[title]["splits"][part] = score_numbers(y[part], guess)


_CLASSES, _NUMBERS = _for_classes, _for_numbers


def _line(x: Floats, y: Floats) -> tuple[float, float, float, float]:
    """Least squares on one column: slope, intercept, the median for what is missing, error."""
    middle = float(np.nanmedian(x))
    filled = np.nan_to_num(x, nan=middle)
    spread = filled.var()
    slope = float(np.mean((filled - filled.mean()) * (y - y.mean())) / spread) if spread else 0.0
    start = float(y.mean() - slope * filled.mean())
    return slope, start, middle, float(np.mean((y - start - slope * filled) ** 2))


def auc_of(truth: npt.NDArray[np.bool_], values: Floats) -> float:
    """By ranks, ties in the middle; missing at the median. 0.5 where it is not defined."""
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives or np.isnan(values).all():
        return 0.5
    filled = np.nan_to_num(values, nan=float(np.nanmedian(values)))
    _, inverse, counts = np.unique(filled, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))

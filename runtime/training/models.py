"""The algorithms. Each becomes one estimator that takes the encoder's float32 matrix (numbers
missing as NaN, categories as places, -1 unknown) and converts to ONNX.

The trees take categories as numbers, -1 included; linear models take them one-hot, unknown as no
one's. Results are the same for the same seed, on any number of threads.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.encoding import Matrix
from runtime.training.rows import Floats

Curve = tuple[str, int, float]
Fitted = tuple[Any, list[Curve]]
TELL_SECONDS = 2.0
# Forests grow in so many parts, whatever the threads: so the seed alone decides the trees.
FOREST_PARTS = 8


class Learner:
    """One algorithm with its settings; `fit` gives a fitted estimator and its curves."""

    def __init__(self, asked: Mapping[str, Any], signature: Mapping[str, Any], threads: int):
        self.settings: Mapping[str, Any] = asked["settings"]
        self.seed, self.threads = int(asked["seed"]), threads
        self.is_classes = asked["task"] == "classification"
        self.class_count = len(signature.get("classes", ()))
        self.inputs: Sequence[Mapping[str, Any]] = signature["inputs"]
        self._fit = FITS[asked["algorithm"]]

    @property
    def stops_early(self) -> bool:
        return int(self.settings.get("patience", 0)) > 0

    def fit(self, x: Matrix, y: Floats, held_x: Matrix, held_y: Floats) -> Fitted:
        """`held_x`, `held_y`: the rows that early stopping looks at; may be empty."""
        return self._fit(self, x, self._target(y), held_x, self._target(held_y))

    def predict(self, model: Any, x: Matrix) -> Floats:
        """Probabilities, a column for each class; or the numbers."""
        made = model.predict_proba(x) if self.is_classes else model.predict(x)
        return np.asarray(made, dtype=np.float64)

    def _target(self, y: Floats) -> npt.NDArray[Any]:
        return y.astype(np.int64) if self.is_classes else y


def _linear(learner: Learner, x: Matrix, y: Any, held_x: Matrix, held_y: Any) -> Fitted:
    from sklearn.linear_model import LogisticRegression, Ridge

    told = learner.settings
    if learner.is_classes:
        weight = "balanced" if told["balanced"] else None
        last = LogisticRegression(C=told["c"], max_iter=told["max_iter"], class_weight=weight)
    else:
        last = Ridge(alpha=told["alpha"], solver="cholesky" if told["alpha"] else "svd")
    model = _encoded(learner.inputs, last)
    # In float64 the solver converges; what it found is used on float32, as in serving.
    model.fit(x.astype(np.float64), y)
    iterations = getattr(last, "n_iter_", None)
    if iterations is not None and int(np.max(iterations)) >= told.get("max_iter", np.inf):
        say(f"Stopped at {told['max_iter']} iterations, not converged: raise max_iter.")
    return model, []


def _encoded(inputs: Sequence[Mapping[str, Any]], last: Any) -> Any:
    """Numbers: the median where missing, then scaled. Categories: one column each."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    is_text = [each["kind"] == "category" for each in inputs]
    numbers = [place for place, text in enumerate(is_text) if not text]
    texts = [place for place, text in enumerate(is_text) if text]
    parts: list[Any] = []
    if numbers:
        impute = SimpleImputer(strategy="median", keep_empty_features=True)
        parts.append(
            ("numbers", Pipeline([("impute", impute), ("scale", StandardScaler())]), numbers)
        )
    if texts:
        known = [np.arange(len(inputs[place]["categories"]), dtype=np.float64) for place in texts]
        one_hot = OneHotEncoder(
            categories=known, handle_unknown="ignore", sparse_output=False, dtype=np.float32
        )
        parts.append(("categories", one_hot, texts))
    return Pipeline([("encode", ColumnTransformer(parts)), ("model", last)])


def _forest(learner: Learner, x: Matrix, y: Any, held_x: Matrix, held_y: Any) -> Fitted:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline

    told = learner.settings
    settings = {name: told[name] for name in ("max_depth", "min_samples_leaf", "max_features")}
    kind: Any = RandomForestRegressor
    if learner.is_classes:
        kind = RandomForestClassifier
        settings["class_weight"] = "balanced" if told["balanced"] else None
    impute = SimpleImputer(strategy="median", keep_empty_features=True)
    filled = impute.fit_transform(x)
    sizes = [len(part) for part in np.array_split(range(told["trees"]), FOREST_PARTS) if len(part)]
    seeds = np.random.SeedSequence(learner.seed).generate_state(len(sizes))

    def grow(size: int, seed: int) -> Any:
        return kind(n_estimators=size, random_state=int(seed), **settings).fit(filled, y)

    # joblib needs semaphores in /dev/shm, which a confined process has not; trees free the GIL.
    with ThreadPoolExecutor(learner.threads) as pool:
        parts = list(pool.map(grow, sizes, seeds))
    forest = parts[0]
    forest.estimators_ = [tree for part in parts for tree in part.estimators_]
    forest.n_estimators = len(forest.estimators_)
    return Pipeline([("impute", impute), ("model", forest)]), []


def _hist(learner: Learner, x: Matrix, y: Any, held_x: Matrix, held_y: Any) -> Fitted:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    told = learner.settings
    has_held = len(held_y) > 0 and learner.stops_early
    kind: Any = HistGradientBoostingRegressor
    if learner.is_classes:
        kind = HistGradientBoostingClassifier
    model = kind(
        max_iter=told["iterations"],
        learning_rate=told["learning_rate"],
        max_leaf_nodes=told["max_leaves"],
        min_samples_leaf=told["min_samples_leaf"],
        l2_regularization=told["l2"],
        early_stopping=has_held,
        n_iter_no_change=told["patience"] or 1,
        scoring="loss",
        random_state=learner.seed,
    )
    held = {"X_val": held_x, "y_val": held_y} if has_held else {}
    model.fit(x, y, **held)
    name = "log_loss" if learner.is_classes else "loss"
    curves: list[Curve] = []
    for part, scores in (("train", model.train_score_), ("validation", model.validation_score_)):
        told_scores = scores if has_held else []
        curves += [(f"curve.{part}.{name}", k, -float(v)) for k, v in enumerate(told_scores)]
    return model, curves


def _lightgbm(learner: Learner, x: Matrix, y: Any, held_x: Matrix, held_y: Any) -> Fitted:
    import lightgbm

    told = learner.settings
    kind = lightgbm.LGBMClassifier if learner.is_classes else lightgbm.LGBMRegressor
    model = kind(
        n_estimators=told["iterations"],
        learning_rate=told["learning_rate"],
        num_leaves=told["max_leaves"],
        min_child_samples=told["min_samples_leaf"],
        reg_lambda=told["l2"],
        reg_alpha=told["l1"],
        colsample_bytree=told["feature_fraction"],
        subsample=told["bagging_fraction"],
        subsample_freq=1 if told["bagging_fraction"] < 1 else 0,
        random_state=learner.seed,
        n_jobs=learner.threads,
        importance_type="gain",
        deterministic=True,
        force_col_wise=True,
        verbose=-1,
    )
    if not len(held_y):
        return model.fit(x, y), []
    seen: dict[str, dict[str, list[float]]] = {}
    callbacks = [lightgbm.record_evaluation(seen), _progress(told["iterations"])]
    if learner.stops_early:
        stop = lightgbm.early_stopping(told["patience"], first_metric_only=True, verbose=False)
        callbacks.append(stop)
    names = _lightgbm_metrics(learner)
    model.fit(
        x, y, eval_set=[(held_x, held_y)], eval_metric=list(names), callbacks=callbacks,
    )  # fmt: skip
    curves = [
        # Its own sums depend on the threads, in the last digit.
        (f"curve.validation.{names[metric]}", k, float(f"{value:.12g}"))
        for metric, values in seen.get("valid_0", {}).items()
        if metric in names
        for k, value in enumerate(values)
    ]
    return model, curves


def _lightgbm_metrics(learner: Learner) -> dict[str, str]:
    """LightGBM's names and ours; the first decides when to stop."""
    if not learner.is_classes:
        return {"rmse": "rmse", "l1": "mae"}
    if learner.class_count > 2:
        return {"multi_logloss": "log_loss"}
    return {"binary_logloss": "log_loss", "auc": "auc"}


def _progress(iterations: int) -> Callable[[Any], None]:
    """Says how far it is, at most every two seconds."""
    last = time.monotonic()

    def tell(env: Any) -> None:
        nonlocal last
        if time.monotonic() - last >= TELL_SECONDS:
            last = time.monotonic()
            value = env.evaluation_result_list[0][2]
            say(f"Tree {env.iteration + 1} of {iterations}: validation {value:.5f}")

    return tell


def say(text: str) -> None:
    """A line of the job's log."""
    print(text, flush=True)  # noqa: T201


FITS: Mapping[str, Callable[..., Fitted]] = {
    "logistic": _linear,
    "linear": _linear,
    "random-forest": _forest,
    "hist-gradient-boosting": _hist,
    "lightgbm": _lightgbm,
}

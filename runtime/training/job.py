"""One training from spec to outputs. See `runtime.documents.training` for what may be asked.

The spec: {"files": Parquet files of the dataset version, "folder": the run's own, "definition",
"threads"}. The outputs: metrics as [key, step, value], params, artifacts with their hashes,
packages, the code's digest and notes. Begun again, it comes to the same.
"""

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from runtime.drift.histograms import PREDICTION, build_reference
from runtime.encoding import Encoder, Matrix
from runtime.training import artifacts, reports
from runtime.training.leaks import constant, refuse_leaks
from runtime.training.models import Curve, Learner, say
from runtime.training.rows import (
    Features,
    Floats,
    Places,
    Rows,
    Values,
    as_numbers,
    choose_features,
    columns_of,
    json_rows,
    kind_of,
    positive_place,
    read_rows,
)
from runtime.training.scores import main_prediction, naive_baselines, score
from runtime.training.splits import Split, hold_out, make_split, named_parts

EXAMPLE_ROWS = 5


@dataclass
class Training:
    """A training on its way: what was asked, read, split, encoded and so far found out."""

    asked: Mapping[str, Any]
    rows: Rows
    split: Split
    features: Features
    columns: Mapping[str, Values]
    signature: Mapping[str, Any]
    x: Matrix
    positive: int
    learner: Learner
    metrics: list[Curve] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    model: Any = None
    predicted: dict[str, Floats] = field(default_factory=dict)

    @property
    def classes(self) -> list[str]:
        return self.rows.classes

    def told(self, predicted: Floats) -> Floats:
        count = len(self.classes)
        return main_prediction(predicted, class_count=count, positive=self.positive)

    def parts(self) -> dict[str, Places]:
        return dict(named_parts(self.split))


def train(spec: dict[str, Any]) -> dict[str, Any]:
    """The whole job. Raise JobError for what the user can mend."""
    warnings.simplefilter("ignore")
    began = time.monotonic()
    threads = int(spec["threads"])
    pa.set_cpu_count(threads)
    training = prepare(spec["files"], spec["definition"], threads)
    say(f"Read {len(training.rows):,} rows in {time.monotonic() - began:.1f} s.")
    for note in training.notes:
        say(note)
    began = time.monotonic()
    fit(training)
    say(f"Learned in {time.monotonic() - began:.1f} s.")
    began = time.monotonic()
    judge(training)
    folder = artifacts.Folder(spec["folder"])
    packages = artifacts.packages()
    with folder.clean_when_full():
        leave(training, folder)
        folder.write("packages.json", packages)
        files = folder.publish()
    say(f"Scored and stored in {time.monotonic() - began:.1f} s.")
    return {
        "metrics": [list(each) for each in training.metrics],
        "params": params_of(training, threads),
        "artifacts": files,
        "packages": packages,
        "code_digest": artifacts.code_digest(),
        "notes": training.notes,
    }


def prepare(files: list[str], asked: Mapping[str, Any], threads: int) -> Training:
    """Read, split, choose, check and encode."""
    rows = read_rows(files, asked)
    positive = positive_place(rows.classes, asked) if rows.classes else 0
    split = make_split(rows, asked)
    features = choose_features(rows, split.train, asked)
    columns = columns_of(rows, features.kinds)
    notes = list(features.notes)
    notes += refuse_leaks(rows, columns, features.kinds, split.train, asked)
    notes += [
        f"{name} is the same in every training row." for name in constant(columns, split.train)
    ]
    if rows.dropped:
        notes.append(f"{rows.dropped:,} rows without {asked['target']} were left out.")
    if split.dropped:
        notes.append(f"{split.dropped:,} rows lie in no part of the split.")
    signature = features.signature(rows, asked)
    x = Encoder(signature).encode_columns(columns, len(rows))
    learner = Learner(asked, signature, threads)
    return Training(
        asked, rows, split, features, columns, signature, x, positive, learner, notes=notes
    )


def fit(training: Training) -> None:
    """The model that is kept, and predictions of the parts that are judged."""
    split, learner = training.split, training.learner
    for number, (learn, predict) in enumerate(split.folds):
        model, _ = _fit_on(training, learn, np.empty(0, dtype=np.int64))
        made = learner.predict(model, training.x[predict])
        shape = (len(training.rows), *made.shape[1:])
        whole = training.predicted.setdefault("validation", np.empty(shape))
        whole[predict] = made
        scores = _score(training, predict, made)
        training.metrics += [(f"fold.{name}", number, value) for name, value in scores.items()]
        say(f"Fold {number + 1} of {len(split.folds)} done.")
    held = split.validation if not split.folds else np.empty(0, dtype=np.int64)
    training.model, curves = _fit_on(training, split.train, held)
    training.metrics += curves
    for name, places in split.judged().items():
        if name not in training.predicted:
            training.predicted[name] = learner.predict(training.model, training.x[places])


def _fit_on(training: Training, learn: Places, held: Places) -> tuple[Any, list[Curve]]:
    y = training.rows.y
    if not len(held) and training.learner.stops_early:
        learn, held = hold_out(learn, y, training.learner.seed)
    return training.learner.fit(training.x[learn], y[learn], training.x[held], y[held])


def _score(training: Training, places: Places, predicted: Floats) -> dict[str, float]:
    y, count = training.rows.y[places], len(training.classes)
    return score(y, predicted, class_count=count, positive=training.positive)


def judge(training: Training) -> None:
    """Scores of every judged part, the model's own on what it learned from, and baselines."""
    parts = training.parts()
    for name, predicted in training.predicted.items():
        scores = _score(training, parts[name], predicted)
        training.metrics += [(f"{name}.{metric}", 0, value) for metric, value in scores.items()]
    learned = training.split.train
    own = _score(training, learned, training.learner.predict(training.model, training.x[learned]))
    main = training.asked["metric"]
    if main in own:
        training.metrics.append((f"train.{main}", 0, own[main]))
    for name, places in parts.items():
        training.metrics.append((f"rows.{name}", 0, float(len(places))))
    training.metrics.append(("rows.dropped_without_target", 0, float(training.rows.dropped)))


def baselines(training: Training) -> dict[str, Any]:
    """Adds the baselines' metrics; returns their report."""
    parts, asked = training.parts(), training.asked
    numeric = [name for name, kind in training.features.kinds.items() if kind != "category"]
    named = [name for name in asked["baselines"] if _is_numeric(training, name)]
    values = {
        name: training.columns[name] if name in numeric else as_numbers(training.rows.table[name])
        for name in dict.fromkeys([*numeric, *named])
    }
    usable = {name: of for name, of in values.items() if not np.isnan(of[parts["train"]]).all()}
    metrics, report = naive_baselines(
        {name: training.rows.y[places] for name, places in parts.items()},
        {name: {p: of[places] for p, places in parts.items()} for name, of in usable.items()},
        [name for name in named if name in usable],
        class_count=len(training.classes),
        positive=training.positive,
    )
    training.metrics += [(name, 0, value) for name, value in metrics.items()]
    return report


def _is_numeric(training: Training, name: str) -> bool:
    is_numeric = kind_of(training.rows.table.schema.field(name).type) not in ("", "category")
    if not is_numeric:
        training.notes.append(f"Not scored as a baseline, as it is no number: {name}.")
    return is_numeric


def leave(training: Training, folder: artifacts.Folder) -> None:
    """Everything the run keeps, into the folder's draft."""
    asked, rows, split = training.asked, training.rows, training.split
    parts, last = training.parts(), split.evaluation
    folder.write_model(training.model)
    folder.write("model/signature.json", training.signature)
    example = json_rows(rows, training.signature, parts[last][:EXAMPLE_ROWS])
    folder.write("model/input_example.json", example)
    folder.write("model/reference.json", _reference(training))
    names = [each["name"] for each in training.signature["inputs"]]
    folder.write_table(
        "model/validation.parquet", artifacts.validation_table(rows, parts, names, asked)
    )
    for name, predicted in training.predicted.items():
        table = artifacts.predictions_table(
            rows, parts[name], predicted, training.told(predicted), asked
        )
        file = "predictions.parquet" if name == last else f"predictions-{name}.parquet"
        folder.write_table(file, table)
    for name, report in _reports(training, names).items():
        folder.write(f"reports/{name}.json", report)


def _reports(training: Training, names: list[str]) -> dict[str, Any]:
    parts = training.parts()
    made: dict[str, Any] = {}
    for part, predicted in training.predicted.items():
        told = reports.reports_of(
            training.rows.y[parts[part]],
            predicted,
            classes=training.classes,
            positive=training.positive,
        )
        for name, report in told.items():
            made.setdefault(name, {"splits": {}})["splits"][part] = report
    places = parts.get("validation", parts[training.split.evaluation])
    made["importance"] = reports.importance(
        training.learner,
        training.model,
        training.x[places],
        training.rows.y[places],
        names,
        training.positive,
    )
    made["baselines"] = baselines(training)
    made["notes"] = {"notes": training.notes}
    return made


def _reference(training: Training) -> dict[str, Any]:
    """Features as they were learned from; predictions of rows the model had not seen."""
    learned = training.split.train
    columns = {name: values[learned] for name, values in training.columns.items()}
    made = build_reference(columns, training.features.kinds)
    told = np.concatenate([training.told(each) for each in training.predicted.values()])
    seen = build_reference({PREDICTION: told}, {PREDICTION: "number"})
    made["columns"].update(seen["columns"])
    return made


def params_of(training: Training, threads: int) -> dict[str, Any]:
    """What was settled on the way, beside what was asked."""
    asked = training.asked
    told: dict[str, Any] = {"features": len(training.features.kinds), "threads": threads}
    if training.classes:
        told["classes"] = len(training.classes)
    if len(training.classes) == 2:
        told["positive"] = training.classes[training.positive]
    best = getattr(training.model, "best_iteration_", None) or getattr(
        training.model, "n_iter_", None
    )
    if best is not None and asked["algorithm"] in ("lightgbm", "hist-gradient-boosting"):
        told["best_iteration"] = int(best)
    return told

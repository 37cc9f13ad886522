"""What cannot be learned from is refused, naming the column and the next step."""

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runtime.documents.base import DocumentError, validate_document
from runtime.documents.training import TrainingDocument
from runtime.encoding import Encoder
from runtime.job import JobError
from runtime.training.artifacts import Folder
from runtime.training.job import Training, prepare
from runtime.training.rows import json_rows
from tests.experiments.making import make_table

ROWS = 400
KFOLD = {"by": "kfold", "k": 2}


def document(**more: Any) -> dict[str, Any]:
    asked = {"dataset": "d", "target": "churned", "task": "classification"}
    told = validate_document(TrainingDocument, {**asked, "algorithm": "logistic", **more})
    return told.model_dump(mode="json")


def try_out(folder: Path, table: pa.Table, **more: Any) -> Training:
    path = folder / "part.parquet"
    pq.write_table(table, path)
    return prepare([str(path)], document(**more), 1)


def refusal(folder: Path, table: pa.Table, **more: Any) -> JobError:
    with pytest.raises(JobError) as caught:
        try_out(folder, table, **more)
    return caught.value


def put(name: str, values: Any, rows: int = ROWS) -> pa.Table:
    """The usual table with one column added or replaced."""
    table = make_table(rows)
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, [values])
    return table.append_column(name, [values])


CHURNED = make_table(ROWS)["churned"]
NUMBERS = np.random.default_rng(5).normal(size=ROWS)
# Table, what is asked, the field that is named, and what the message holds.
CASES: dict[str, tuple[pa.Table, dict[str, Any], str, tuple[str, ...]]] = {
    "constant target": (put("churned", [True] * ROWS), {}, "target", ("churned", "every row")),
    "constant number": (
        put("amount", [2.5] * ROWS),
        {"target": "amount", "task": "regression", "algorithm": "linear"},
        "target",
        ("amount", "2.5"),
    ),
    "no target at all": (
        put("churned", pa.nulls(ROWS, pa.bool_())),
        {},
        "target",
        ("churned", "missing in every row"),
    ),
    "number for classes": (
        put("amount", NUMBERS),
        {"target": "amount"},
        "task",
        ("amount", "regression"),
    ),
    "text for a regression": (
        make_table(ROWS),
        {"target": "age", "task": "regression", "algorithm": "linear"},
        "target",
        ("age", "Cast it"),
    ),
    "too many classes": (
        put("id", np.arange(ROWS)),
        {"target": "id"},
        "target",
        ("id", "400 classes", "100"),
    ),
    "too few rows": (make_table(60), {}, "split", ("36 rows", "50")),
    "too few of a class": (
        put("churned", [True] * 6 + [False] * (ROWS - 6)),
        {},
        "target",
        ("churned = true", "10"),
    ),
    "single class in a split": (
        put("churned", np.arange(ROWS) < 150).set_column(1, "week", [np.arange(ROWS)]),
        {"split": {"by": "time", "column": "week", "train_until": 250, "test_from": 300}},
        "split",
        ("test row", "churned = false"),
    ),
    "time split that leaves nothing": (
        make_table(ROWS),
        {"split": {"by": "time", "column": "week", "train_until": 36, "test_from": 90}},
        "split",
        ("no row for test", "week goes from 1 to 52"),
    ),
    "time split by text": (
        make_table(ROWS),
        {"split": {"by": "time", "column": "age", "train_until": 36, "test_from": 90}},
        "split.column",
        ("age", "Cast it"),
    ),
    "date for a number": (
        make_table(ROWS),
        {
            "split": {
                "by": "time",
                "column": "week",
                "train_until": "2026-01-01",
                "test_from": "2026-02-01",
            }
        },
        "split.train_until",
        ("week", "a number"),
    ),
    "target among the features, copied": (
        put("gone", CHURNED),
        {"features": ["gone", "visits"]},
        "features",
        ("gone", "allow_leakage"),
    ),
    "target in other words": (
        put("status", ["left" if each else "active" for each in CHURNED.to_pylist()]),
        {},
        "features",
        ("status", "churned"),
    ),
    "missing exactly by the target": (
        put("left_on", [None if not each else 3.0 for each in CHURNED.to_pylist()]),
        {},
        "features",
        ("left_on",),
    ),
    "feature that separates the classes": (
        put("risk", np.where(np.array(CHURNED), 9, 1) + np.abs(NUMBERS) / 10),
        {},
        "features",
        ("risk", "separates"),
    ),
    "target times two": (
        put("amount", NUMBERS).append_column("twice", [NUMBERS * 2 + 1]),
        {"target": "amount", "task": "regression", "algorithm": "linear"},
        "features",
        ("twice", "amount"),
    ),
    "feature not there": (
        make_table(ROWS),
        {"features": ["visits", "visist"]},
        "features",
        ("visist", "has no column"),
    ),
    "key not there": (make_table(ROWS), {"keys": ["id"]}, "keys", ("id",)),
    "times as a feature": (
        put("day", [dt.date(2026, 1, 1)] * ROWS),
        {"features": ["day"]},
        "features",
        ("day", "derive"),
    ),
    "infinite numbers": (
        put("spend", np.where(NUMBERS > 2, np.inf, NUMBERS)),
        {"features": ["spend"]},
        "features",
        ("spend", "infinite", "Clip"),
    ),
    "too many texts": (
        put("street", [f"Street {n}" for n in range(2000)], 2000),
        {"features": ["street"], "split": KFOLD},
        "features",
        ("street", "2,000", "1,000"),
    ),
    "text as a number": (
        make_table(ROWS),
        {"kinds": {"age": "number"}, "features": ["age"]},
        "kinds.age",
        ("age", "number"),
    ),
    "unknown positive class": (make_table(ROWS), {"positive": "yes"}, "positive", ("'yes'",)),
    "no rows": (make_table(ROWS).slice(0, 0), {}, "dataset", ("no rows",)),
}


@pytest.mark.parametrize("case", CASES)
def test_refused_with_the_column_and_the_next_step(tmp_path: Path, case: str) -> None:
    table, asked, field, words = CASES[case]
    error = refusal(tmp_path, table, **asked)
    assert error.field == field, error.message
    for word in words:
        assert word in error.message


def test_leak_that_is_allowed_is_kept_and_told(tmp_path: Path) -> None:
    made = try_out(tmp_path, put("gone", CHURNED), allow_leakage=["gone"])
    assert "gone" in made.features.kinds
    assert any("gone" in note for note in made.notes)


def test_rows_without_target_are_left_out_and_counted(tmp_path: Path) -> None:
    values = [None if place < 30 else each for place, each in enumerate(CHURNED.to_pylist())]
    made = try_out(tmp_path, put("churned", values))
    assert len(made.rows) == ROWS - 30
    assert made.rows.numbers[0] == 30
    assert any("30 rows" in note for note in made.notes)


def test_unnamed_columns_no_model_can_take_are_left_out_and_told(tmp_path: Path) -> None:
    table = put("day", [dt.date(2026, 1, 1)] * 2000, 2000)
    table = table.append_column("street", [[f"Street {n}" for n in range(2000)]])
    made = try_out(tmp_path, table, split=KFOLD)
    assert "day" not in made.features.kinds
    assert "street" not in made.features.kinds
    assert sum("Left out" in note for note in made.notes) == 2


def test_row_numbers_are_no_leak(tmp_path: Path) -> None:
    made = try_out(tmp_path, put("id", [f"id {place}" for place in range(ROWS)]))
    assert "id" in made.features.kinds


def test_categories_are_those_of_the_training_rows_alone(tmp_path: Path) -> None:
    weeks = np.arange(ROWS)
    ages = ["old" if week < 300 else "new" for week in weeks]
    table = put("age", ages).set_column(1, "week", [weeks])
    split = {"by": "time", "column": "week", "train_until": 250, "test_from": 280}
    made = try_out(tmp_path, table, split=split)
    age = next(each for each in made.signature["inputs"] if each["name"] == "age")
    assert age["categories"] == ["old"]
    place = [each["name"] for each in made.signature["inputs"]].index("age")
    assert made.x[-1, place] == -1


def test_gap_keeps_labels_that_look_ahead_apart(tmp_path: Path) -> None:
    split = {"by": "time", "column": "week", "gap": 4, "train_until": 25}
    split |= {"validation_until": 35, "test_from": 36}
    made = try_out(tmp_path, make_table(2000), split=split)
    weeks = np.array(made.rows.table["week"])
    assert weeks[made.split.train].max() == 25
    assert weeks[made.split.validation].min() == 30
    assert weeks[made.split.test].min() == 40


WRONG_DOCUMENTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown setting": ({"settings": {"depth": 3}}, "settings", "depth"),
    "setting out of range": ({"settings": {"c": -1}}, "settings.c", "greater"),
    "target as feature": ({"features": ["churned"]}, "features", "churned"),
    "key as feature": ({"features": ["id"], "keys": ["id"]}, "features", "id"),
    "algorithm of another task": ({"algorithm": "linear"}, "algorithm", "linear"),
    "metric of another task": ({"metric": "rmse"}, "metric", "auc"),
    "unknown key": ({"colour": "red"}, "colour", "no such field"),
    "unknown split": ({"split": {"by": "moon"}}, "split", "kind"),
    "split out of order": (
        {"split": {"by": "time", "column": "w", "train_until": 9, "test_from": 3}},
        "split",
        "before",
    ),
    "fractions": (
        {"split": {"by": "random", "fractions": {"train": 0.9}}},
        "split.fractions",
        "add up",
    ),
}


@pytest.mark.parametrize("case", WRONG_DOCUMENTS)
def test_wrong_document_is_refused_by_path(case: str) -> None:
    more, path, word = WRONG_DOCUMENTS[case]
    with pytest.raises(DocumentError) as caught:
        document(**more)
    assert path in caught.value.errors, caught.value.errors
    assert word in caught.value.errors[path]


def test_full_disk_is_told_and_nothing_half_written_stays(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    folder.write("packages.json", {"numpy": "2"})
    Path(folder.at("reports/roc.json")).symlink_to("/dev/full")
    with pytest.raises(JobError, match="disk is full"), folder.clean_when_full():
        folder.write("reports/roc.json", {"x": "y" * 100_000})
    assert list(tmp_path.iterdir()) == []


def test_time_split_takes_dates_and_times_of_any_zone(tmp_path: Path) -> None:
    days = [dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=d) for d in range(ROWS)]
    split = {"by": "time", "column": "at", "train_until": "2026-06-01T00:00:00+02:00", "gap": 7}
    split |= {"test_from": "2026-06-01T12:00"}
    for kind in (pa.timestamp("ns", "Europe/Berlin"), pa.timestamp("s", "UTC"), pa.date32()):
        values = pa.array([day.date() for day in days] if kind == pa.date32() else days, kind)
        made = try_out(tmp_path, put("at", values), split=split)
        assert len(made.split.train) == (dt.date(2026, 6, 1) - dt.date(2026, 1, 1)).days
        assert made.split.dropped == 7
        assert "at" not in made.features.kinds


def test_whole_number_as_a_category_is_asked_for_as_text(tmp_path: Path) -> None:
    made = try_out(tmp_path, make_table(ROWS), kinds={"visits": "category"}, split=KFOLD)
    visits = next(each for each in made.signature["inputs"] if each["name"] == "visits")
    assert visits["kind"] == "category"
    row = json_rows(made.rows, made.signature, [0])[0]
    assert row["visits"] in visits["categories"]
    encoded = Encoder(made.signature).encode_rows([row])
    assert np.array_equal(encoded[0], made.x[0], equal_nan=True)

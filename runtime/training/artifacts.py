"""What a training leaves in its run's folder, and how it is pinned."""

import errno
import glob
import hashlib
import json
import os
import pickle
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from runtime.job import JobError
from runtime.training.rows import Floats, Places, Rows

HERE = os.path.dirname(os.path.abspath(__file__))
CODE = (*sorted(glob.glob(os.path.join(HERE, "*.py"))), os.path.join(HERE, "..", "encoding.py"))
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MIN_VALIDATION_ROWS = 1_000
MAX_VALIDATION_ROWS = 20_000


class Folder:
    """The run's folder. Files are written to a draft inside it and moved into place at the end;
    what an earlier, killed attempt left there goes first, so beginning again is safe."""

    def __init__(self, path: str) -> None:
        self.path, self.draft = path, os.path.join(path, ".draft")
        for name in os.listdir(path):
            found = os.path.join(path, name)
            shutil.rmtree(found) if os.path.isdir(found) else os.remove(found)
        for name in ("model", "reports"):
            os.makedirs(os.path.join(self.draft, name))

    def at(self, name: str) -> str:
        return os.path.join(self.draft, name)

    def write(self, name: str, value: Any) -> None:
        with open(self.at(name), "w", encoding="utf-8") as file:
            json.dump(value, file, allow_nan=False)

    def write_model(self, model: Any) -> None:
        with open(self.at("model/native.pkl"), "wb") as file:
            pickle.dump(model, file, protocol=5)

    def write_table(self, name: str, table: pa.Table) -> None:
        pq.write_table(table, self.at(name), compression="zstd")

    @contextmanager
    def clean_when_full(self) -> Iterator[None]:
        """A full disk is told as such, and nothing half-written stays."""
        try:
            yield
        except OSError as error:
            if not (error.errno in NO_ROOM or "No space left" in str(error)):
                raise
            shutil.rmtree(self.draft, ignore_errors=True)
            text = "The disk is full: the run's files could not be written. Make room, then train "
            raise JobError(text + "again.") from error

    def publish(self) -> list[dict[str, Any]]:
        """Move everything into place; tells path, size and SHA-256 of each file."""
        told = []
        for folder, _, names in os.walk(self.draft):
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    os.fsync(file.fileno())
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                relative = os.path.relpath(path, self.draft)
                size = os.path.getsize(path)
                told.append({"path": relative, "size_bytes": size, "sha256": digest})
        for name in os.listdir(self.draft):
            os.rename(os.path.join(self.draft, name), os.path.join(self.path, name))
        os.rmdir(self.draft)
        return sorted(told, key=lambda each: str(each["path"]))


def code_digest() -> str:
    """SHA-256 over everything that decides what is learned: this folder and the encoder."""
    digest = hashlib.sha256()
    for path in CODE:
        with open(path, "rb") as file:
            digest.update(os.path.basename(path).encode() + b"\0" + file.read() + b"\0")
    return digest.hexdigest()


def packages() -> dict[str, str]:
    """Every package of this environment with its version, and Python's."""
    from importlib.metadata import distributions

    found = {each.metadata["Name"]: each.version for each in distributions()}
    return {"python": platform.python_version(), **dict(sorted(found.items()))}


def free_name(name: str, taken: Sequence[str]) -> str:
    """A name of ours that no column of the data has."""
    return name if name not in taken else f"__{name}__"


def predictions_table(
    rows: Rows, places: Places, predicted: Floats, told: Floats, asked: Mapping[str, Any]
) -> pa.Table:
    """Keys, target, `row` (its place in the dataset version), `prediction` and `label`; of more
    than two classes also `probabilities`. Doubles, exactly those that were scored."""
    names = list(dict.fromkeys([*asked["keys"], asked["target"]]))
    table = rows.table.select(names).take(pa.array(places))
    made: dict[str, Any] = {"row": pa.array(rows.numbers[places]), "prediction": pa.array(told)}
    if rows.classes:
        labels = np.array(rows.classes, dtype=object)[predicted.argmax(axis=1)]
        made["label"] = pa.array(labels, pa.string())
    if len(rows.classes) > 2:
        made["probabilities"] = pa.array(list(predicted), pa.list_(pa.float64()))
    for name, values in made.items():
        table = table.append_column(free_name(name, names), values)
    return table


def validation_table(
    rows: Rows, parts: Mapping[str, Places], inputs: Sequence[str], asked: Mapping[str, Any]
) -> pa.Table:
    """Raw rows to try a converted model on: those that were judged, at least 1,000 where there are
    so many, filled up from `train`. `split` says where each is from."""
    draw = np.random.default_rng(asked["seed"])
    judged = [name for name in parts if name != "train"]
    chosen: list[tuple[str, Places]] = []
    room = MAX_VALIDATION_ROWS
    for name in (*judged, "train"):
        is_enough = MAX_VALIDATION_ROWS - room >= MIN_VALIDATION_ROWS
        if name == "train" and (is_enough or asked["split"]["by"] == "kfold"):
            continue
        limit = MIN_VALIDATION_ROWS if name == "train" else max(room // len(judged), 1)
        places = np.sort(draw.permutation(parts[name])[:limit])
        chosen.append((name, places))
        room -= len(places)
    names = list(dict.fromkeys([*inputs, *asked["keys"], asked["target"]]))
    every = np.concatenate([places for _, places in chosen])
    labels = [name for name, places in chosen for _ in places]
    table = rows.table.select(names).take(pa.array(every))
    return table.append_column(free_name("split", names), pa.array(labels, pa.string()))

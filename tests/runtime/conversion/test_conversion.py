"""ONNX forms are exact where rounding would show."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from hypothesis import example, given
from hypothesis import strategies as st

from runtime.conversion.forms import exact_thresholds
from runtime.conversion.parity import Conversion
from runtime.conversion.trees import floor32

MODELS = [
    "forest",
    "forest-3",
    "forest-values",
    "boosting",
    "boosting-categories",
    "boosting-3",
    "boosting-values",
    "boosting-counts",
    "lightgbm",
    "lightgbm-3",
    "lightgbm-values",
]


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    python = Path(settings.ENV.environments_dir, "train", "bin", "python")
    script = Path(__file__).with_name("edges.py")
    ran = subprocess.run([str(python), "-W", "ignore", str(script)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


@pytest.mark.process
@pytest.mark.parametrize("name", MODELS)
def test_model_and_onnx_agree_on_thresholds_and_beside_them(
    told: dict[str, Any], name: str
) -> None:
    seen = told[name]
    assert seen["is_accepted"], seen
    assert seen["rows"] >= 4_000
    assert seen["inputs"] == ["features"]
    is_classes = not name.endswith(("values", "counts"))
    assert seen["outputs"] == (["label", "probabilities"] if is_classes else ["variable"])


@given(st.floats(allow_nan=False), st.floats(width=32, allow_nan=False, allow_infinity=False))
@example(0.1, float(np.float32(0.1)))
@example(1e300, float(np.finfo(np.float32).max))
@example(-1e300, float(np.finfo(np.float32).min))
def test_floored_threshold_sends_every_float32_where_the_double_did(
    threshold: float, value: float
) -> None:
    floored = floor32(threshold)
    assert (np.float32(value) <= floored) == (value <= threshold)
    with np.errstate(over="ignore"):
        beside = np.nextafter(floored, np.float32(np.inf))
    assert not float(beside) <= threshold or not np.isfinite(beside)


def test_lightgbms_thresholds_and_missing_values_are_made_exact() -> None:
    head = "tree\nversion=v4\ntree_sizes=100 200\nfeature_names=a b c\n"
    tree = (
        "Tree=0\nnum_leaves=4\nsplit_feature=0 1 2\n"
        "threshold=0.1 -0.5 3\ndecision_type=2 0 1\nleaf_value=1 2 3 4\n"
    )
    exact = exact_thresholds(f"{head}\n{tree}")
    assert "tree_sizes" not in exact
    lines = dict(line.partition("=")[::2] for line in exact.splitlines())
    thresholds = [float(each) for each in lines["threshold"].split()]
    assert thresholds == [float(floor32(0.1)), -0.5, 3.0]
    # Nothing missing in training: a missing value was 0, so left of 0.1 and right of -0.5.
    # The third is a split by category and stays.
    assert lines["decision_type"] == "10 8 1"
    assert lines["leaf_value"] == "1 2 3 4"


def test_conversion_tells_all_it_found() -> None:
    assert set(Conversion(False, "why").told()) >= {
        "is_accepted", "reason", "rows", "max_abs_difference", "labels_equal",
    }  # fmt: skip

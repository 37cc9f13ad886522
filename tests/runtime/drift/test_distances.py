"""Distances against SciPy, to a stated tolerance; and that chance alone is no drift."""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.drift.distances import (
    DISTANCES,
    compare,
    jensen_shannon,
    noise,
    psi,
    rate_noise,
)
from runtime.drift.histograms import build_reference, count_column

ROOT = Path(__file__).resolve().parents[3]
TRAIN = ROOT / ".envs" / "train" / "bin" / "python"
CASES = (
    "same", "shifted", "wider", "apart", "mostly zero", "long tail", "few values", "flags",
    "constant", "missing", "small", "huge",
)  # fmt: skip


@cache
def oracle() -> dict[str, Any]:
    """What SciPy says; it lives in the training environment."""
    assert TRAIN.exists(), "run `make environments`"
    script = Path(__file__).with_name("oracle.py")
    done = subprocess.run([TRAIN, str(script)], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("case", CASES)
def test_exact_forms_are_scipys(case: str) -> None:
    told = oracle()[case]
    for name in ("exact_ks", "exact_wasserstein", "js"):
        ours, theirs = told[name]
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("case", CASES)
def test_ks_of_histograms_is_short_by_no_more_than_it_says(case: str) -> None:
    ours, theirs = oracle()[case]["ks"]
    assert theirs - oracle()[case]["ks_error"] - 1e-12 <= ours <= theirs + 1e-12


@pytest.mark.parametrize("case", CASES)
def test_wasserstein_of_histograms_is_near(case: str) -> None:
    ours, theirs = oracle()[case]["wasserstein"]
    # 40 values have bins of one value each; else half a percent of a standard deviation.
    assert ours == pytest.approx(theirs, rel=0.01, abs=0.05 if case == "small" else 0.005)


def test_psi_and_js_of_known_shares() -> None:
    p, q = [0.5, 0.3, 0.2], [0.4, 0.4, 0.2]
    by_hand = (0.4 - 0.5) * np.log(0.4 / 0.5) + (0.4 - 0.3) * np.log(0.4 / 0.3)
    assert psi(p, q) == pytest.approx(by_hand, rel=1e-12)
    assert jensen_shannon([1, 0], [0, 1]) == 1
    assert jensen_shannon(p, p) == 0
    assert psi([1, 0], [0, 1]) < 20, "empty cells stay finite"


@pytest.mark.parametrize("rows", [100, 1_000, 20_000])
def test_chance_stays_under_the_noise_floor(rows: int) -> None:
    draw = np.random.default_rng(rows)
    reference = build_reference({"x": draw.lognormal(size=20_000)}, {"x": "number"})
    column = reference["columns"]["x"]
    over = dict.fromkeys(DISTANCES, 0)
    for _ in range(300):
        current = count_column(column, draw.lognormal(size=rows))
        found, floor = compare(column, current), noise(column, current)
        for name in DISTANCES:
            over[name] += found[name] > floor[name]  # type: ignore[operator]
    # One in a thousand is expected: three of three hundred would be chance no more.
    assert max(over.values()) <= 2, over


def test_real_shift_is_over_the_noise_floor() -> None:
    draw = np.random.default_rng(1)
    column = build_reference({"x": draw.normal(size=20_000)}, {"x": "number"})["columns"]["x"]
    current = count_column(column, draw.normal(0.5, 1, 1_000))
    found, floor = compare(column, current), noise(column, current)
    assert all(found[name] > 2 * floor[name] for name in DISTANCES)  # type: ignore[operator]


def test_constant_that_changes_is_seen_by_every_distance() -> None:
    column = build_reference({"x": np.full(1_000, 3.0)}, {"x": "number"})["columns"]["x"]
    found = compare(column, count_column(column, np.full(500, 4.0)))
    assert found["psi"] > 1 and found["js"] == 1 and found["ks"] == 1  # type: ignore[operator]
    assert found["wasserstein"] == 1 and found["out_of_range_rate"] == 1


def test_nothing_to_compare_is_none_not_zero() -> None:
    column = build_reference({"x": np.full(9, np.nan)}, {"x": "number"})["columns"]["x"]
    assert compare(column, count_column(column, [1.0, 2.0]))["psi"] is None
    full = build_reference({"x": [1.0, 2.0]}, {"x": "number"})["columns"]["x"]
    empty = compare(full, count_column(full, []))
    assert set(empty.values()) == {None}
    assert compare(full, count_column(full, [np.nan]))["missing_rate"] == 1


def test_rate_noise_does_not_vanish_at_zero() -> None:
    assert 0.005 < rate_noise(0.0, 1_000) < 0.02
    assert rate_noise(0.1, 100_000) < 0.005
    assert rate_noise(0.1, 0) == 0

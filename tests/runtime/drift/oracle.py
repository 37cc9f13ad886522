"""Ours beside SciPy, case by case: run as a file in .envs/train, where SciPy is."""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import numpy as np

from runtime.drift import distances
from runtime.drift.histograms import build_reference, count_column


def cases() -> dict[str, tuple[Any, Any]]:
    draw = np.random.default_rng(7)
    zeros = [np.where(draw.random(20_000) < p, 0, draw.lognormal(2, 1, 20_000)) for p in (0.6, 0.5)]
    gaps = [draw.normal(size=20_000), draw.normal(0.3, 1, 5_000)]
    gaps[0][::7] = np.nan
    return {
        "same": (draw.normal(size=20_000), draw.normal(size=5_000)),
        "shifted": (draw.normal(size=20_000), draw.normal(0.5, 1, 5_000)),
        "wider": (draw.normal(size=20_000), draw.normal(0, 30, 5_000)),
        "apart": (draw.normal(size=20_000), draw.normal(100, 1, 5_000)),
        "mostly zero": (zeros[0], zeros[1]),
        "long tail": (draw.pareto(2, 20_000), draw.pareto(1.8, 20_000)),
        "few values": (draw.poisson(3, 20_000), draw.poisson(4, 5_000)),
        "flags": (draw.integers(0, 2, 20_000), (draw.random(5_000) < 0.3).astype(int)),
        "constant": (np.full(100, 3.0), np.full(50, 4.0)),
        "missing": (gaps[0], gaps[1]),
        "small": (draw.normal(size=40), draw.normal(size=35)),
        "huge": (draw.normal(1e12, 1, 20_000), draw.normal(1e12 + 1, 1, 5_000)),
    }


def tell(a: Any, b: Any) -> dict[str, Any]:
    from scipy import stats
    from scipy.spatial.distance import jensenshannon

    reference = build_reference({"x": a}, {"x": "number"})["columns"]["x"]
    current = count_column(reference, b)
    measured = distances.compare(reference, current)
    p, q = distances.cells(reference, current)
    x, y = (np.asarray(v, float)[~np.isnan(np.asarray(v, float))] for v in (a, b))
    scale = distances.scale_of(reference)
    return {
        "ks": [measured["ks"], float(stats.ks_2samp(x, y).statistic)],
        "ks_error": distances.ks_error(reference, current),
        "exact_ks": [distances.ks_of_arrays(a, b), float(stats.ks_2samp(x, y).statistic)],
        "wasserstein": [measured["wasserstein"], stats.wasserstein_distance(x, y) / scale],
        "exact_wasserstein": [
            distances.wasserstein_of_arrays(a, b) / scale,
            stats.wasserstein_distance(x, y) / scale,
        ],
        "js": [measured["js"], float(jensenshannon(p, q, 2))],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps({name: tell(*pair) for name, pair in cases().items()}))

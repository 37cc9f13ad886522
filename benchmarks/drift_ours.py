"""Ours, for `benchmarks.drift`: run as a file in the serving environment. Says one line of JSON."""

import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from runtime.drift.distances import (
    compare,
    ks_of_arrays,
    psi,
    scale_of,
    wasserstein_of_arrays,
)
from runtime.drift.histograms import build_reference, count


def main(folder: Path) -> None:
    reference = dict(enumerate_columns(np.load(folder / "reference.npy")))
    current = dict(enumerate_columns(np.load(folder / "current.npy")))
    began = time.process_time()
    kept = build_reference(reference, dict.fromkeys(reference, "number"))
    reference_cpu = time.process_time() - began
    began = time.process_time()
    counted = count(kept, current)
    found = [compare(kept["columns"][name], counted["columns"][name]) for name in kept["columns"]]
    said: dict[str, Any] = {
        "cpu": time.process_time() - began,
        "reference_cpu": reference_cpu,
        "numpy": np.__version__,
        **{name: [each[name] for each in found] for name in ("psi", "ks", "wasserstein")},
    }
    if not (folder / "checked").exists():
        (folder / "checked").touch()
        said |= check(reference, current, kept)
    print(json.dumps(said))


def enumerate_columns(matrix: np.ndarray[Any, Any]) -> list[tuple[str, np.ndarray[Any, Any]]]:
    return [(f"c{number}", column) for number, column in enumerate(matrix)]


def check(reference: dict[str, Any], current: dict[str, Any], kept: dict[str, Any]) -> Any:
    """Untimed: the exact forms, and our PSI over the cells that Evidently chooses."""
    exact_ks, exact_w1, shares = [], [], []
    for name, values in reference.items():
        exact_ks.append(ks_of_arrays(values, current[name]))
        distance = wasserstein_of_arrays(values, current[name])
        exact_w1.append(distance / scale_of(kept["columns"][name]))
        shares.append(psi(*cells_of_evidently(values, current[name]), least=0.0))
    return {"exact_ks": exact_ks, "exact_wasserstein": exact_w1, "psi_of_shares": shares}


def cells_of_evidently(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> list[Any]:
    """Equal widths over both samples, by Sturges; what it puts where a cell is empty."""
    edges = np.histogram_bin_edges(np.concatenate((a, b)), bins="sturges")
    pair = [np.histogram(each, edges)[0] / len(each) for each in (a, b)]
    for each in pair:
        least = each[each > 0].min()
        each[each == 0] = least / 10**6 if least <= 0.0001 else 0.0001
    return pair


if __name__ == "__main__":
    main(Path(sys.argv[1]))

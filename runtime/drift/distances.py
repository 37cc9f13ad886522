"""How far apart two distributions are. Each formula is here twice: from histograms made with the
same reference (`compare`), and exactly from arrays. NumPy only.

* PSI, the population stability index: sum of (q - p) ln(q / p) over cells (Siddiqi, Credit Risk
  Scorecards, 2006). Numbers: ten cells of about equal shares of the reference, the outer ones open
  (a whole bin is never cut; where few values differ, what is outside has cells of its own).
  Categories: a cell each, those under 0.1 % of the reference together with the unseen ones. Shares
  are at least 0.0001, so an empty cell stays finite.
* JS, the Jensen-Shannon distance to base 2: sqrt((KL(p|m) + KL(q|m)) / 2), m = (p + q) / 2 (Lin,
  1991; SciPy's `jensenshannon`), between 0 and 1, over the same cells.
* KS, the two-sample Kolmogorov-Smirnov statistic: the greatest distance of the distribution
  functions. From histograms it is looked for at edges only: never more than the exact one, and
  less by at most the greatest share that one bin holds (`ks_error`; 1/256 unshifted).
* Wasserstein-1 in standard deviations of the reference, so that one threshold fits every column
  (for a constant reference: in the column's own unit). From histograms values are taken as spread
  evenly within a bin: wrong by at most the mean width of a bin; it is exact outside the range, and
  where few values differ.

All but the missing rate leave missing values out.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.drift.histograms import Column, Floats, present, total

Measures = dict[str, float | None]

CELLS = 10
LEAST_SHARE = 1e-4
RARE_SHARE = 1e-3
# One false alarm in a thousand, two-sided and one-sided.
Z_TWO, Z_ONE = 3.2905, 3.0902
ALPHA = 1e-3
DISTANCES = ("psi", "js", "ks", "wasserstein")


def compare(reference: Column, current: Column) -> Measures:
    """Every measure of one column against its reference, of histograms made with its edges.

    None where it is not defined: no values on a side, KS and Wasserstein of categories. Rates are
    shares of the current rows; out of range and unseen of those that have a value.
    """
    rows, values = total(current), present(current)
    measures: Measures = dict.fromkeys(DISTANCES)
    measures["missing_rate"] = current["missing"] / rows if rows else None
    is_number = reference["kind"] == "number"
    outside = current["below"] + current["above"] if is_number else current["unseen"]
    rate = "out_of_range_rate" if is_number else "unseen_rate"
    measures[rate] = outside / values if values else None
    if not values or not present(reference):
        return measures
    p, q = cells(reference, current)
    measures["psi"], measures["js"] = psi(p, q), jensen_shannon(p, q)
    if is_number:
        measures["ks"] = _ks(reference, current)
        measures["wasserstein"] = _wasserstein(reference, current) / scale_of(reference)
    return measures


def noise(reference: Column, current: Column) -> Measures:
    """What chance alone exceeds once in a thousand looks, for samples of these sizes drawn from
    the reference: below it, a distance says nothing (docs/monitoring.md derives each)."""
    n, m = present(current), present(reference)
    levels: Measures = dict.fromkeys(DISTANCES)
    if not n or not m:
        return levels
    spread = 1 / n + 1 / m
    chance = _chi_squared(max(len(cells(reference, current)[0]) - 1, 1))
    levels["psi"] = chance * spread
    levels["js"] = math.sqrt(chance * spread / (8 * math.log(2)))
    if reference["kind"] == "number":
        levels["ks"] = math.sqrt(-math.log(ALPHA / 2) / 2 * spread)
        levels["wasserstein"] = _wasserstein_noise(reference, spread)
    return levels


def rate_noise(rate: float, n: int) -> float:
    """How far the share of `n` rows lies above the true `rate` by chance once in a thousand looks
    (the upper end of Wilson's interval, 1927: it does not vanish where the rate is 0)."""
    if not n:
        return 0.0
    square = Z_ONE * Z_ONE
    half = Z_ONE * math.sqrt(rate * (1 - rate) / n + square / (4 * n * n))
    return (rate + square / (2 * n) + half) / (1 + square / n) - rate


def ks_error(reference: Column, current: Column) -> float:
    """By how much the KS statistic from histograms may fall short of the exact one."""
    p, q = (_all_counts(each) / max(present(each), 1) for each in (reference, current))
    return float(max(p.max(initial=0.0), q.max(initial=0.0)))


def cells(reference: Column, current: Column) -> tuple[Floats, Floats]:
    """The shares that PSI and JS compare: few cells, so that chance adds little to them."""
    if reference["kind"] == "number":
        p, q = _all_counts(reference), _all_counts(current)
        starts = _cell_starts(reference)
    else:
        p, q = (
            np.array([*each["counts"], each["unseen"]], dtype=np.float64)
            for each in (reference, current)
        )
        is_rare = p < RARE_SHARE * p.sum()
        order = np.argsort(is_rare, kind="stable")
        p, q = p[order], q[order]
        kept = int((~is_rare).sum())
        starts = np.arange(min(kept + 1, len(p)))
    p, q = np.add.reduceat(p, starts), np.add.reduceat(q, starts)
    return p / max(p.sum(), 1.0), q / max(q.sum(), 1.0)


def psi(p: npt.ArrayLike, q: npt.ArrayLike, *, least: float = LEAST_SHARE) -> float:
    """Of two lists of shares, none taken as less than `least`."""
    shares = np.maximum(np.array([p, q], dtype=np.float64), least)
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def jensen_shannon(p: npt.ArrayLike, q: npt.ArrayLike) -> float:
    """The distance (not the divergence), to base 2, of two lists of shares."""
    shares = np.array([p, q], dtype=np.float64)
    middle = shares.mean(axis=0)
    parts = np.zeros_like(shares)
    np.divide(shares, middle, out=parts, where=shares > 0)
    np.log2(parts, out=parts, where=shares > 0)
    return math.sqrt(max(float((shares * parts).sum()) / 2, 0.0))


def ks_of_arrays(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """The exact two-sample statistic; missing values are left out."""
    x, y = _sorted(a), _sorted(b)
    both = np.concatenate((x, y))
    first = np.searchsorted(x, both, side="right") / len(x)
    second = np.searchsorted(y, both, side="right") / len(y)
    return float(np.abs(first - second).max())


def wasserstein_of_arrays(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """The exact distance, in the values' own unit; missing values are left out."""
    x, y = _sorted(a), _sorted(b)
    both = np.sort(np.concatenate((x, y)))
    first = np.searchsorted(x, both[:-1], side="right") / len(x)
    second = np.searchsorted(y, both[:-1], side="right") / len(y)
    return float((np.abs(first - second) * np.diff(both)).sum())


def scale_of(reference: Column) -> float:
    """The unit of the Wasserstein distance: the reference's standard deviation, or 1 without."""
    return float(reference.get("std") or 1.0)


def _sorted(values: npt.ArrayLike) -> Floats:
    array = np.sort(np.asarray(values, dtype=np.float64))
    return array[~np.isnan(array)]


def _all_counts(column: Column) -> Floats:
    """Below, every bin, above."""
    return np.array([column["below"], *column["counts"], column["above"]], dtype=np.float64)


def _cell_starts(reference: Column) -> npt.NDArray[np.int64]:
    """Which of below, bins and above begin a cell. The outer cells take in what is outside, unless
    the reference ends in a bin of one value: then what is outside was never seen, and stands alone.
    """
    counts = np.asarray(reference["counts"], dtype=np.float64)
    if not len(counts):
        return np.array([0], dtype=np.int64)
    # A bin belongs to the tenth its middle lies in: whole bins, never cut.
    middles = (np.cumsum(counts) - counts / 2) / max(counts.sum(), 1.0)
    tenth = np.minimum((middles * CELLS).astype(np.int64), CELLS - 1)
    begins = np.flatnonzero(np.diff(tenth, prepend=-1)) + 1
    edges = reference["edges"]
    if edges[-1] == edges[-2]:
        return np.concatenate(([0], begins, [len(counts) + 1]))
    begins[0] = 0
    return begins


def _ks(reference: Column, current: Column) -> float:
    p, q = _all_counts(reference), _all_counts(current)
    return float(np.abs(np.cumsum(p) / p.sum() - np.cumsum(q) / q.sum()).max())


def _wasserstein(reference: Column, current: Column) -> float:
    """Area between the distribution functions, straight within bins; outside, from the sums."""
    n, m = present(current), present(reference)
    tails = sum(abs(current[each] / n - reference[each] / m) for each in ("below_sum", "above_sum"))
    edges = np.asarray(reference["edges"], dtype=np.float64)
    if not len(edges):
        return float(tails)
    p, q = _all_counts(reference), _all_counts(current)
    gaps = (np.cumsum(p) / p.sum() - np.cumsum(q) / q.sum())[:-1]
    left, right, width = gaps[:-1], gaps[1:], np.diff(edges)
    if reference.get("is_discrete"):
        # Each bin's values are all at its lower edge.
        return float((np.abs(right) * width).sum() + tails)
    area = (np.abs(left) + np.abs(right)) / 2
    # Where the functions cross within a bin, two triangles instead of a trapezium.
    crosses = left * right < 0
    both = np.abs(left) + np.abs(right)
    np.divide(left**2 + right**2, 2 * both, out=area, where=crosses)
    return float((area * width).sum() + tails)


def _wasserstein_noise(reference: Column, spread: float) -> float:
    edges = np.asarray(reference["edges"], dtype=np.float64)
    if not len(edges):
        return 0.0
    share = np.cumsum(_all_counts(reference))[:-1] / present(reference)
    deviation = np.sqrt(share * (1 - share))
    between = (
        deviation[1:] if reference.get("is_discrete") else (deviation[:-1] + deviation[1:]) / 2
    )
    area = (between * np.diff(edges)).sum()
    return float(Z_TWO * area * math.sqrt(spread) / scale_of(reference))


def _chi_squared(freedom: int) -> float:
    """The quantile that one in a thousand exceeds (Wilson and Hilferty, 1931)."""
    part = 2 / (9 * freedom)
    return float(freedom * (1 - part + Z_ONE * math.sqrt(part)) ** 3)


def describe(reference: Column, current: Column) -> dict[str, Any]:
    """Both histograms as shares of present values, for a chart: the cells of numbers are the
    reference's bins (at most 64, merged), with what lies outside at both ends."""
    if reference["kind"] == "category":
        pair = [np.array([*each["counts"], each["unseen"]], float) for each in (reference, current)]
        shape: dict[str, Any] = {"kind": "category", "categories": reference["categories"]}
        return shape | _shares(*pair)
    edges = reference["edges"]
    step = max(1, -(-len(reference["counts"]) // 64))
    starts = np.arange(0, len(reference["counts"]), step)
    ends = [edges[int(each)] for each in starts] + edges[-1:]
    shape = {"kind": "number", "edges": ends}
    pair = [
        np.concatenate(
            (
                [each["below"]],
                np.add.reduceat(np.asarray(each["counts"], float), starts) if len(starts) else [],
                [each["above"]],
            )
        )
        for each in (reference, current)
    ]
    return shape | _shares(*pair)


def _shares(reference: Floats, current: Floats) -> dict[str, list[float]]:
    return {
        name: (each / max(each.sum(), 1.0)).tolist()
        for name, each in (("reference", reference), ("current", current))
    }

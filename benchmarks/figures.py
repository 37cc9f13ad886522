"""Figures as the benchmarks tell them: p50 and p95, beside a goal or a peer."""

from collections.abc import Sequence


def percentile(values: Sequence[float], part: float) -> float:
    """By nearest rank: a value that was measured, none between two."""
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * part // 100))
    return ordered[int(rank) - 1]


def tell(name: str, seconds: Sequence[float], *, goal_ms: float, note: str = "") -> float:
    """Print one line, in ms; returns p50 in seconds. `*` marks a goal that was missed."""
    p50, p95 = percentile(seconds, 50), percentile(seconds, 95)
    mark = "*" if p95 * 1000 > goal_ms else " "
    print(
        f"{mark} {name:<46} p50 {p50 * 1000:7.1f}  p95 {p95 * 1000:7.1f}  "
        f"goal {goal_ms:6.0f}  n {len(seconds):3}  {note}"
    )
    return p50

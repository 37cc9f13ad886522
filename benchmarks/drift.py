"""Drift of 1,000,000 rows by 30 columns against a training reference: PSI, KS and Wasserstein-1.

`python -m benchmarks.drift` (any of its lines alone: `--rows`). Ours beside Evidently 0.7.23, which
this makes an environment for in `build/peers/evidently`; three rounds, taking turns, of CPU seconds
of a process each, from values in memory to 90 figures; medians. Then whether the figures agree,
with Evidently's where the definitions are the same and with SciPy's. Exit code 1: a goal missed.

Evidently is told to compute the same three for the same columns, one `ValueDrift` metric each, with
no other work. It has no reference to keep, so it reads the training's rows every time; ours counts
them once, when the model is registered, which is told on a line of its own.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PEER = ROOT / "build" / "peers" / "evidently"
PEER_PACKAGES = ("evidently==0.7.23", "pandas<3")
OURS = ROOT / ".envs" / "serve" / "bin" / "python"
COLUMNS, ROUNDS = 30, 3
GOAL_CPU_SECONDS, GOAL_TIMES = 1.0, 20.0
# Of KS what the histograms allow; of Wasserstein, in standard deviations of the reference.
KS_TOLERANCE, WASSERSTEIN_TOLERANCE, EXACT = 1 / 128, 0.005, 1e-9


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args()
    _make_peer()
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as name:
        folder = Path(name)
        np.save(folder / "reference.npy", make_columns(asked.rows, seed=1, shift=0.0))
        np.save(folder / "current.npy", make_columns(asked.rows, seed=2, shift=0.1))
        ours, theirs = [], []
        for number in range(asked.rounds):
            ours.append(_run([str(OURS)], "drift_ours.py", folder))
            theirs.append(
                _run([str(PEER / "bin" / "python"), "-W", "ignore"], "drift_peer.py", folder)
            )
            print(
                f"round {number + 1}: ours {ours[-1]['cpu']:6.3f} s CPU, "
                f"Evidently {theirs[-1]['cpu']:7.2f} s CPU"
            )
    return int(not (_is_fast(ours, theirs, asked.rows) & _agree(ours[0], theirs[0])))


def make_columns(rows: int, *, seed: int, shift: float) -> np.ndarray[Any, Any]:
    """Columns of every sort, a third of them shifted: [30, rows]."""
    draw = np.random.default_rng(seed)
    makers = (
        lambda by: draw.normal(by, 1, rows),
        lambda by: draw.lognormal(by, 1, rows),
        lambda by: draw.poisson(40 * (1 + by), rows).astype(float),
        lambda by: np.where(draw.random(rows) < 0.6 - by, 0.0, draw.gamma(2, 10, rows)),
        lambda by: draw.uniform(by, 1 + by, rows),
        lambda by: draw.standard_t(5, rows) + by,
    )
    return np.stack([makers[n % len(makers)](shift if n % 3 == 0 else 0.0) for n in range(COLUMNS)])


def _make_peer() -> None:
    if (PEER / "made").exists():
        return
    print("Setting up build/peers/evidently …")
    uv = str(ROOT / ".venv" / "bin" / "uv")
    PEER.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, str(PEER)], check=True)
    install = [uv, "pip", "install", "-q", "--python", str(PEER), *PEER_PACKAGES]
    subprocess.run(install, check=True)
    (PEER / "made").touch()


def _run(python: list[str], name: str, folder: Path) -> dict[str, Any]:
    argv = [*python, str(Path(__file__).with_name(name)), str(folder)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    said: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return said


def _is_fast(ours: list[dict[str, Any]], theirs: list[dict[str, Any]], rows: int) -> bool:
    mine, peer = (statistics.median(x["cpu"] for x in each) for each in (ours, theirs))
    kept = statistics.median(x["reference_cpu"] for x in ours)
    versions = theirs[0]["versions"]
    print(f"{rows:,} rows by {COLUMNS} columns, median of {len(ours)} rounds, CPU seconds:")
    print(f"  ours (NumPy {ours[0]['numpy']})            {mine:7.3f}   goal {GOAL_CPU_SECONDS:g}")
    print(f"  ours, with making the reference anew {mine + kept:7.3f}")
    print(f"  {versions:<35}  {peer:7.2f}   {peer / mine:.0f} x ours, goal {GOAL_TIMES:g} x")
    return bool(mine <= GOAL_CPU_SECONDS and peer >= GOAL_TIMES * mine)


def _agree(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Each measure's greatest difference over all columns, beside what is allowed."""
    checks = (
        ("KS statistic, SciPy's", "ks", "scipy_ks", KS_TOLERANCE),
        ("Wasserstein in std, Evidently's", "wasserstein", "wasserstein", WASSERSTEIN_TOLERANCE),
        ("PSI over Evidently's own bins", "psi_of_shares", "psi", EXACT),
        ("exact KS of arrays, SciPy's", "exact_ks", "scipy_ks", EXACT),
        ("exact Wasserstein in std, Evidently's", "exact_wasserstein", "wasserstein", EXACT),
    )
    is_fine = True
    for text, mine, peer, allowed in checks:
        worst = max(abs(a - b) for a, b in zip(ours[mine], theirs[peer], strict=True))
        is_fine &= worst <= allowed
        mark = "*" if worst > allowed else " "
        print(f"{mark} {text:<36} differs by {worst:.2e}, allowed {allowed:.2e}")
    return is_fine


if __name__ == "__main__":
    sys.exit(main())

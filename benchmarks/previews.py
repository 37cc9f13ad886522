"""Previews after every step of the churn example, on all 1,469,307 transactions.

`python -m benchmarks.previews`. Each question goes through the local engine to a warm, confined
process, one after the other, as a person's would; the portal's own part (row, broker, REST) is not
in it. Seconds on the clock: the machine should be quiet. Exit code 1: p95 is above the goal.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from benchmarks.pipeline import make_tables
from workers.engines.base import EngineContext
from workers.engines.local.pipelines import StepPreviews
from workers.engines.local.questions import question_pool

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "churn" / "project.yaml"
GOAL_SECONDS, ROUNDS, ROWS = 1.0, 3, 50


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args()
    definition = read_definition()
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as name:
        folder = Path(name)
        make_tables(folder)
        context = EngineContext(var_dir=folder, host="here", limits={})
        cold = preview(context, definition, next(iter(definition["steps"])))
        seconds = [
            preview(context, definition, step)
            for _ in range(asked.rounds)
            for step in definition["steps"]
        ]
        question_pool(str(folder / "jobs")).close()
    p95 = statistics.quantiles(seconds, n=20)[-1]
    print(f"first, while the process loads: {cold:.2f} s")
    print(f"{len(seconds)} more: p50 {statistics.median(seconds):.2f} s, p95 {p95:.2f} s")
    print(f"goal p95 ≤ {GOAL_SECONDS:.0f} s")
    return 0 if p95 <= GOAL_SECONDS else 1


def read_definition() -> dict[str, Any]:
    pipelines = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["pipelines"]
    found: dict[str, Any] = pipelines["household-features"]
    return {"parameters": found.get("parameters", {}), "steps": found["steps"]}


def preview(context: EngineContext, definition: dict[str, Any], step: str) -> float:
    spec = {
        "definition": json.dumps(definition),
        "parameters": {},
        "step": step,
        "limit": ROWS,
        "inputs": {
            name: {"path": str(context.var_dir / each["dataset"]), "number": 0}
            for name, each in definition["steps"].items()
            if each["operation"] == "read"
        },
    }
    began = time.perf_counter()
    seen = StepPreviews(context).submit(str(uuid4()), spec, "").observation
    spent = time.perf_counter() - began
    if seen is None or "error" in seen.outputs:
        raise SystemExit(f"no preview after {step}: {seen}")
    return spent


if __name__ == "__main__":
    sys.exit(main())

"""What the peers need. Run as a file by a peer's own Python: `serving_peer.py mlflow <pickle>
<folder>` saves the pickled model as MLflow's; Azure's server imports it as its entry script."""

import json
import os
import pickle  # the benchmark's own, made a moment ago
import sys
from pathlib import Path
from typing import Any

state: dict[str, Any] = {}


def init() -> None:
    """Azure's server calls this once."""
    state["model"] = pickle.loads(Path(os.environ["PEER_MODEL"]).read_bytes())  # noqa: S301


def run(data: str) -> list[list[float]]:
    """Azure's server calls this for each request, as its documentation's examples have it."""
    import numpy as np

    rows = np.array(json.loads(data)["data"])
    answer: list[list[float]] = state["model"].predict_proba(rows).tolist()
    return answer


def save_for_mlflow(source: str, folder: str) -> None:
    import mlflow.sklearn

    model = pickle.loads(Path(source).read_bytes())  # noqa: S301
    mlflow.sklearn.save_model(
        model,
        folder,
        serialization_format="cloudpickle",
        pip_requirements=["scikit-learn"],
        pyfunc_predict_fn="predict_proba",
    )


if __name__ == "__main__":
    save_for_mlflow(sys.argv[2], sys.argv[3])

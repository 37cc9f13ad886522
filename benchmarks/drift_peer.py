"""Evidently, for `benchmarks.drift`: run as a file in its own environment; says a line of JSON."""

import json
import sys
import time
from pathlib import Path


def main(folder: Path) -> None:
    import evidently
    import numpy as np
    import pandas as pd
    import scipy
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift
    from scipy import stats

    matrices = [np.load(folder / f"{name}.npy") for name in ("reference", "current")]
    names = [f"c{number}" for number in range(len(matrices[0]))]
    reference, current = (pd.DataFrame(each.T, columns=names) for each in matrices)
    definition = DataDefinition(numerical_columns=names)
    methods = ("psi", "ks", "wasserstein")
    began = time.process_time()
    report = Report(
        [ValueDrift(column=name, method=method) for method in methods for name in names]
    )
    done = report.run(
        Dataset.from_pandas(current, data_definition=definition),
        Dataset.from_pandas(reference, data_definition=definition),
    )
    values = [float(each["value"]) for each in done.dict()["metrics"]]
    said: dict[str, object] = {"cpu": time.process_time() - began}
    said["versions"] = (
        f"Evidently {evidently.__version__}, pandas {pd.__version__}, SciPy {scipy.__version__}"
    )
    for place, method in enumerate(methods):
        said[method] = values[place * len(names) : (place + 1) * len(names)]
    if not (folder / "oracle").exists():
        (folder / "oracle").touch()
        said["scipy_ks"] = [
            float(stats.ks_2samp(a, b).statistic) for a, b in zip(*matrices, strict=True)
        ]
    print(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

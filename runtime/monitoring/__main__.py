"""Entry point, run as a file in a job's `work`: `python -I runtime/monitoring/__main__.py`."""

import sys
from types import ModuleType

if __name__ == "__main__":
    # A confined process may read `runtime`, but not list the folder it lies in, where Python
    # would look for it.
    package = ModuleType("runtime")
    package.__path__ = [__file__.rsplit("/", 2)[0]]
    sys.modules["runtime"] = package
    from runtime.job import run
    from runtime.monitoring.evaluate import evaluate

    sys.exit(run(evaluate))

"""Entry point of an evaluation job: `python -I runtime/monitoring/__main__.py`."""

import sys

sys.path.insert(0, __file__.rsplit("/", 3)[0])

from runtime.job import run
from runtime.monitoring.evaluate import evaluate

if __name__ == "__main__":
    sys.exit(run(evaluate))

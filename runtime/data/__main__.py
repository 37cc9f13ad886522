"""Entry point, run as a file in the job's `work` folder: `python -I runtime/data/__main__.py`."""

import sys

if __name__ == "__main__":
    sys.path.insert(0, __file__.rsplit("/", 3)[0])
    from runtime.data.ingest import run_job

    sys.exit(run_job())

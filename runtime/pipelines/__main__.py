"""Entry point, run as a file: `python -I runtime/pipelines/__main__.py` in the job's folder."""

import sys

if __name__ == "__main__":
    sys.path.insert(0, __file__.rsplit("/", 3)[0])
    from runtime.job import run
    from runtime.pipelines.run import main

    sys.exit(run(main))

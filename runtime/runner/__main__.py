"""Entry point, run as a file: `python -I -S runtime/runner/__main__.py <job folder>`."""

import sys

if __name__ == "__main__":
    # -I and -S keep the start short and the environment's PYTHONPATH out; so say where we are.
    sys.path.insert(0, __file__.rsplit("/", 3)[0])
    from runtime.runner.run import main

    sys.exit(main(sys.argv[1]))

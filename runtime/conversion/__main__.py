"""Entry point, run as a file in a job's `work`: `python -I runtime/conversion/__main__.py`."""

import importlib.util
import sys

RUNTIME = __file__.rsplit("/", 2)[0]


def find_runtime() -> None:
    """Make `runtime` importable by its own path. The folder above must not be listed when
    confined, and the path finder finds nothing in a folder it cannot list."""
    spec = importlib.util.spec_from_file_location(
        "runtime", f"{RUNTIME}/__init__.py", submodule_search_locations=[RUNTIME]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no runtime in {RUNTIME}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["runtime"] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    find_runtime()
    from runtime import job
    from runtime.conversion.registering import register

    sys.exit(job.run(register))

"""Entry point, run as a file: `python -I runtime/pipelines/__main__.py`, in the job's `work`."""

import gc
import sys
from types import ModuleType

if __name__ == "__main__":
    # The confined process may read `runtime` but not list the folder it lies in, where Python
    # would look for it; so say where it is.
    package = ModuleType("runtime")
    package.__path__ = [__file__.rsplit("/", 2)[0]]
    sys.modules["runtime"] = package
    # Modules are there for good: looking through them for garbage would only take time.
    gc.disable()
    from runtime.job import run
    from runtime.pipelines.run import main

    gc.freeze()
    gc.enable()
    sys.exit(run(main))

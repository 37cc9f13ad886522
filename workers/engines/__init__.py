"""Finds the engines: every folder in the engine packages whose `__init__` has an `INFO` card."""

import importlib
import pkgutil
from collections.abc import Sequence
from functools import cache
from typing import Any, cast

from workers.engines.base import EngineContext, EngineError, EngineInfo, JobEngine, TargetCheck

DEFAULT_PACKAGES = ("workers.engines",)


@cache
def find_engines(packages: tuple[str, ...] = DEFAULT_PACKAGES) -> dict[str, EngineInfo]:
    """Engines by name. Adding one is adding a folder; nothing else has to be touched."""
    found: dict[str, EngineInfo] = {}
    for package in packages:
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            if not module.ispkg:
                continue
            info = getattr(importlib.import_module(f"{package}.{module.name}"), "INFO", None)
            if isinstance(info, EngineInfo):
                found[info.name] = info
    return found


def get_info(name: str, packages: Sequence[str] = DEFAULT_PACKAGES) -> EngineInfo:
    """Raise EngineError when this portal has no such engine."""
    try:
        return find_engines(tuple(packages))[name]
    except KeyError:
        raise EngineError(f"This portal has no engine called {name!r}.") from None


def open_engine(info: EngineInfo, kind: str, context: EngineContext) -> JobEngine:
    """The engine's code for one kind of job. Raise EngineError when it cannot run that kind."""
    if kind not in info.jobs:
        raise EngineError(f"{info.label} cannot run jobs of kind {kind!r}. Choose another target.")
    return cast("JobEngine", _load(info.jobs[kind].path)(context))


def check_target(info: EngineInfo, context: EngineContext) -> TargetCheck:
    """Ask the engine how the target is. May raise EngineUnavailable."""
    return cast("TargetCheck", _load(info.check_path)(context))


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)

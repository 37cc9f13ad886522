"""Calls that race each other."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from django.db import connection

T = TypeVar("T")


def run_together(number: int, call: Callable[[], T]) -> list[T]:
    """The answers of so many threads that begin the call at the same moment."""
    ready = Barrier(number)

    def one(_: int) -> T:
        try:
            ready.wait(10)
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(one, range(number)))

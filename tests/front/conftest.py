"""A real browser on a real server. One browser for the run; a fresh profile for each visit."""

import os
import shutil
from collections.abc import Iterator

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test.testcases import LiveServerThread
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import VAR_DIR
from tests.front.visits import Site

CHROMIUM_ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        reason = "Chromium is not installed (apt install chromium)"
        if os.environ.get("PORTOLAN_STRICT") == "1":
            pytest.fail(f"PORTOLAN_STRICT=1, but {reason}")
        pytest.skip(reason)
    with sync_playwright() as driver:
        # Playwright's loop lives in this thread; Django takes calls beside it for asynchronous.
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
        # It writes to its person's home, or what it takes for one: nothing leaves the clone.
        home = {"HOME": str(VAR_DIR), "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": ""}
        chromium = driver.chromium.launch(
            executable_path=found, args=CHROMIUM_ARGS, env={**os.environ, **home}
        )
        yield chromium
        chromium.close()
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


class _Portal(WSGIHandler):
    """The portal itself; static files come through WhiteNoise, not as Django's server does it."""

    def __init__(self, _: WSGIHandler) -> None:
        super().__init__()


@pytest.fixture
def site(browser: Browser, transactional_db: None) -> Iterator[Site]:
    server = LiveServerThread("127.0.0.1", static_handler=_Portal)
    server.daemon = True
    server.start()
    server.is_ready.wait()
    assert server.error is None
    visits = Site(f"http://127.0.0.1:{server.port}", browser)
    yield visits
    visits.close()
    server.terminate()

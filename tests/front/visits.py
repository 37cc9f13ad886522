"""Visits of pages in Chromium, and what is found wrong on them."""

from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from apps.accounts.models import User

Theme = Literal["light", "dark"]
WIDE, NARROW = 1440, 390


class Site:
    """The portal as people see it, signed in as `user` where one is given."""

    def __init__(self, address: str, browser: Browser) -> None:
        self.address = address
        self.browser = browser
        self.contexts: list[BrowserContext] = []

    def profile(
        self, user: User | None = None, *, theme: Theme = "light", width: int = WIDE
    ) -> BrowserContext:
        context = self.browser.new_context(
            viewport={"width": width, "height": 900},
            base_url=self.address,
            permissions=["clipboard-read", "clipboard-write"],
        )
        context.set_default_timeout(5000)
        cookies: dict[str, str] = {"portolan_theme": theme}
        if user is not None:
            client = Client()
            client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
            name = settings.SESSION_COOKIE_NAME
            cookies[name] = client.cookies[name].value
        context.add_cookies(
            [{"name": name, "value": value, "url": self.address} for name, value in cookies.items()]
        )
        self.contexts.append(context)
        return context

    def open(
        self, path: str, user: User | None = None, *, theme: Theme = "light", width: int = WIDE
    ) -> Page:
        page = self.profile(user, theme=theme, width=width).new_page()
        page.goto(path)
        return page

    def flaws(self, page: Page, path: str, *, status: int = 200) -> list[str]:
        """What is wrong with the page: status, console, sideways scroll, axe."""
        said: list[str] = []

        def note(message: ConsoleMessage) -> None:
            # Chromium reports every answer that is not 2xx; the status is checked below.
            if message.type in ("error", "warning") and "status of" not in message.text:
                said.append(message.text)

        page.on("console", note)
        page.on("pageerror", lambda error: said.append(str(error)))
        answer = page.goto(path)
        if answer is None or answer.status != status:
            said.append(f"status {answer and answer.status}, not {status}")
        page.evaluate("document.fonts.ready.then(() => true)")
        said += self.barriers(page)
        page.remove_listener("console", note)
        return said

    def barriers(self, page: Page) -> list[str]:
        """What of the page as it stands now keeps people out: axe's findings, sideways scroll."""
        beyond = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        found = [f"{beyond} px wider than the window"] if beyond > 0 else []
        for each in Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]:
            nodes = "; ".join(node["html"] for node in each["nodes"][:3])
            found.append(f"axe {each['id']}: {each['help']}: {nodes}")
        return found

    def close(self) -> None:
        for context in self.contexts:
            context.close()

"""What every page's template needs."""

from typing import Any

from django.http import HttpRequest

THEMES = ("light", "dark")


def theme_of(request: HttpRequest) -> str:
    """The theme the browser asked for in its cookie; else the system's."""
    asked = request.COOKIES.get("portolan_theme", "")
    return asked if asked in THEMES else "system"


def page(request: HttpRequest) -> dict[str, Any]:
    """Context for `base.html`: nothing here may query the database."""
    match = getattr(request, "resolver_match", None)
    return {"theme": theme_of(request), "page_name": match.view_name if match else ""}

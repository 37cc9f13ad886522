"""What every page's template needs."""

from typing import Any

from django.http import HttpRequest

THEMES = ("light", "dark")


def page(request: HttpRequest) -> dict[str, Any]:
    """Context for `base.html`: nothing here may query the database."""
    theme = request.COOKIES.get("portolan_theme", "")
    match = getattr(request, "resolver_match", None)
    return {
        "theme": theme if theme in THEMES else "system",
        "page_name": match.view_name if match else "",
    }

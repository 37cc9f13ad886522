"""What every page's template needs."""

from typing import Any

from django.http import HttpRequest


def page(request: HttpRequest) -> dict[str, Any]:
    """Context for `base.html`: nothing here may query the database."""
    return {"theme": request.COOKIES.get("portolan_theme", "system")}

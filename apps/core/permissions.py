"""Who may call REST at all; what they then see is decided in each resource's query."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

if TYPE_CHECKING:
    from rest_framework.views import APIView


class SignedInWithScope(BasePermission):
    """Signed in; and a token may only do what its scopes say.

    Reading takes `read`; anything else takes the resource's own scope, `<scope_noun>:write`. A
    view's `required_scopes` names another scope for an action. Without either, a token is refused.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if not request.user.is_authenticated:
            return False
        token: Any = request.auth
        if token is not None:
            needed = _needed_scope(request, view)
            if needed not in token.scopes:
                raise PermissionDenied(f"This token lacks the scope {needed}. Use one that has it.")
        return True


def _needed_scope(request: Request, view: "APIView") -> str:
    by_action: Mapping[str, str] = getattr(view, "required_scopes", {})
    action = getattr(view, "action", None) or ""
    if action in by_action:
        return by_action[action]
    if request.method in SAFE_METHODS:
        return "read"
    return f"{getattr(view, 'scope_noun', '')}:write"

"""Who may ask at all. What they may see and do is decided in each query and service."""

from typing import TYPE_CHECKING, Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

if TYPE_CHECKING:
    from rest_framework.views import APIView


class SignedInWithScope(BasePermission):
    """Signed in; and a token may only do what its scopes say.

    Reading takes `read`; anything else takes the resource's own scope, `<scope_noun>:write`.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if not request.user.is_authenticated:
            return False
        token: Any = request.auth
        if token is None:
            return True
        noun = getattr(view, "scope_noun", "")
        needed = "read" if request.method in SAFE_METHODS else f"{noun}:write"
        if needed not in token.scopes:
            raise PermissionDenied(f"This token lacks the scope {needed}. Use one that has it.")
        return True

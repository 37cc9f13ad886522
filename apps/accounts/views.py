"""Pages of one's own account, of invitations, and of everybody for site admins."""

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth import login
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.accounts import services
from apps.accounts.forms import AcceptForm, InviteForm, ProfileForm, TokenForm
from apps.accounts.lists import PEOPLE_LIST, TOKEN_LIST
from apps.accounts.models import ApiToken, User
from apps.accounts.tokens import create_token, revoke_token
from apps.core.errors import Conflict
from apps.core.forms import add_errors
from apps.core.listing import list_page
from apps.core.requests import SignedIn

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
BOTH = ["GET", "POST"]


@require_http_methods(BOTH)
def profile(request: SignedIn) -> HttpResponse:
    form = ProfileForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        try:
            services.update_profile(request.user, **form.cleaned_data)
        except (ValidationError, Conflict) as error:
            add_errors(form, error)
        else:
            messages.success(request, "Saved.")
            return redirect("accounts:profile")
    return render(request, "accounts/profile.html", {"form": form})


@never_cache
@require_http_methods(BOTH)
def tokens(request: SignedIn) -> HttpResponse:
    """One's own tokens, and the form for a new one, whose text is on the answering page alone."""
    form = TokenForm(request.POST or None)
    text = None
    if request.method == "POST" and form.is_valid():
        try:
            _, text = create_token(request.user, created_by=request.user, **form.cleaned_data)
        except (ValidationError, Conflict) as error:
            add_errors(form, error)
        else:
            form = TokenForm()
    page = list_page(TOKEN_LIST, ApiToken.objects.filter(user=request.user), request.GET)
    return render(request, "accounts/tokens.html", {"form": form, "page": page, "text": text})


@require_POST
def revoke(request: SignedIn, uuid: str) -> HttpResponse:
    token = get_object_or_404(ApiToken, uuid=uuid, user=request.user)
    revoke_token(token, user=request.user)
    messages.success(request, f"{token.name} is revoked.")
    return redirect("accounts:tokens")


@never_cache
@require_http_methods(BOTH)
def accept(request: HttpRequest, text: str) -> HttpResponse:
    """Where an invitation's link leads: choose a password, and be signed in."""
    invitation = services.find_invitation(text)
    if invitation is None:
        return render(request, "accounts/link_gone.html", status=404)
    form = AcceptForm(request.POST or None, initial={"name": invitation.user.name})
    if request.method == "POST" and form.is_valid():
        try:
            person = services.accept_invitation(invitation, **form.cleaned_data)
        except (ValidationError, Conflict) as error:
            add_errors(form, error)
        else:
            login(request, person, backend=BACKEND)
            return redirect("overview:home")
    return render(request, "accounts/accept.html", {"form": form, "invitation": invitation})


@never_cache
@require_http_methods(BOTH)
def sign_in_link(request: HttpRequest, token: str) -> HttpResponse:
    """A one-time link. It takes a button, so that nothing that merely opens it uses it up."""
    person = services.read_sign_in_link(token)
    if person is None:
        return render(request, "accounts/link_gone.html", status=404)
    if request.method == "POST":
        login(request, person, backend=BACKEND)
        return redirect("overview:home")
    return render(request, "accounts/link.html", {"person": person})


def _site_admin(request: SignedIn) -> None:
    """Site pages are not there for anybody else."""
    if not request.user.is_site_admin:
        raise Http404


@require_GET
def people(request: SignedIn) -> HttpResponse:
    _site_admin(request)
    page = list_page(PEOPLE_LIST, User.objects.filter(is_service=False), request.GET)
    return render(request, "accounts/people.html", {"page": page})


@never_cache
@require_http_methods(BOTH)
def invite(request: SignedIn) -> HttpResponse:
    """Invite somebody; the answering page shows the link, for where no mail is sent."""
    _site_admin(request)
    form = InviteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            invitation, link = services.invite_person(user=request.user, **form.cleaned_data)
        except (ValidationError, Conflict) as error:
            add_errors(form, error)
        else:
            context = {"person": invitation.user, "link": link}
            return render(request, "accounts/person.html", context)
    return render(request, "accounts/invite.html", {"form": form})


@require_GET
def person(request: SignedIn, uuid: str) -> HttpResponse:
    _site_admin(request)
    somebody = get_object_or_404(User, uuid=uuid, is_service=False)
    return render(request, "accounts/person.html", {"person": somebody})


ACTIONS: dict[str, Callable[[User, User], object]] = {
    "deactivate": lambda person, user: services.deactivate_person(person, user=user),
    "reactivate": lambda person, user: services.reactivate_person(person, user=user),
    "make-site-admin": lambda person, user: services.set_site_admin(
        person, is_site_admin=True, user=user
    ),
    "remove-site-admin": lambda person, user: services.set_site_admin(
        person, is_site_admin=False, user=user
    ),
    "revoke": lambda person, user: services.revoke_invitation(person, user=user),
}


@require_POST
def change(request: SignedIn, uuid: str, action: str) -> HttpResponse:
    """Whatever a site admin does to a person by one button."""
    _site_admin(request)
    somebody = get_object_or_404(User, uuid=uuid, is_service=False)
    ACTIONS[action](somebody, request.user)
    messages.success(request, f"Done: {action.replace('-', ' ')}, {somebody.email}.")
    return redirect("accounts:people")


@never_cache
@require_POST
def resend(request: SignedIn, uuid: str) -> HttpResponse:
    _site_admin(request)
    somebody = get_object_or_404(User, uuid=uuid, is_service=False)
    _, link = services.renew_invitation(somebody, user=request.user)
    return render(request, "accounts/person.html", {"person": somebody, "link": link})

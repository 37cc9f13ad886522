"""allauth, told how this house does it: by invitation, by e-mail, with encrypted TOTP seeds."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from apps.accounts.models import User
from apps.accounts.services import accept_invitation
from apps.core import crypto
from apps.events.services import record_event


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """People come by invitation."""
        return False

    def pre_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse | None:
        """Service accounts act through tokens, never through a browser."""
        if user.is_service:
            refusal: HttpResponse = self.respond_user_inactive(request, user)
            return refusal
        answer: HttpResponse | None = super().pre_login(request, user, **kwargs)
        return answer

    def post_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse:
        record_event("person.signed_in", actor=user, kind="person", id=user.uuid, label=user.email)
        answer: HttpResponse = super().post_login(request, user, **kwargs)
        return answer


class MfaAdapter(DefaultMFAAdapter):
    def encrypt(self, text: str) -> str:
        return crypto.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        return crypto.decrypt(encrypted_text)


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    """Sign-in by OpenID Connect, such as Entra ID.

    Whoever has an account or an invitation under the same verified address is let in; others are
    refused, unless the site lets the provider make people.
    """

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        if sociallogin.is_existing:
            self._refuse_inactive(request, sociallogin.user)
            return
        email = self._verified_email(sociallogin)
        if not email:
            self._refuse(request, "Your provider did not confirm your e-mail address.")
        person = User.objects.filter(email__iexact=email, is_service=False).first()
        if person is None:
            if not settings.ENV.oidc_create_people:
                self._refuse(request, f"Nobody has invited {email} yet. Ask a site admin.")
            return
        if person.is_invited and (invitation := getattr(person, "invitation", None)):
            person = accept_invitation(invitation, password=None)
        self._refuse_inactive(request, person)
        sociallogin.connect(request, person)

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return bool(settings.ENV.oidc_create_people)

    def _verified_email(self, sociallogin: Any) -> str:
        said = sociallogin.account.extra_data
        claims = {**said.get("userinfo", {}), **said.get("id_token", {}), **said}
        provider = sociallogin.account.provider
        trusted = [each.id for each in settings.ENV.oidc_providers if each.trust_email]
        if claims.get("email_verified") is True or provider in trusted:
            return str(claims.get("email") or "").strip().lower()
        return ""

    def _refuse_inactive(self, request: HttpRequest, person: User) -> None:
        if not person.is_active or person.is_service:
            self._refuse(request, "This account is deactivated. Ask a site admin.")

    def _refuse(self, request: HttpRequest, why: str) -> None:
        page = render(request, "accounts/refused.html", {"why": why}, status=403)
        raise ImmediateHttpResponse(page)

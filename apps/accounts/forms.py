"""Forms of people, invitations and tokens."""

import zoneinfo
from typing import Any

from django import forms

from apps.accounts.models import User
from apps.accounts.scopes import SCOPES
from apps.accounts.tokens import DEFAULT_DAYS, MAX_DAYS


class InviteForm(forms.Form):
    email = forms.EmailField(label="E-mail", max_length=254)
    name = forms.CharField(label="Name", max_length=120)
    is_site_admin = forms.BooleanField(
        label="Site admin", required=False, help_text="Runs the site: people, targets, backups."
    )


class AcceptForm(forms.Form):
    name = forms.CharField(label="Your name", max_length=120)
    password = forms.CharField(
        label="Password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 10 characters.",
    )


class ProfileForm(forms.Form):
    name = forms.CharField(label="Name", max_length=120)
    time_zone = forms.ChoiceField(label="Time zone")

    def __init__(self, data: Any, *, user: User) -> None:
        super().__init__(data, initial={"name": user.name, "time_zone": user.time_zone})
        zones = sorted(zoneinfo.available_timezones())
        self.fields["time_zone"].choices = [(zone, zone) for zone in zones]  # type: ignore[attr-defined]


class TokenForm(forms.Form):
    name = forms.CharField(label="Name", max_length=80, help_text="What will use it.")
    scopes = forms.MultipleChoiceField(
        label="It may",
        choices=[(scope, text) for scope, text in SCOPES.items()],
        widget=forms.CheckboxSelectMultiple,
        initial=["read"],
    )
    days = forms.IntegerField(
        label="Expires after, days", min_value=1, max_value=MAX_DAYS, initial=DEFAULT_DAYS
    )

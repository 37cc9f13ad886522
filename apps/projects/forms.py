"""Forms of projects, members and project tokens."""

from django import forms

from apps.accounts.scopes import SCOPES
from apps.accounts.tokens import DEFAULT_DAYS, MAX_DAYS
from apps.projects.models import Role

PROJECT_SCOPES = (
    "read", "jobs:write", "projects:write", "sources:write", "pipelines:write",
    "experiments:write", "models:write", "endpoints:write", "monitors:write",
)  # fmt: skip


class NewProjectForm(forms.Form):
    name = forms.CharField(label="Name", max_length=80)
    slug = forms.CharField(
        label="Short name",
        max_length=48,
        required=False,
        help_text="For addresses and files: lower-case letters, digits, hyphens. It stays for "
        "good. Left empty, it is made from the name.",
    )
    description = forms.CharField(
        label="What it is for", max_length=2000, required=False, widget=forms.Textarea
    )


class SettingsForm(forms.Form):
    name = forms.CharField(label="Name", max_length=80)
    description = forms.CharField(
        label="What it is for", max_length=2000, required=False, widget=forms.Textarea
    )


class MemberForm(forms.Form):
    email = forms.EmailField(label="E-mail of somebody with an account", max_length=254)
    role = forms.ChoiceField(label="Role", choices=Role.choices, initial=Role.VIEWER)


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices)


class ProjectTokenForm(forms.Form):
    name = forms.CharField(label="Name", max_length=80, help_text="What will use it.")
    role = forms.ChoiceField(
        label="Role", choices=[choice for choice in Role.choices if choice[0] != Role.OWNER]
    )
    scopes = forms.MultipleChoiceField(
        label="It may",
        choices=[(scope, SCOPES[scope]) for scope in PROJECT_SCOPES],
        widget=forms.CheckboxSelectMultiple,
        initial=["read"],
    )
    days = forms.IntegerField(
        label="Expires after, days", min_value=1, max_value=MAX_DAYS, initial=DEFAULT_DAYS
    )

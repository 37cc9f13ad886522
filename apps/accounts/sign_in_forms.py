"""allauth's forms in this house's words: sentence case, no label said twice."""

from typing import Any

from allauth.account import forms as allauth


class HouseWords:
    """Put before a form of allauth's."""

    fields: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.label = str(field.label).capitalize().replace("Email", "E-mail")
            field.widget.attrs.pop("placeholder", None)


class SignInForm(HouseWords, allauth.LoginForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["remember"].label = "Stay signed in on this device"


class ReauthenticateForm(HouseWords, allauth.ReauthenticateForm):  # type: ignore[misc]
    pass


class ChangePasswordForm(HouseWords, allauth.ChangePasswordForm):  # type: ignore[misc]
    pass


class SetPasswordForm(HouseWords, allauth.SetPasswordForm):  # type: ignore[misc]
    pass


class ResetPasswordForm(HouseWords, allauth.ResetPasswordForm):  # type: ignore[misc]
    pass


class ResetPasswordKeyForm(HouseWords, allauth.ResetPasswordKeyForm):  # type: ignore[misc]
    pass

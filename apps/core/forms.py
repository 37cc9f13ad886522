"""What services refuse, shown in the form that asked for it."""

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from apps.core.errors import Conflict


def add_errors(form: forms.BaseForm, error: ValidationError | Conflict) -> None:
    """Put a service's errors at the form's fields; what has no field there stands above them."""
    if isinstance(error, Conflict):
        form.add_error(None, error.message)
    elif not hasattr(error, "error_dict"):
        form.add_error(None, error.messages)
    else:
        for name, messages in error.message_dict.items():
            has_field = name in form.fields
            is_whole = name == NON_FIELD_ERRORS
            text = messages if has_field or is_whole else [f"{name}: {each}" for each in messages]
            form.add_error(name if has_field else None, text)

"""Fields and validators that many models share."""

from django.core.validators import RegexValidator

SLUG_LENGTH = 48
slug_rule = RegexValidator(
    r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
    "Use lower-case letters, digits and single hyphens; start with a letter.",
)

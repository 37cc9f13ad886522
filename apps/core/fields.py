"""Fields, validators and texts that many apps share."""

from django.core.validators import RegexValidator

SLUG_LENGTH = 48
SLUG_TEXT = "Lower-case letters, digits and single hyphens; begins with a letter. It never changes."
slug_rule = RegexValidator(
    r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
    "Use lower-case letters, digits and single hyphens; start with a letter.",
)


def document_text(name: str, about: str) -> str:
    """What the OpenAPI document says of a field that holds a document, and where its shape is."""
    return f"{about} Its JSON Schema: `GET /api/v1/document-schemas/{name}/`."

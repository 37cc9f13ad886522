import pytest
from rest_framework.test import APIClient

from apps.accounts.models import User
from apps.accounts.scopes import SCOPES
from apps.accounts.tokens import create_token
from tests.factories import make_user


@pytest.fixture
def person(db: None) -> User:
    return make_user()


def client_for(person: User, *scopes: str) -> APIClient:
    """A client with a token of the person's, with every scope unless told otherwise."""
    _, text = create_token(person, name="t", scopes=scopes or SCOPES, days=1, created_by=person)
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


@pytest.fixture
def api(person: User) -> APIClient:
    return client_for(person)

"""Encryption of what must be read back: TOTP seeds now, targets' credentials later.

Fernet (AES-128-CBC with HMAC-SHA256) under keys derived from the portal's secret keys, so a new
key in front of the key file re-encrypts on the next write and the old ones still decrypt.
"""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


def _fernet() -> MultiFernet:
    digests = (hashlib.sha256(b"portolan-secrets:" + k.encode()).digest() for k in settings.KEYS)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])


def encrypt(text: str) -> str:
    return _fernet().encrypt(text.encode()).decode()


def decrypt(token: str) -> str:
    """Raise ValueError, with the next step, when no key of ours made the token."""
    try:
        return _fernet().decrypt(token.encode()).decode()
    except InvalidToken:
        raise ValueError(
            "This secret was encrypted under another key. Restore the key file that belongs to "
            "this database, or enter the secret again."
        ) from None


def key_fingerprint(key: str) -> str:
    """Twelve hex characters that tell keys apart without giving one away."""
    return hashlib.sha256(b"portolan-fingerprint:" + key.encode()).hexdigest()[:12]

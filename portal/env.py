"""What a site may set, in the environment (`PORTOLAN_…`) or in `portolan.env`.

`docs/settings.md` explains each; a test holds the two together.
"""

import socket
import urllib.parse
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

BASE_DIR = Path(__file__).resolve().parent.parent
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class OidcProvider(BaseModel):
    """An OpenID Connect provider; `trust_email` believes an address it does not call verified."""

    id: str
    name: str
    client_id: str
    secret: str
    server_url: str
    trust_email: bool = False

    @field_validator("server_url")
    @classmethod
    def _safe(cls, value: str) -> str:
        # What it says comes to us directly, and TLS is what vouches for it (OpenID Connect Core
        # 3.1.3.7, 6): its signature is not looked at.
        url = urllib.parse.urlsplit(value)
        if url.scheme != "https" and url.hostname not in LOOPBACK:
            raise ValueError("server_url begins with https://")
        return value


class Env(BaseSettings):
    """What a site may set. Names in the environment are these, upper case, after `PORTOLAN_`."""

    model_config = SettingsConfigDict(
        env_prefix="PORTOLAN_", env_file=BASE_DIR / "portolan.env", extra="ignore"
    )

    var_dir: Path = BASE_DIR / "var"
    base_url: str = "http://localhost:8300"
    bind: str = "127.0.0.1"
    port: int = 8300
    hosts: list[str] = ["localhost", "127.0.0.1", "[::1]"]
    behind_proxy: bool = False
    debug: bool = False

    environments_dir: Path = BASE_DIR / ".envs"
    folder_roots: list[Path] = [BASE_DIR / ".envs" / "examples"]
    upload_max_mb: int = 2048
    allowed_private_hosts: list[str] = []
    serving_bind: str = "127.0.0.1"
    serving_port: int = 8301
    serving_url: str = ""

    database_url: str = ""
    broker_url: str = ""
    host_name: str = Field(default_factory=socket.gethostname)
    secret_keys: list[str] = []

    web_threads: int = 4
    web_workers: int = 1
    worker_pool: Literal["threads", "prefork"] = "threads"
    worker_concurrency: int = 4
    lease_seconds: float = 30.0
    tick_seconds: float = 1.0
    engine_packages: list[str] = ["workers.engines"]
    job_memory_mb: int = 2048
    job_disk_mb: int = 10240
    job_processes: int = 256
    job_seconds: int = 86400

    session_days: int = 14
    invitation_days: int = 7
    sign_in_attempts: int = 5
    sign_in_lock_minutes: int = 15
    require_totp: bool = False
    oidc_providers: list[OidcProvider] = []
    oidc_create_people: bool = False
    rate_per_minute_user: int = 1200
    rate_per_minute_anonymous: int = 60
    idempotency_hours: int = 24

    email_url: str = ""
    email_from: str = "portolan@localhost"
    log_level: str = "INFO"

    @field_validator("var_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.resolve()

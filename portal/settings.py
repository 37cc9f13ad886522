"""Django's settings, made from what the site has set (`portal/env.py`).

Everything that is written lies under `var_dir`. With nothing set, the portal runs on SQLite and its
own Valkey on this machine; a database URL and a broker URL make the same code run on PostgreSQL and
Redis with several hosts.
"""

import datetime as dt
import urllib.parse
from typing import Any

import dj_database_url
from csp.constants import NONE, SELF

from portal.env import BASE_DIR, Env
from portal.keys import load_keys

ENV = Env()
VAR_DIR = ENV.var_dir
KEYS = load_keys(VAR_DIR / "keys", ENV.secret_keys)
SECRET_KEY = KEYS[0]
SECRET_KEY_FALLBACKS = KEYS[1:]

DEBUG = ENV.debug
ALLOWED_HOSTS = ENV.hosts
CSRF_TRUSTED_ORIGINS = [ENV.base_url]
IS_HTTPS = ENV.base_url.startswith("https://")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "template_partials",
    "csp",
    "rest_framework",
    "drf_spectacular",
    "axes",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "portal",
    "apps.core",
    "apps.events",
    "apps.accounts",
    "apps.projects",
    "apps.notify",
    "apps.targets",
    "apps.jobs",
    "apps.schedules",
    "apps.sources",
    "apps.pipelines",
    "apps.experiments",
    "apps.registry",
    "apps.deployments",
    "apps.monitoring",
    "apps.overview",
]

MIDDLEWARE = [
    "apps.core.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "apps.accounts.middleware.SignedInMiddleware",
    "apps.core.middleware.ConflictMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apps.core.context.page",
            ],
            "builtins": [
                "apps.core.templatetags.portolan",
                "template_partials.templatetags.partials",
            ],
        },
    }
]

SQLITE_OPTIONS = {
    "timeout": 20,
    "transaction_mode": "IMMEDIATE",
    "init_command": (
        "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA foreign_keys=ON;"
        "PRAGMA temp_store=MEMORY;PRAGMA mmap_size=134217728;"
        "PRAGMA journal_size_limit=67108864;PRAGMA cache_size=-20000;"
    ),
}


def _database() -> dict[str, Any]:
    if not ENV.database_url:
        path = VAR_DIR / "portolan.sqlite3"
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": path,
            "OPTIONS": SQLITE_OPTIONS,
            # A file, so that threads and real processes in tests see the same rows.
            "TEST": {"NAME": VAR_DIR / "test.sqlite3"},
        }
    parsed: dict[str, Any] = dict(dj_database_url.parse(ENV.database_url, conn_health_checks=True))
    if parsed["ENGINE"].endswith("sqlite3"):
        return {**parsed, "OPTIONS": SQLITE_OPTIONS}
    return {**parsed, "CONN_MAX_AGE": 60}


DATABASES = {"default": _database()}
IS_SQLITE = DATABASES["default"]["ENGINE"].endswith("sqlite3")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The bundled broker listens on a unix socket only; its password is made at first start.
BROKER_SOCKET = VAR_DIR / "run" / "broker.sock"
BROKER_PASSWORD_FILE = VAR_DIR / "keys" / "broker-password"
IS_BROKER_BUNDLED = not ENV.broker_url


def _broker_urls() -> tuple[str, str]:
    """The broker's address as Celery and as redis-py spell it."""
    if ENV.broker_url:
        return ENV.broker_url, ENV.broker_url
    password = load_keys(BROKER_PASSWORD_FILE.parent, [], name=BROKER_PASSWORD_FILE.name)[0]
    return (
        f"redis+socket://:{password}@{BROKER_SOCKET}?virtual_host=0",
        f"unix://:{password}@{BROKER_SOCKET}?db=0",
    )


CELERY_BROKER_URL, REDIS_URL = _broker_urls()
# A dead broker must cost a request about a second, never more: the sweep picks the job up later.
CELERY_BROKER_TRANSPORT_OPTIONS = {"max_retries": 0, "socket_connect_timeout": 1}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "jobs"
CELERY_TASK_CREATE_MISSING_QUEUES = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False

LEASE_SECONDS = ENV.lease_seconds
ENGINE_PACKAGES = ENV.engine_packages

CACHES = {
    "default": {
        "BACKEND": "apps.core.cache.ForgivingRedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
    }
}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AUTH_PASSWORD_VALIDATORS[1]["OPTIONS"] = {"min_length": 10}  # type: ignore[assignment]
ACCOUNT_FORMS = {
    key: f"apps.accounts.sign_in_forms.{name}Form"
    for key, name in {
        "login": "SignIn",
        "reauthenticate": "Reauthenticate",
        "change_password": "ChangePassword",
        "set_password": "SetPassword",
        "reset_password": "ResetPassword",
        "reset_password_from_key": "ResetPasswordKey",
    }.items()
}
ACCOUNT_ADAPTER = "apps.accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_LOGIN_ON_PASSWORD_RESET = False
# One lockout, not two: axes counts failures, in the database, so it works with the broker down.
ACCOUNT_RATE_LIMITS = False
AXES_FAILURE_LIMIT = ENV.sign_in_attempts
AXES_COOLOFF_TIME = dt.timedelta(minutes=ENV.sign_in_lock_minutes)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_CALLABLE = "apps.accounts.lockout.username_of"
AXES_CLIENT_IP_CALLABLE = "apps.accounts.lockout.address_of"
AXES_LOCKOUT_CALLABLE = "apps.accounts.lockout.locked_out"
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
MFA_ADAPTER = "apps.accounts.adapter.MfaAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "Portolan"
USERSESSIONS_TRACK_ACTIVITY = False
SOCIALACCOUNT_ADAPTER = "apps.accounts.adapter.SocialAccountAdapter"
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": provider.id,
                "name": provider.name,
                "client_id": provider.client_id,
                "secret": provider.secret,
                "settings": {"server_url": provider.server_url},
            }
            for provider in ENV.oidc_providers
        ],
    }
}
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "overview:home"
SESSION_COOKIE_AGE = ENV.session_days * 86400
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS
SESSION_COOKIE_NAME = "portolan_session"
CSRF_COOKIE_NAME = "portolan_csrf"
SECURE_SSL_REDIRECT = False  # the proxy in front does it; the portal itself speaks plain HTTP
SECURE_HSTS_SECONDS = 31536000 if IS_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = False
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# The proxy redirects to HTTPS; subdomains and preload lists are the site's own decision.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]
CSRF_FAILURE_VIEW = "apps.core.error_pages.csrf_failure"
if ENV.behind_proxy:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.accounts.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["apps.core.permissions.SignedInWithScope"],
    "DEFAULT_PAGINATION_CLASS": "apps.core.paging.HousePagination",
    "DEFAULT_THROTTLE_CLASSES": ["apps.core.throttles.MinuteThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["apps.core.parsers.HouseJSONParser"],
    "DEFAULT_METADATA_CLASS": None,
    "URL_FORMAT_OVERRIDE": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "apps.core.problems.handle",
    "NON_FIELD_ERRORS_KEY": "non_field_errors",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "NUM_PROXIES": 1 if ENV.behind_proxy else 0,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Portolan",
    "DESCRIPTION": (
        "Everything the browser does, for programs. Send a token as “Authorization: Bearer "
        "ptl_…”. Requests with the browser's session cookie need its CSRF token in `X-CSRFToken` "
        "to change anything; requests with a token do not.\n\n"
        "Names. Bodies name the project and its things by slug; addresses and answers have "
        "uuids, and answers the slugs too.\n\n"
        "Work. What takes time is a job. The answer has a `state` (queued, running, then "
        "succeeded, failed or cancelled) and a `message`: ask for the same thing again until the "
        "state is final, say twice a second. `job` is its job, with the log.\n\n"
        "Documents. Fields such as `definition` hold a document. Its JSON Schema is at "
        "`/api/v1/document-schemas/<kind>/`, and faults are told by their path in it, such as "
        "`definition.steps.clean.where`.\n\n"
        "Lists take `filter`, `cursor` and `size`. A filter is made of conditions such as "
        "`project = churn and (state in (failed, cancelled) or created_at >= now-2d)`: `=`, `!=`, "
        "`<`, `<=`, `>`, `>=`, `~` (contains), `in`, `is null`; `and`, `or`, `not`; quotes around "
        "a value with blanks.\n\n"
        "Errors are RFC 9457 problems; `errors` names each field.\n\n"
        "Order of things. A project; uploads, sources, datasets (and their ingest); pipelines, "
        "which write datasets; experiments and runs; models, versions, approval, aliases; "
        "endpoints, releases, weights, keys; monitors and their evaluations. An endpoint answers "
        "at its own `url`, not under `/api/`: `endpoints_schema` is the document of that."
    ),
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "LICENSE": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    "SERVE_INCLUDE_SCHEMA": False,
    "GET_LIB_DOC_EXCLUDES": "apps.core.schema.doc_excludes",
    "COMPONENT_SPLIT_REQUEST": True,
    "COMPONENT_SPLIT_PATCH": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "JobState": "apps.jobs.models.State",
        "ProjectScope": "apps.projects.forms.PROJECT_SCOPES",
        "ProjectTokenRole": ["viewer", "contributor"],
        "Role": "apps.projects.models.Role",
        "Scope": "apps.accounts.scopes.SCOPES",
        "TargetDesired": "apps.targets.models.Desired",
        "TargetObserved": "apps.targets.models.Observed",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "apps.core.schema.add_frame",
    ],
}
# A body of REST or a form; uploads get a limit of their own where they are taken.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Only our own files are served: no page uses those that the installed apps bring.
STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

DEFAULT_FROM_EMAIL = ENV.email_from
EMAIL_FILE_PATH = VAR_DIR / "mail"
EMAIL_TIMEOUT = 10
if ENV.email_url:
    _mail = urllib.parse.urlsplit(ENV.email_url)
    if _mail.scheme not in ("smtp", "smtp+tls", "smtps"):
        raise ValueError("PORTOLAN_EMAIL_URL begins with smtp://, smtp+tls:// or smtps://")
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    EMAIL_USE_SSL, EMAIL_USE_TLS = _mail.scheme == "smtps", _mail.scheme == "smtp+tls"
    EMAIL_HOST, EMAIL_PORT = _mail.hostname or "localhost", _mail.port or 25
    EMAIL_HOST_USER = urllib.parse.unquote(_mail.username or "")
    EMAIL_HOST_PASSWORD = urllib.parse.unquote(_mail.password or "")
else:
    # Without a mail server, what would be mailed lies in files, for whoever runs the site.
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "apps.core.logs.RequestIdFilter"}},
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"}
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["request_id"],
        }
    },
    "root": {"handlers": ["console"], "level": ENV.log_level},
    "loggers": {"django.server": {"handlers": ["console"], "propagate": False}},
}

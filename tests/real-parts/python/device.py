"""A real authorization server for the tests: django-oauth-toolkit, with the codes of devices (RFC 8628).

    python device.py FOLDER

Its database is a file in that folder. When it listens it prints one line of JSON with its address. It ends when
its standard input is closed, so it never outlives the test that started it, however that test ends.

Knows the user `alice`, and two clients: `device-client`, which is public, and `device-secret-client` with the
secret `device-secret`. Its pages are the library's own, but for the sign-in: `/log-in?user=alice` says yes.
"""

import json
import os
import secrets
import sys
import threading
from pathlib import Path

import django
from django.conf import settings

folder = Path(sys.argv[1])

settings.configure(
    SECRET_KEY=secrets.token_hex(),
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    LOGIN_URL="/log-in",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "oauth2_provider",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    # The secret of a client is hashed at each poll, for a second and more by the default.
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    # A poll and a page may write at the same time.
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": folder / "device.sqlite3",
            "OPTIONS": {"timeout": 20},
        },
    },
    OAUTH2_PROVIDER={
        "SCOPES": {"read": "Read", "write": "Write"},
        "DEFAULT_SCOPES": ["read"],
        "DEVICE_FLOW_INTERVAL": 1,
        # The port is known when it listens; requests come later.
        "OAUTH_DEVICE_VERIFICATION_URI": "to be set",
        "OAUTH_DEVICE_VERIFICATION_URI_COMPLETE": "to be set",
    },
)
django.setup()

from django.contrib.auth import get_user_model, login  # noqa: E402: only after the setup
from django.core.management import call_command  # noqa: E402
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponseRedirect  # noqa: E402
from django.urls import include, path  # noqa: E402
from oauth2_provider.models import get_application_model  # noqa: E402
from oauth2_provider.settings import oauth2_settings  # noqa: E402
from oauth2_provider.urls import metadata_urlpatterns  # noqa: E402


def log_in(request):
    """Stands in for a sign-in page."""
    user = get_user_model().objects.get(username=request.GET.get("user", "alice"))
    login(request, user)
    return HttpResponseRedirect(request.GET["next"])


urlpatterns = [
    path("log-in", log_in),
    path("o/", include("oauth2_provider.urls")),
    # RFC 8414 has the document of an issuer with a path at the root.
    *metadata_urlpatterns,
]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def register():
    call_command("migrate", verbosity=0)
    get_user_model().objects.create_user("alice", password=secrets.token_hex())
    applications = get_application_model().objects
    grant = applications.model.GRANT_DEVICE_CODE
    applications.create(
        name="A device",
        client_id="device-client",
        client_type="public",
        authorization_grant_type=grant,
    )
    applications.create(
        name="A device with a secret",
        client_id="device-secret-client",
        client_secret="device-secret",
        client_type="confidential",
        authorization_grant_type=grant,
    )


register()
server = ThreadedWSGIServer(("127.0.0.1", 0), Quiet)
server.daemon_threads = True
server.set_app(get_wsgi_application())
origin = f"http://127.0.0.1:{server.server_port}"
oauth2_settings.OAUTH_DEVICE_VERIFICATION_URI = f"{origin}/o/device/"
oauth2_settings.OAUTH_DEVICE_VERIFICATION_URI_COMPLETE = f"{origin}/o/device/?user_code={{user_code}}"
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"origin": origin}), flush=True)
sys.stdin.read()
os._exit(0)

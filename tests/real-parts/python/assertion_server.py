"""An authorization server for the tests: the one of Authlib, with the JWT bearer grant (RFC 7523 section 2.1), and
a small API.

    python assertion_server.py '{"clients": [{"client_id", "scope", "jwks"}], "users": ["alice"]}'

When it listens it prints one line of JSON with its issuer. It ends when its standard input is closed, so it never
outlives the test that started it. What an assertion is worth, Authlib decides; here stand its clients and users,
what it leaves to whoever uses it, and its way from and to HTTP.

    /.well-known/oauth-authorization-server
    /token                 Authlib's
    /api/...               the protected API: 200 for a live token, 401 for any other
    /admin/revoke          POST a token as the body: that access token dies, and nothing else
    /admin/token-requests  what the token endpoint was asked, in order
"""

import os

from authlib.common.security import generate_token
from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, InvalidGrantError, OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7523 import JWTBearerGrant
from joserfc.jwk import KeySet

from serving import TokenRequests, api, serve


class Client(ClientMixin):
    def __init__(self, metadata):
        self.client_id = metadata["client_id"]
        self.scope = metadata["scope"].split()
        self.keys = KeySet.import_key_set(metadata["jwks"])

    def get_client_id(self):
        return self.client_id

    def get_allowed_scope(self, scope):
        return " ".join(name for name in (scope or "").split() if name in self.scope)

    def check_grant_type(self, grant_type):
        return grant_type == JWTBearerGrant.GRANT_TYPE


class Form(OAuth2Request):
    def __init__(self, uri, form):
        super().__init__("POST", uri)
        self.fields = form
        self.payload = BasicOAuth2Payload(form)

    @property
    def form(self):
        return self.fields

    @property
    def args(self):
        return {}


class AssertionGrant(JWTBearerGrant):
    """Each assertion is good for one use, which Authlib leaves to those who can remember it."""

    def process_assertion_claims(self, assertion):
        claims = super().process_assertion_claims(assertion)
        if "jti" not in claims or claims["jti"] in self.server.seen:
            raise InvalidGrantError(description="the assertion was used before")
        self.server.seen.add(claims["jti"])
        return claims

    def resolve_issuer_client(self, issuer):
        return self.server.query_client(issuer)

    def resolve_client_public_key(self, client):
        return client.keys

    def authenticate_user(self, subject):
        return subject if subject in self.server.users else None

    def has_granted_permission(self, client, user):
        return True

    def get_audiences(self):
        return [self.server.issuer]


class AssertionServer(AuthorizationServer):
    def __init__(self, issuer, settings):
        super().__init__()
        self.issuer = issuer
        self.clients = {client["client_id"]: Client(client) for client in settings["clients"]}
        self.users = settings["users"]
        self.seen = set()
        self.callers = {}
        self.token_requests = TokenRequests()
        self.register_token_generator("default", BearerTokenGenerator(lambda **_: generate_token(42)))
        self.register_grant(AssertionGrant)

    def query_client(self, client_id):
        return self.clients.get(client_id)

    def save_token(self, token, request):
        self.callers[token["access_token"]] = {
            "sub": request.user,
            "client_id": request.client.client_id,
            "scope": token["scope"],
        }

    def send_signal(self, name, *args, **kwargs):
        pass

    def create_oauth2_request(self, request):
        return Form(f"{self.issuer}/token", request.form())

    def handle_response(self, status, body, headers):
        return status, body

    def answer(self, request):
        if request.path == "/.well-known/oauth-authorization-server":
            return 200, {"issuer": self.issuer, "token_endpoint": f"{self.issuer}/token"}
        if request.path == "/token":
            status, answer = self.create_token_response(request)
            self.token_requests.note(request.form(), status, answer)
            return status, answer
        if request.path.startswith("/api/"):
            return api(self.callers.get(request.bearer_token()))
        if request.path == "/admin/revoke":
            del self.callers[request.body]
            return 200, {}
        if request.path == "/admin/token-requests":
            return 200, self.token_requests
        return 404, {}


if __name__ == "__main__":
    # Loopback has no TLS.
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    serve(AssertionServer)

"""An authorization server for the tests: the one of idpyoidc, with token exchange (RFC 8693), and a small API.

    python exchange_server.py '{"clients": [{"client_id", "client_secret", "allowed_scopes"}]}'

When it listens it prints one line of JSON with its issuer. It ends when its standard input is closed, so it never
outlives the test that started it. What a token request is worth and what it brings, idpyoidc decides, by its own
policy for exchanges; here stand its settings, and its way from and to HTTP.

    /.well-known/oauth-authorization-server, /token   idpyoidc's
    /api/...               the protected API: 200 for a live token, 401 for any other
    /admin/sign-in         POST {"client", "account", "scope"}: the access token of a user who has signed in there
    /admin/revoke          POST a token as the body: that access token dies, and nothing else
    /admin/token-requests  what the token endpoint was asked, in order
"""

import json
import logging
import os
import tempfile

from cryptojwt.exception import BadSyntax
from idpyoidc.server import Server
from idpyoidc.server.authn_event import create_authn_event
from idpyoidc.server.configure import ASConfiguration
from idpyoidc.server.exception import ClientAuthenticationError, ToOld, UnAuthorizedClient
from idpyoidc.server.oauth2.token_helper import validate_token_exchange_policy
from idpyoidc.server.token.exception import UnknownToken

from serving import TokenRequests, api, serve

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
KEYS = [{"type": "EC", "crv": "P-256", "use": ["sig"]}]
SCOPES = ["api:read", "api:write"]
AUDIENCES = ["orders", "stock"]


def configuration(issuer):
    """idpyoidc's defaults, with exchange, and with access tokens that are JWT and may be exchanged."""
    policy = {"function": validate_token_exchange_policy, "kwargs": {"audience": AUDIENCES}}
    exchange = {
        "class": "idpyoidc.server.oauth2.token_helper.token_exchange.TokenExchangeHelper",
        "kwargs": {"requested_token_types_supported": [ACCESS_TOKEN], "policy": {"": policy}},
    }
    usage = {"access_token": {"supports_minting": ["access_token"], "expires_in": 3600}}
    return {
        "issuer": issuer,
        "key_conf": {"key_defs": KEYS},
        "scopes_to_claims": {scope: [] for scope in SCOPES},
        "preference": {"scopes_supported": SCOPES, "grant_types_supported": [EXCHANGE]},
        "endpoint": {
            "provider_info": {
                "path": ".well-known/oauth-authorization-server",
                "class": "idpyoidc.server.oauth2.server_metadata.ServerMetadata",
                "kwargs": {"client_authn_method": None},
            },
            "token": {
                "path": "token",
                "class": "idpyoidc.server.oauth2.token.Token",
                "kwargs": {
                    "client_authn_method": ["client_secret_basic", "client_secret_post"],
                    "grant_types_helpers": {EXCHANGE: exchange},
                },
            },
        },
        "userinfo": {"class": "idpyoidc.server.user_info.UserInfo", "kwargs": {"db": {}}},
        "authz": {
            "class": "idpyoidc.server.authz.AuthzHandling",
            "kwargs": {"grant_config": {"usage_rules": usage, "expires_in": 3600}},
        },
        "token_handler_args": {
            "key_conf": {"key_defs": KEYS},
            "token": {"class": "idpyoidc.server.token.jwt_token.JWTToken", "kwargs": {"lifetime": 3600}},
        },
    }


class ExchangeServer:
    def __init__(self, issuer, settings):
        self.issuer = issuer
        self.server = Server(ASConfiguration(conf=configuration(issuer), base_path="."))
        self.context = self.server.context
        self.sessions = self.context.session_manager
        self.token_requests = TokenRequests()
        for client in settings["clients"]:
            self.context.cdb[client["client_id"]] = client

    def answer(self, request):
        if request.path == "/.well-known/oauth-authorization-server":
            return 200, self.context.provider_info
        if request.path == "/token":
            return self.token(request)
        if request.path.startswith("/api/"):
            return api(self.caller(request.bearer_token()))
        if request.path == "/admin/sign-in":
            return 200, self.sign_in(**json.loads(request.body))
        if request.path == "/admin/revoke":
            _, token = self.find(request.body)
            token.revoked = True
            return 200, {}
        if request.path == "/admin/token-requests":
            return 200, self.token_requests
        return 404, {}

    def token(self, request):
        endpoint = self.server.get_endpoint("token")
        headers = {"authorization": request.authorization} if request.authorization else {}
        http_info = {"headers": headers, "url": f"{self.issuer}/token", "method": "POST"}
        form = request.form()
        try:
            parsed = endpoint.parse_request(form, http_info=http_info)
            answer = parsed if "error" in parsed else endpoint.process_request(parsed)
        except (ClientAuthenticationError, UnAuthorizedClient):
            answer = {"error": "invalid_client"}
        if "error" in answer:
            status, answer = 401 if answer["error"] == "invalid_client" else 400, dict(answer)
        else:
            status, answer = 200, json.loads(endpoint.do_response(request=parsed, **answer)["response"])
        self.token_requests.note(form, status, answer)
        return status, answer

    def sign_in(self, client, account, scope):
        """What would come of a sign-in page and of a code."""
        asked = {"client_id": client, "scope": scope.split(), "response_type": "code"}
        session = self.sessions.create_session(
            create_authn_event(account, authn_info="password"),
            asked,
            user_id=account,
            client_id=client,
            token_usage_rules=self.context.authz.usage_rules(client),
        )
        issuing = self.server.get_endpoint("token").grant_type_helper[EXCHANGE]
        return issuing._mint_token("access_token", self.sessions[session], session, client).value

    def find(self, token):
        try:
            session = self.sessions.get_session_info_by_token(token, grant=True, handler_key="access_token")
        except (BadSyntax, UnknownToken, ToOld):
            return None, None
        return session, session["grant"].get_token(token)

    def caller(self, token):
        session, token = self.find(token)
        if token is None or not token.is_active():
            return None
        return {
            "sub": session["user_id"],
            "client_id": session["client_id"],
            "scope": " ".join(sorted(token.scope)),
            "audience": token.resources,
        }


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        # It writes its keys to where it is.
        os.chdir(folder)
        serve(ExchangeServer)

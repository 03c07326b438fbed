"""requests-oauthlib: its session, which refreshes for a user; the application's token is fetched under a lock.

Without the lock, calls of other threads go out without any token while one fetches.
"""

import os
import threading
import time

from adapter import is_dead, serve
from oauthlib.oauth2 import BackendApplicationClient, OAuth2Error
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

# It refuses http, loopback too.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"


class RequestsOauthlib:
    def __init__(self, setup):
        self.token_url = setup["token_url"]
        self.auth = HTTPBasicAuth(setup["client_id"], setup["client_secret"])
        self.started = threading.Lock()
        if refresh_token := setup["refresh_token"]:
            token = {
                "access_token": "old",
                "token_type": "Bearer",
                "expires_in": -30,
                "refresh_token": refresh_token,
            }
            self.session = OAuth2Session(
                setup["client_id"],
                token=token,
                auto_refresh_url=self.token_url,
                token_updater=lambda token: None,
            )
            self.is_user = True
        else:
            client = BackendApplicationClient(client_id=setup["client_id"])
            self.session = OAuth2Session(client=client)
            self.is_user = False

    def call(self, method, url, body):
        if self.is_user:
            answer = self.session.request(
                method,
                url,
                data=body,
                client_id=self.auth.username,
                client_secret=self.auth.password,
            )
            return answer.status_code
        with self.started:
            token = self.session.token
            if not token or token["expires_at"] < time.time():
                self.session.fetch_token(self.token_url, auth=self.auth)
        return self.session.request(method, url, data=body).status_code

    def debug(self):
        return repr(self.session) + repr(self.session.token)

    def ended(self, error):
        return isinstance(error, OAuth2Error) and is_dead(error.error)


serve(RequestsOauthlib)

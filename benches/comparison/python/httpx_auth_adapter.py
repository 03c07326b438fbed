"""httpx-auth: its `Auth` for httpx, and nothing else."""

import httpx
from adapter import serve
from httpx_auth import OAuth2, OAuth2ClientCredentials


class HttpxAuth:
    def __init__(self, setup):
        if setup["refresh_token"]:
            raise NotImplementedError("it has no such grant without a password or a browser")
        # The cache belongs to the process.
        OAuth2.token_cache.clear()
        self.auth = OAuth2ClientCredentials(
            setup["token_url"], setup["client_id"], setup["client_secret"]
        )
        limits = httpx.Limits(max_connections=None)
        self.client = httpx.Client(
            auth=self.auth, follow_redirects=True, limits=limits, timeout=60
        )

    def call(self, method, url, body):
        return self.client.request(method, url, content=body).status_code

    def debug(self):
        return repr(self.client) + repr(self.auth)

    def ended(self, error):
        return False


serve(HttpxAuth)

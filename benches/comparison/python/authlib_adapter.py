"""Authlib: its client on httpx, with `fetch_token` once at the start, as its documents have it."""

import asyncio

from adapter import is_dead, serve
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client


class Authlib:
    def __init__(self, setup):
        self.token_url = setup["token_url"]
        self.client = AsyncOAuth2Client(
            setup["client_id"],
            setup["client_secret"],
            token_endpoint=self.token_url,
            grant_type="client_credentials",
            follow_redirects=True,
            timeout=60,
        )
        # `fetch_token` belongs to the program's start, before there are many callers.
        self.started = asyncio.Lock()
        if refresh_token := setup["refresh_token"]:
            self.client.token = {
                "access_token": "old",
                "token_type": "Bearer",
                "expires_at": 1,
                "refresh_token": refresh_token,
            }

    async def call(self, method, url, body):
        async with self.started:
            if not self.client.token:
                await self.client.fetch_token(self.token_url)
        return (await self.client.request(method, url, content=body)).status_code

    def debug(self):
        return repr(self.client) + repr(self.client.token)

    def ended(self, error):
        return isinstance(error, OAuthError) and is_dead(error.error)


serve(Authlib)

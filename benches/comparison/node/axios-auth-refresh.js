// axios-auth-refresh, which makes no token request: the two functions of its README around a request of the program's.

import { inspect } from 'node:util';
import axios from 'axios';
import { createAuthRefresh } from 'axios-auth-refresh';
import { isDead, serve } from './adapter.js';

serve(async (setup) => {
  let token;
  let refreshToken = setup.refresh_token;
  const auth = { username: setup.client_id, password: setup.client_secret };
  const ask = async () => {
    const form = refreshToken
      ? { grant_type: 'refresh_token', refresh_token: refreshToken }
      : { grant_type: 'client_credentials' };
    const { data } = await axios.post(setup.token_url, new URLSearchParams(form), { auth });
    token = data.access_token;
    refreshToken = data.refresh_token ?? refreshToken;
  };
  const api = axios.create({ validateStatus: (status) => status < 400 });
  api.interceptors.request.use((request) => {
    request.headers.Authorization = `Bearer ${token}`;
    return request;
  });
  createAuthRefresh(api, async (failed) => {
    await ask();
    failed.response.config.headers.Authorization = `Bearer ${token}`;
  });
  return {
    async call({ method, url, body, signal }) {
      try {
        return (await api.request({ method, url, data: body, signal })).status;
      } catch (error) {
        if (error.response?.config?.url === url) return error.response.status;
        throw error;
      }
    },
    debug: () => inspect(api.defaults, { depth: 5 }),
    ended: (error) => isDead(error.response?.data?.error),
  };
});

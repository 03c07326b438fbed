"""A server on a free port of loopback that tells its issuer, and ends when its standard input is closed."""

import json
import sys
import threading
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, make_server


class Request:
    """What came, as all who answer here want it."""

    def __init__(self, environ):
        self.path = environ["PATH_INFO"]
        self.authorization = environ.get("HTTP_AUTHORIZATION", "")
        self.body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()

    def form(self):
        """Lists only where a name came more than once."""
        fields = parse_qs(self.body, keep_blank_values=True)
        return {name: values if len(values) > 1 else values[0] for name, values in fields.items()}

    def bearer_token(self):
        return self.authorization.partition("Bearer ")[2]


class TokenRequests(list):
    """What the token endpoint was asked, and what it said."""

    def note(self, form, status, answer):
        self.append({"grant_type": form.get("grant_type"), "status": status, "error": answer.get("error")})


def api(caller):
    """The protected API, which answers whom the token is of; `None` for a token that is good for nothing."""
    if caller is None:
        return 401, {}, [("WWW-Authenticate", 'Bearer error="invalid_token"')]
    return 200, caller


def serve(new_server):
    """Asks `new_server(issuer, settings)` for the answers: a status, what becomes JSON, and maybe headers."""

    def application(environ, start_response):
        status, answer, *headers = server.answer(Request(environ))
        start_response(f"{status} -", [("Content-Type", "application/json"), *(headers[0] if headers else [])])
        return [json.dumps(answer).encode()]

    with make_server("127.0.0.1", 0, application, handler_class=Quiet) as http:
        issuer = f"http://127.0.0.1:{http.server_port}"
        server = new_server(issuer, json.loads(sys.argv[1]))
        threading.Thread(target=http.serve_forever, daemon=True).start()
        print(json.dumps({"issuer": issuer}), flush=True)
        sys.stdin.read()


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass

"""Lets the harness ask a library of Python's: reads commands, makes the calls, and says what became of them."""

import asyncio
import inspect
import json
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor

# What a library says by an error that a program can tell from others: the user has to sign in again.
DEAD = re.compile("invalid_grant|bad_refresh_token|invalid_refresh_token")


def is_dead(code):
    return isinstance(code, str) and DEAD.fullmatch(code) is not None


def serve(build):
    """Serves the harness until it closes the input.

    A library has `call(method, url, body)`, a coroutine or a function that blocks, which gives a status,
    `debug()` and `ended(error)`.
    """
    # Standard output is the harness's.
    output, sys.stdout = sys.stdout, sys.stderr
    asyncio.run(_serve(build, output))


async def _serve(build, output):
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1100))
    library, api, started = None, None, None

    async def call(command):
        method = command.get("method", "GET")
        url = api + command.get("path", "/orders")
        body = '{"order":42}' if method == "POST" else None
        if inspect.iscoroutinefunction(library.call):
            return await library.call(method, url, body)
        return await asyncio.to_thread(library.call, method, url, body)

    async def outcome(command):
        began = time.monotonic()
        try:
            result = {"status": await call(command)}
        except Exception as error:
            result = {"error": repr(error), "ended": library.ended(error)}
        return {**result, "ms": round((time.monotonic() - began) * 1000)}

    while line := await asyncio.to_thread(sys.stdin.readline):
        command = json.loads(line)
        answer = {}
        match command["do"]:
            case "setup":
                api = command["api"]
                try:
                    library = build(command)
                except NotImplementedError as reason:
                    answer = {"cannot": str(reason)}
            case "call":
                calls = [outcome(command) for _ in range(command["count"])]
                answer = {"calls": await asyncio.gather(*calls)}
            case "start":
                started = asyncio.create_task(outcome(command))
            case "drop":
                # A function that blocks cannot be given up.
                dropped = inspect.iscoroutinefunction(library.call)
                if dropped:
                    started.cancel()
                answer = {"dropped": dropped}
            case "debug":
                answer = {"text": library.debug()}
            case "headers":
                answer = {"can": False}
        print(json.dumps(answer), file=output, flush=True)

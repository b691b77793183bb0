"""Git over HTTP, as GitHub serves it: `git http-backend` behind a check of the token."""

from __future__ import annotations

import asyncio
import os
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

_ANY_COMMIT = ("uploadpack.allowAnySHA1InWant", "true")  # as on GitHub


def basic_token(request: Request) -> str:
    """The password of a request with basic authentication; empty if there is none."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    return b64decode(encoded).decode().partition(":")[2] if scheme == "Basic" else ""


async def serve_git(request: Request, git_dir: Path, allow: Callable[[str], bool]) -> Response:
    """Answers a request for `/owner/name.git/…`; 401 unless `allow` accepts its token."""
    if not allow(basic_token(request)):
        return Response("Repository not found.", 401, {"www-authenticate": 'Basic realm="GitHub"'})
    environ = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": _ANY_COMMIT[0],
        "GIT_CONFIG_VALUE_0": _ANY_COMMIT[1],
        "GIT_CONFIG_KEY_1": "safe.directory",
        "GIT_CONFIG_VALUE_1": "*",
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_PROJECT_ROOT": str(git_dir),
        "PATH_INFO": "/" + request.url.path.partition(".git/")[2],
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.url.query,
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
        "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
    }
    process = await asyncio.create_subprocess_exec(
        "git", "http-backend", env=environ, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate(await request.body())
    head, _, body = out.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if line)
    status = int(headers.pop("Status", "200").partition(" ")[0])
    return Response(body, status, headers)

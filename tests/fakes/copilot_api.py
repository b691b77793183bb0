"""A fake of GitHub's copilot_internal endpoints and of the Copilot API, on one address."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from tests.fakes.model_provider import ScriptedModel
from tests.fakes.model_script import ModelRequest, Script

Json = dict[str, Any]
_REFUSALS = {
    401: "Bad credentials",
    402: "You have no quota",
    403: "Resource not accessible by integration",
    404: "Not Found",
    429: "rate limit exceeded",
}


@dataclass
class Journaled:
    """One request as it came in, and the status that it got."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    status: int = 0
    token: str = field(default="")
    """The credential behind `Bearer` or `token`."""


@dataclass(frozen=True)
class Refusal:
    """What a path answers instead: a status, and, where they matter, its headers and body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Json | None = None


def offered_model(
    model_id: str, *, family: str | None = None, tool_calls: bool = True, **changes: Any
) -> Json:
    """A model as `GET /models` lists it, with the fields that the CLI asks for."""
    supports = {"tool_calls": tool_calls, "streaming": True, "parallel_tool_calls": True, "vision": False}
    limits = {"max_context_window_tokens": 128000, "max_prompt_tokens": 120000, "max_output_tokens": 8192}
    capabilities = {
        "type": "chat",
        "object": "model_capabilities",
        "family": family or model_id,
        "tokenizer": "o200k_base",
        "supports": supports,
        "limits": limits,
    }
    model: Json = {
        "id": model_id,
        "name": model_id,
        "object": "model",
        "vendor": "scripted",
        "version": model_id,
        "preview": False,
        "model_picker_enabled": True,
        "policy": {"state": "enabled", "terms": ""},
        "supported_endpoints": ["/chat/completions"],
        "capabilities": capabilities,
        "billing": {"is_premium": False, "multiplier": 1},
    }
    return model | changes


class FakeCopilot:
    """An ASGI app; point COPILOT_API_URL and COPILOT_DEBUG_GITHUB_API_URL of the CLI at it.

    `refusals` maps a path (`/models`, `/chat/completions`, `/copilot_internal/user`, …) to what it
    answers instead of its usual answer to a good token.
    """

    def __init__(
        self,
        tokens: Iterable[str] = ("ghs_good",),
        script: Script | None = None,
        *,
        login: str = "octocat",
        latency: float = 0.0,
    ) -> None:
        self.tokens = set(tokens)
        self.login = login
        self.models = [offered_model("claude-sonnet-4.5"), offered_model("gpt-5-mini")]
        self.refusals: dict[str, Refusal] = {}
        self.auto_model: str | None = None
        self.journal: list[Journaled] = []
        self.model = ScriptedModel(script, latency=latency)
        self._lock = threading.Lock()

    @property
    def requests(self) -> list[ModelRequest]:
        """The model calls among the journal, read into words."""
        return self.model.requests

    @property
    def paths(self) -> list[str]:
        """`METHOD path` of each request, in order."""
        return [f"{entry.method} {entry.path}" for entry in self.journal]

    def refuse(self, path: str, status: int, *, body: Json | None = None, **headers: str) -> None:
        """From now on `path` answers with this status; header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.refusals[path] = Refusal(status, named, body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        http = HttpRequest(scope, receive)
        raw = await http.body()
        entry = self._record(http, raw)
        response = self._answer(entry)
        if response is None:
            entry.status = await self.model.respond(http, raw, receive, send)
        else:
            entry.status = response.status_code
            await response(scope, receive, send)

    def _record(self, http: HttpRequest, raw: bytes) -> Journaled:
        scheme, _, token = http.headers.get("authorization", "").partition(" ")
        entry = Journaled(
            http.method,
            http.url.path,
            dict(http.query_params),
            dict(http.headers),
            _read(raw),
            token=token if scheme.lower() in ("bearer", "token") else "",
        )
        with self._lock:
            self.journal.append(entry)
        return entry

    def _answer(self, entry: Journaled) -> Response | None:
        """The answer of everything but a model call, for which it is None."""
        if entry.token not in self.tokens:
            return JSONResponse({"message": "Bad credentials", "status": "401"}, 401)
        refusal = self.refusals.get(entry.path)
        if refusal is not None:
            body = refusal.body or {"message": _REFUSALS.get(refusal.status, "refused")}
            return JSONResponse(body, refusal.status, dict(refusal.headers))
        match entry.method, entry.path:
            case "GET", "/copilot_internal/user":
                return JSONResponse(self._user(entry))
            case "GET", "/models":
                return JSONResponse({"object": "list", "data": self.models})
            case "POST", "/models/session" if self.auto_model is not None:
                return JSONResponse(_auto_session(self.auto_model))
            case "POST", "/chat/completions" | "/responses" | "/v1/messages":
                return None
            case _:
                return JSONResponse({"message": "Not Found", "status": "404"}, 404)

    def _user(self, entry: Journaled) -> Json:
        here = f"http://{entry.headers['host']}"
        return {
            "login": self.login,
            "copilot_plan": "business",
            "chat_enabled": True,
            "endpoints": {"api": here, "telemetry": here},
        }


def _auto_session(model_id: str) -> Json:
    """What settles model `auto`, whether or not `POST /auto` (404 here) answered before."""
    return {
        "selected_model": model_id,
        "available_models": [model_id],
        "session_token": "auto-session",
        "expires_at": 4_000_000_000,
        "discounted_costs": {},
    }


def _read(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw.decode("utf-8", "replace")

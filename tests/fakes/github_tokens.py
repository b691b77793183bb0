"""What a token of the fake GitHub may do: everything, nothing, or so much in each of GitHub's scopes."""

from __future__ import annotations

Permission = str | frozenset[str]
"""`write`, `read` or `none` for everything; else `LEVEL:SCOPE`, several as a set or separated by commas.

Scopes: contents, pulls, issues, checks, security-events. `write:pulls,none:checks` writes to pull requests,
sees no check run, and reads the rest. Comments in a conversation follow `pulls` unless `issues` is named, for
GitHub takes either permission for them.
"""

_SCOPES = ("contents", "pulls", "issues", "checks", "security-events")
_LEVELS = ("none", "read", "write")


def level(permission: Permission, scope: str) -> str:
    """`none`, `read` or `write`. Raises ValueError for words that no permission has."""
    if permission in _LEVELS:
        return str(permission)
    parts = permission if isinstance(permission, frozenset) else frozenset(permission.split(","))
    named = {name: given for given, _, name in (part.strip().partition(":") for part in parts)}
    if not set(named) <= set(_SCOPES) or not set(named.values()) <= set(_LEVELS):
        raise ValueError(
            f"{permission!r} is no permission of the fake GitHub: see tests/fakes/github_tokens.py"
        )
    if scope == "issues" and scope not in named:
        scope = "pulls"
    return named.get(scope, "read")


def scope_of(template: str) -> str:
    """The scope that a route needs, by its path template."""
    for part, scope in (
        ("/check-runs", "checks"),
        ("/code-scanning/", "security-events"),
        ("/issues/", "issues"),
        ("/pulls", "pulls"),
    ):
        if part in template:
            return scope
    return "contents"

"""The fake GitHub's routing, and its routes for repository, pull request, files, trees and comparison."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial

from tests.fakes import github_issues as issues
from tests.fakes import github_post_routes as checks
from tests.fakes import github_post_routes as talk
from tests.fakes.contracts import contracts
from tests.fakes.git_repository import ChangedFile, MissingObjectError, TreeEntry
from tests.fakes.github_graphql import execute
from tests.fakes.github_messages import (
    Json,
    RefusedError,
    Reply,
    Request,
    encoded,
    forbidden,
    not_found,
    page_of,
)
from tests.fakes.github_shapes import Call, Route, Shapes
from tests.fakes.github_state import GraphqlRefusal, Hub, Permission, level, scope_of

_CONTENT_LIMIT = 1_048_576
_COMPARED_FILES = 300


def repository(call: Call) -> Reply:
    """The repository itself."""
    return Reply(200, call.shapes.repository(call.hub.repository))


def pull(call: Call) -> Reply:
    """One pull request."""
    return Reply(200, call.shapes.pull(call.pull))


def pulls(call: Call) -> Reply:
    """The open pull requests, the newest first."""
    newest = sorted(call.hub.pulls.values(), key=lambda one: one.number, reverse=True)
    shown = [one for one in newest if one.state == "open"]
    return page_of(shown, call.shapes.pull, call.query, call.url)


def files(call: Call) -> Reply:
    """The changed files, a page of them, with the patches that GitHub would give."""
    pull, hub = call.pull, call.hub
    files = hub.changed_files(pull)[: hub.file_limit]
    seen, uncounted = 0, set()
    for file in files:
        seen += file.patch_lines
        if seen > hub.total_patch_lines and file.patch:
            uncounted.add(file.path)

    def shape(file: ChangedFile) -> Json:
        late = file.path in uncounted
        withheld = late or file.path in pull.withhold or file.patch_lines > hub.patch_line_limit
        return call.shapes.file(file, pull.head_sha, withheld=withheld, uncounted=late)

    return page_of(files, shape, call.query, call.url)


def content(call: Call) -> Reply:
    """A file, folder, link or submodule at a ref."""
    store, path = call.hub.store, call.params["path"].strip("/")
    ref = call.query.get("ref") or call.hub.default_branch
    commit = store.commit(ref)
    if not path:
        return _folder(call, commit, commit, "", ref)
    entry = store.entry(commit, path)
    match entry.kind, entry.mode:
        case "tree", _:
            return _folder(call, commit, entry.sha, path, ref)
        case "commit", _:
            known: Json = {
                "type": "submodule",
                "submodule_git_url": f"{call.shapes.web}.git",
                "download_url": None,
            }
            return Reply(200, call.shapes.content(entry, ref, **known))
        case _, "120000":
            return _link(call, commit, entry, ref)
        case _:
            return Reply(200, _file(call, entry, entry, ref))


def _folder(call: Call, commit: str, tree: str, path: str, ref: str) -> Reply:
    listed = []
    for entry in call.hub.store.tree(tree):
        whole = entry._replace(path=posixpath.join(path, entry.path))
        kind = "dir" if entry.kind == "tree" else "symlink" if entry.mode == "120000" else "file"
        listed.append(call.shapes.content(whole, ref, type=kind))
    return Reply(200, listed)


def _link(call: Call, commit: str, entry: TreeEntry, ref: str) -> Reply:
    """GitHub follows a link to a file of the repository, and shows any other as a link."""
    target = call.hub.store.blob(entry.sha).decode("utf-8", "replace")
    place = posixpath.normpath(posixpath.join(posixpath.dirname(entry.path), target))
    try:
        aim = call.hub.store.entry(commit, place)
    except MissingObjectError:
        aim = None
    if aim is not None and aim.kind == "blob" and aim.mode != "120000":
        return Reply(200, _file(call, entry, aim, ref))
    return Reply(200, call.shapes.content(entry, ref, type="symlink", target=target))


def _file(call: Call, entry: TreeEntry, aim: TreeEntry, ref: str) -> Json:
    raw = call.hub.store.blob(aim.sha)
    large = len(raw) > _CONTENT_LIMIT
    body = {"encoding": "none", "content": ""} if large else {"encoding": "base64", "content": encoded(raw)}
    return call.shapes.content(entry._replace(sha=aim.sha, size=len(raw)), ref, type="file", **body)


def tree(call: Call) -> Reply:
    """A tree, with all below it where asked."""
    store, sha = call.hub.store, call.params["tree_sha"]
    entries = store.tree(sha, "recursive" in call.query)
    listed = []
    for entry in entries:
        known: Json = {"path": entry.path, "mode": entry.mode, "type": entry.kind, "sha": entry.sha}
        if entry.kind == "blob":
            known["size"] = entry.size
        if entry.kind != "commit":
            known["url"] = f"{call.shapes.repo}/git/{entry.kind}s/{entry.sha}"
        listed.append(known)
    url = f"{call.shapes.repo}/git/trees/{sha}"
    return Reply(200, {"sha": sha, "url": url, "tree": listed, "truncated": False})


def blob(call: Call) -> Reply:
    """A blob, in Base64."""
    sha = call.params["file_sha"]
    return Reply(200, call.shapes.blob(sha, call.hub.store.blob(sha)))


def commit(call: Call) -> Reply:
    """One commit."""
    return Reply(200, call.shapes.commit(call.hub.store.commit(call.params["ref"])))


def compare(call: Call) -> Reply:
    """Two commits compared, with the first 300 files."""
    store, shapes = call.hub.store, call.shapes
    left, dots, right = call.params["basehead"].partition("...")
    if not dots:
        raise not_found()
    base, head = store.commit(left), store.commit(right)
    ahead, behind = store.commits(base, head), store.commits(head, base)
    files = store.diff(base, head)[:_COMPARED_FILES]
    state = "diverged" if ahead and behind else "ahead" if ahead else "behind" if behind else "identical"
    url = f"{shapes.web}/compare/{left}...{right}"
    known: Json = {
        "url": call.url,
        "html_url": url,
        "permalink_url": url,
        "diff_url": f"{url}.diff",
        "patch_url": f"{url}.patch",
        "status": state,
        "ahead_by": len(ahead),
        "behind_by": len(behind),
        "total_commits": len(ahead),
        "base_commit": shapes.commit(base),
        "merge_base_commit": shapes.commit(store.merge_base(base, head)),
        "commits": [shapes.commit(sha) for sha in ahead[:250]],
        "files": [shapes.file(file, head, withheld=False, uncounted=False) for file in files],
    }
    return Reply(200, known)


def _user(call: Call) -> Reply:
    if call.token.startswith("ghs_"):
        raise RefusedError(403, "Resource not accessible by integration", page="/users/users")
    return Reply(200, call.shapes.private_user(call.login))


def _rate_limit(_call: Call) -> Reply:
    rate = {"limit": 5000, "used": 1, "remaining": 4999, "reset": 4_000_000_000}
    return Reply(200, {"resources": {"core": rate, "search": rate, "graphql": rate}, "rate": rate})


def _permission(call: Call) -> Reply:
    return Reply(200, call.shapes.permission(call.params["username"]))


_REPO = "/repos/{owner}/{repo}"
_PULL = f"{_REPO}/pulls/{{pull_number}}"
_REVIEW = f"{_PULL}/reviews/{{review_id}}"
_COMMENT = f"{_REPO}/pulls/comments/{{comment_id}}"
_ISSUE = f"{_REPO}/issues/{{issue_number}}"
_ISSUE_COMMENTS = f"{_ISSUE}/comments"
_ISSUE_COMMENT = f"{_REPO}/issues/comments/{{comment_id}}"
_CHECK_RUN = f"{_REPO}/check-runs/{{check_run_id}}"

ROUTES: dict[tuple[str, str], Route] = {
    ("GET", _REPO): repository,
    ("GET", f"{_REPO}/pulls"): pulls,
    ("GET", _PULL): pull,
    ("GET", f"{_PULL}/files"): files,
    ("GET", f"{_REPO}/contents/{{path}}"): content,
    ("GET", f"{_REPO}/git/trees/{{tree_sha}}"): tree,
    ("GET", f"{_REPO}/git/blobs/{{file_sha}}"): blob,
    ("GET", f"{_REPO}/commits/{{ref}}"): commit,
    ("GET", f"{_REPO}/compare/{{basehead}}"): compare,
    ("GET", f"{_REPO}/collaborators/{{username}}/permission"): _permission,
    ("GET", f"{_PULL}/reviews"): talk.reviews,
    ("POST", f"{_PULL}/reviews"): talk.new_review,
    ("GET", _REVIEW): talk.review,
    ("PUT", _REVIEW): talk.edit_review,
    ("DELETE", _REVIEW): talk.drop_review,
    ("POST", f"{_REVIEW}/events"): talk.submitted_review,
    ("PUT", f"{_REVIEW}/dismissals"): talk.dismissed_review,
    ("GET", f"{_PULL}/comments"): talk.comments,
    ("POST", f"{_PULL}/comments"): talk.new_comment,
    ("POST", f"{_PULL}/comments/{{comment_id}}/replies"): talk.new_reply,
    ("GET", _COMMENT): talk.comment,
    ("PATCH", _COMMENT): talk.edit_comment,
    ("DELETE", _COMMENT): talk.drop_comment,
    ("GET", f"{_COMMENT}/reactions"): talk.reactions,
    ("POST", f"{_COMMENT}/reactions"): talk.new_reaction,
    ("GET", _ISSUE_COMMENTS): talk.issue_comments,
    ("POST", _ISSUE_COMMENTS): talk.new_issue_comment,
    ("GET", _ISSUE_COMMENT): talk.issue_comment,
    ("PATCH", _ISSUE_COMMENT): talk.edit_issue_comment,
    ("DELETE", _ISSUE_COMMENT): talk.drop_issue_comment,
    ("GET", f"{_ISSUE_COMMENT}/reactions"): talk.issue_comment_reactions,
    ("POST", f"{_ISSUE_COMMENT}/reactions"): talk.new_issue_comment_reaction,
    ("POST", f"{_REPO}/check-runs"): checks.new_check_run,
    ("GET", _CHECK_RUN): checks.check_run,
    ("PATCH", _CHECK_RUN): checks.edit_check_run,
    ("GET", f"{_REPO}/commits/{{ref}}/check-runs"): checks.check_runs,
    ("POST", f"{_REPO}/issues"): issues.new_issue,
    ("GET", _ISSUE): issues.issue,
    ("PATCH", _ISSUE): issues.edit_issue,
    ("POST", f"{_REPO}/labels"): issues.new_label,
    ("GET", f"{_REPO}/code-scanning/alerts"): issues.alerts,
    ("POST", f"{_REPO}/code-scanning/sarifs"): checks.upload_sarif,
    ("GET", "/user"): _user,
    ("GET", "/rate_limit"): _rate_limit,
}
"""Method and path template, which is the key of GitHub's own description."""


_GREEDY = {"path": ".*", "basehead": ".+"}


class Dispatch:
    """Answers requests over a hub, and puts every breach of the contract into `violations`."""

    def __init__(self, hub: Hub, violations: list[str], check_contracts: bool) -> None:
        self._hub = hub
        self._violations = violations
        self._check_contracts = check_contracts

    def answer(self, request: Request, server: str, raw_path: str) -> Reply:
        """The reply, GitHub's refusals included. One request at a time."""
        prefix = raw_path.removesuffix(request.path)
        with self._hub.lock:
            try:
                return self._dispatch(request, Shapes(self._hub, server + prefix, server))
            except RefusedError as refusal:
                return refusal.reply
            except MissingObjectError:
                return not_found().reply

    def _dispatch(self, request: Request, shapes: Shapes) -> Reply:
        hub, token = self._hub, (request.authorization or "").partition(" ")[2]
        if token and token not in hub.tokens:
            raise RefusedError(401, "Bad credentials")
        if not token and request.path == "/user":
            raise RefusedError(401, "Requires authentication")
        permission = hub.tokens.get(token, "none")
        if request.path == "/graphql":
            return self._graphql(request, shapes, token, permission)
        for (method, template), route in ROUTES.items():
            found = _pattern(template).fullmatch(request.path)
            if found is None or method != request.method:
                continue
            params = found.groupdict()
            self._authorize(request, template, params, permission)
            call = Call(
                hub, shapes, params, request.query, request.json, hub.login_of(token), token,
                shapes.api + request.path,
            )  # fmt: skip
            return self._checked(request, template, partial(route, call))
        self._violations.append(f"the fake has no route {request.method} {request.path}")
        raise not_found()

    def _authorize(
        self, request: Request, template: str, params: Mapping[str, str], permission: Permission
    ) -> None:
        if "owner" not in params:
            return
        if f"{params['owner']}/{params['repo']}" != self._hub.repository or permission == "none":
            raise not_found()
        commented = issues.commented(self._hub, params)
        allowed = level(permission, "issues" if commented else scope_of(template))
        if allowed == "none" or (request.is_write and allowed != "write"):
            raise forbidden()

    def _checked(self, request: Request, template: str, route: Callable[[], Reply]) -> Reply:
        """Runs the route between the two checks against the contract. A bad request does not reach it."""
        faults: list[str] = []
        if self._check_contracts:
            faults = list(contracts().request_faults(request.method, template, request.query, request.json))
        if faults:
            self._violations += faults
            raise RefusedError(422, "Invalid request.\n\n" + "\n".join(faults))
        try:
            reply = route()
        except RefusedError as refusal:
            reply = refusal.reply
        if self._check_contracts:
            found = contracts().answer_faults(request.method, template, reply.status, reply.body)
            self._violations += [f"the fake's own answer: {fault}" for fault in found]
        return reply

    def _graphql(self, request: Request, shapes: Shapes, token: str, permission: Permission) -> Reply:
        if self._hub.graphql_refusal is not None:
            return _refused(self._hub.graphql_refusal)
        if not token:
            raise RefusedError(401, "Requires authentication")
        answer = execute(self._hub, shapes.web, self._hub.login_of(token), permission, request.json)
        errors: Iterable[Json] = answer.get("errors", ())
        # Refusals have a type; an error without one says that the query breaks the schema.
        broken = [error["message"] for error in errors if "type" not in error]
        self._violations += [f"GraphQL: {message}" for message in broken]
        return Reply(200, answer)


def _refused(refusal: GraphqlRefusal) -> Reply:
    if refusal.errors:
        return Reply(refusal.status, {"data": None, "errors": list(refusal.errors)})
    return Reply(refusal.status, {"message": "Resource not accessible by integration"})


@cache
def _pattern(template: str) -> re.Pattern[str]:
    # A path may hold a line feed.
    regex = re.sub(r"\{(\w+)\}", lambda m: f"(?P<{m[1]}>{_GREEDY.get(m[1], '[^/]+')})", template)
    return re.compile(regex, re.DOTALL)

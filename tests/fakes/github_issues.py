"""The fake GitHub's routes for issues, labels and the alerts of code scanning."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.fakes.github_messages import Json, RefusedError, Reply, not_found, page_of
from tests.fakes.github_shapes import Call
from tests.fakes.github_state import BODY_LIMIT, Alert, Hub, Issue, SarifUpload

_ISSUES_PAGE = "/issues/issues"
_LABELS_PAGE = "/issues/labels#create-a-label"
_TITLE_LIMIT = 256
_DEFAULT_COLOUR = "ededed"


def new_issue(call: Call) -> Reply:
    """An issue. Labels that the repository does not have are made with it."""
    hub, given = call.hub, call.json
    _must_have_issues(hub)
    _check_issue(given)
    labels = [label if isinstance(label, str) else label["name"] for label in given.get("labels") or []]
    names = [_known_label(hub, label) for label in labels]
    made = Issue(
        hub.next_number(),
        str(given["title"]),
        call.login,
        given.get("body") or "",
        "open",
        list(dict.fromkeys(names)),
    )
    hub.issues[made.number] = made
    return Reply(201, call.shapes.issue(made))


def issue(call: Call) -> Reply:
    """One issue."""
    return Reply(200, call.shapes.issue(_issue(call)))


def edit_issue(call: Call) -> Reply:
    """Another title, body or state for an issue."""
    edited, given = _issue(call), call.json
    _check_issue({"title": edited.title} | given)
    edited.title = given.get("title", edited.title)
    edited.state = given.get("state", edited.state)
    if "body" in given and given["body"] != edited.body:
        edited.body, edited.edited_by = given["body"] or "", call.login
    return Reply(200, call.shapes.issue(edited))


def new_label(call: Call) -> Reply:
    """A label, whose name nothing else has in any case of letters."""
    name = call.json["name"]
    if _find_label(call.hub, name):
        fault = {"resource": "Label", "code": "already_exists", "field": "name"}
        raise RefusedError(422, "Validation Failed", [fault], _LABELS_PAGE)
    call.hub.labels[name] = call.json.get("color", _DEFAULT_COLOUR)
    return Reply(201, call.shapes.label(name))


def commented(hub: Hub, params: Mapping[str, str]) -> bool:
    """Whether a request is about a comment on an issue, for which a permission for pull requests is not enough."""
    if "comment_id" in params:
        numbers = {
            comment.number for comment in hub.issue_comments if str(comment.id) == params["comment_id"]
        }
        return bool(numbers & hub.issues.keys())
    return int(params.get("issue_number", 0)) in hub.issues


def _issue(call: Call) -> Issue:
    _must_have_issues(call.hub)
    number = int(call.params["issue_number"])
    if number not in call.hub.issues:
        raise not_found()
    return call.hub.issues[number]


def _must_have_issues(hub: Hub) -> None:
    if not hub.has_issues:
        raise RefusedError(410, "Issues has been disabled in this repository.", page=_ISSUES_PAGE)


def _check_issue(given: Json) -> None:
    """Raises RefusedError (422) for a title or a body that GitHub does not take."""
    faults = []
    if not str(given["title"]).strip():
        faults.append({"resource": "Issue", "code": "missing_field", "field": "title"})
    for name, limit in (("title", _TITLE_LIMIT), ("body", BODY_LIMIT)):
        if len(str(given.get(name) or "")) > limit:
            words = f"{name} is too long (maximum is {limit} characters)"
            faults.append({"resource": "Issue", "code": "custom", "field": name, "message": words})
    if faults:
        raise RefusedError(422, "Validation Failed", faults, _ISSUES_PAGE)


def _find_label(hub: Hub, name: str) -> str | None:
    return next((label for label in hub.labels if label.casefold() == name.casefold()), None)


def _known_label(hub: Hub, name: str) -> str:
    found = _find_label(hub, name)
    if found is None:
        hub.labels[name] = _DEFAULT_COLOUR
    return found or name


def alerts(call: Call) -> Reply:
    """The alerts of a tool, in a state, of the default branch or another ref; newest first."""
    if not call.hub.has_code_scanning:
        words = "Code scanning is not enabled for this repository."
        raise RefusedError(403, words, page="/code-scanning/code-scanning")
    query = call.query
    ref = query.get("ref", f"refs/heads/{call.hub.default_branch}")
    mine = [alert for alert in call.hub.alerts if alert.ref == ref]
    if not mine:
        raise RefusedError(404, "no analysis found", page="/code-scanning/code-scanning")
    found = [
        alert
        for alert in mine
        if query.get("state") in (None, alert.state) and query.get("tool_name") in (None, alert.tool)
    ]
    ordered = sorted(found, key=lambda alert: alert.number, reverse=query.get("direction", "desc") == "desc")
    return page_of(ordered, call.shapes.alert, query, call.url)


def read_sarif(hub: Hub, upload: SarifUpload) -> None:
    """Opens an alert for each new result, and fixes those that a later file of the same category lacks."""
    try:
        runs = json.loads(upload.text)["runs"]
    except (ValueError, TypeError, KeyError):
        return  # GitHub reports that later, at the upload's own address
    for run in runs:
        category = run.get("automationDetails", {}).get("id", "")
        known = {
            alert.fingerprint: alert
            for alert in hub.alerts
            if (alert.ref, alert.category, alert.tool) == (upload.ref, category, upload.tool_name)
        }
        seen = {_fingerprint(result): result for result in run.get("results", [])}
        for fingerprint, alert in known.items():
            if fingerprint not in seen and alert.state == "open":
                alert.state = "fixed"
        for fingerprint, result in seen.items():
            alert = known.get(fingerprint) or _add_alert(hub, upload, category, fingerprint)
            _place_alert(alert, result, upload.commit_sha)


def _fingerprint(result: Json) -> str:
    """GitHub knows a result again by its fingerprints, and one without them by its rule and its place."""
    return json.dumps(
        [result.get("ruleId"), result.get("partialFingerprints") or result.get("locations")], sort_keys=True
    )


def _add_alert(hub: Hub, upload: SarifUpload, category: str, fingerprint: str) -> Alert:
    number = len(hub.alerts) + 1
    made = Alert(
        number, "", "", 1, 1, "", upload.commit_sha, upload.ref, upload.tool_name, category, fingerprint
    )
    hub.alerts.append(made)
    return made


def _place_alert(alert: Alert, result: Json, commit_sha: str) -> None:
    """Puts an alert where its result is now. One that was fixed is open again; one that was dismissed stays so."""
    places: list[Any] = result.get("locations") or [{}]
    place = places[0].get("physicalLocation", {})
    region = place.get("region", {})
    alert.rule, alert.message = result.get("ruleId", ""), result["message"].get("text", "")
    alert.path = place.get("artifactLocation", {}).get("uri", "")
    alert.line = region.get("startLine", 1)
    alert.end_line = region.get("endLine", alert.line)
    alert.commit_sha = commit_sha
    alert.state = "open" if alert.state == "fixed" else alert.state

"""The fake GitHub's routes for check runs and for code scanning."""

from __future__ import annotations

import base64
import binascii
import gzip
import zlib

from tests.fakes.git_store import MissingObjectError
from tests.fakes.github_call import Call
from tests.fakes.github_messages import Json, RefusedError, Reply, not_found
from tests.fakes.github_pages import page_of
from tests.fakes.github_state import CheckRun, SarifUpload

_SARIF_LIMIT = 10 * 1024 * 1024


def check_runs(call: Call) -> Reply:
    """The check runs of a commit; of each name the newest, unless all are asked for."""
    sha, query = call.hub.store.commit(call.params["ref"]), call.query
    found = [run for run in call.hub.check_runs if run.head_sha == sha]
    if query.get("filter", "latest") == "latest":
        found = latest(found)
    if "check_name" in query:
        found = [run for run in found if run.name == query["check_name"]]
    if "status" in query:
        found = [run for run in found if run.status == query["status"]]
    page = page_of(found, call.shapes.check_run, query, call.url)
    return Reply(200, {"total_count": len(found), "check_runs": page.body}, page.headers)


def latest(runs: list[CheckRun]) -> list[CheckRun]:
    """The newest run of each name."""
    return list({run.name: run for run in runs}.values())


def check_run(call: Call) -> Reply:
    """One check run."""
    return Reply(200, call.shapes.check_run(_check_run(call)))


def new_check_run(call: Call) -> Reply:
    """A check run, which only apps can make."""
    _must_be_app(call)
    given, hub = call.json, call.hub
    try:
        sha = hub.store.commit(given["head_sha"])
    except MissingObjectError:
        raise RefusedError(422, f"No commit found for SHA: {given['head_sha']}") from None
    run = CheckRun(hub.next_id(), given["name"], sha, "queued", None)
    _update(run, given)
    hub.check_runs.append(run)
    return Reply(201, call.shapes.check_run(run))


def edit_check_run(call: Call) -> Reply:
    """A check run's progress, with up to 50 further annotations."""
    _must_be_app(call)
    run = _check_run(call)
    _update(run, call.json)
    return Reply(200, call.shapes.check_run(run))


def upload_sarif(call: Call) -> Reply:
    """A SARIF file, which GitHub takes and looks at later."""
    given = call.json
    try:
        packed = base64.b64decode(given["sarif"], validate=True)
        text = gzip.decompress(packed).decode()
    except (binascii.Error, OSError, EOFError, zlib.error, UnicodeDecodeError):
        return Reply(400, None)
    if len(packed) > _SARIF_LIMIT:
        return Reply(413, None)
    made = SarifUpload(
        f"sarif-{call.hub.next_id()}", given["commit_sha"], given["ref"], text, given.get("tool_name", "")
    )
    call.hub.sarifs.append(made)
    return Reply(202, {"id": made.id, "url": f"{call.shapes.repo}/code-scanning/sarifs/{made.id}"})


def _must_be_app(call: Call) -> None:
    if not call.token.startswith("ghs_"):
        raise RefusedError(403, "You must authenticate via a GitHub App.", page="/checks/runs")


def _check_run(call: Call) -> CheckRun:
    for run in call.hub.check_runs:
        if run.id == int(call.params["check_run_id"]):
            return run
    raise not_found()


def _update(run: CheckRun, given: Json) -> None:
    output = given.get("output") or {}
    run.annotations.extend(output.get("annotations") or [])
    run.conclusion = given.get("conclusion", run.conclusion)
    run.status = "completed" if "conclusion" in given else given.get("status", run.status)
    run.external_id = given.get("external_id", run.external_id)
    run.details_url = given.get("details_url", run.details_url)
    run.started_at = given.get("started_at", run.started_at)
    run.output |= {key: text for key, text in output.items() if key != "annotations"}
    if output:
        run.outputs.append((output.get("title", ""), output.get("summary", "")))

"""Group "GitHub's answers": with any response, findings are neither lost, duplicated nor sent to others."""

from __future__ import annotations

import gzip
import json
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from hunkwise.domain.finding import Anchor, Finding, Severity
from hunkwise.publish.finding_text import comment
from hunkwise.tracking.markers import review_marker
from tests.end_to_end.destinations import TITLES, check_destinations
from tests.end_to_end.step import GITHUB_TOKEN, Result
from tests.end_to_end.test_model_faults import without_code
from tests.end_to_end.world import BASE, BODY, FILE, HEAD, LINE, finding, report_call
from tests.fakes.github_reviews import create_review
from tests.fakes.github_state import BOT
from tests.fakes.model_script import Answer, report, turns
from tests.redteam.attack import AttackWorld
from tests.redteam.change_kinds import COMMAND
from tests.redteam.counts import ATTACK
from tests.redteam.parallel import Act, run_in_turn
from tests.redteam.proxy import Change, Response, Spy, add_proxy

OFTEN = 200
NO_WAIT = 0.8
"""A deadline in minutes that leaves no time to wait for a rate limit without a given time."""
METADATA = "http://169.254.169.254/latest/meta-data/"
HOSTILE = (
    f"{COMMAND}\n{COMMAND}\r@everyone <img src=x> ![x](https://evil.example) {GITHUB_TOKEN}\u2028{COMMAND}"
)
ENCODED = b64encode(f"token={GITHUB_TOKEN}".encode()).decode()

Count = Callable[[str], None]


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Count:
    return lambda attack: request.node.user_properties.append((ATTACK, attack))


def split_acts(acts: Mapping[str, Act], count: int) -> list[dict[str, Act]]:
    """Splits the acts into parts, so that several workers share them."""
    return [dict(islice(acts.items(), part, None, count)) for part in range(count)]


def check_mentions_are_quoted(*texts: str) -> None:
    for text in texts:
        outside = without_code(text)
        assert "@everyone" not in outside
        assert "<img" not in outside.replace("\\<img", "")


def prepare_all_writes(world: AttackWorld) -> None:
    """Prepares findings for three levels, and the thread of an earlier run whose fault is fixed now."""
    old = {"app.py": HEAD["app.py"].replace("line 9\n", "fault(Old, high)\n")}
    pull = world.change(BASE, old)
    anchor = Anchor("app.py", 10, code="fault(Old, high)")
    fault = Finding("app.py", Severity.HIGH, "Fault Old", "It breaks.", anchor, "Old")
    body = comment(fault, server_url="https://github.com")
    comments = [{"path": "app.py", "line": 10, "body": body}]
    review = {"event": "COMMENT", "body": review_marker("1.dead", pull.head_sha), "comments": comments}
    create_review(world.github.hub, pull, BOT, review)
    world.push(HEAD)
    world.answer_with(turns([report_call(LINE, FILE, BODY), report_call()]))


WRITE_REQUESTS = (
    ("POST", "/check-runs$", ""),
    ("PATCH", "/check-runs/", ""),
    ("POST", "/pulls/1/comments$", ""),
    ("POST", "/pulls/1/reviews$", ""),
    ("POST", "/issues/1/comments$", ""),
    ("POST", "/graphql$", "mutation"),
)
"""All requests by which such a run writes."""


def check_findings(world: AttackWorld, result: Result) -> None:
    """Checks that each finding is at its reported level once, and in the summary."""
    assert result.code == 0, (result.log, result.errors)
    levels = check_destinations(world.github, result)
    assert set(levels) == set(TITLES)
    check_mentions_are_quoted(world.posted, result.summary, *world.check_run_markdown)


def fault_on_each_write(fault: Mapping[str, Any]) -> Act:
    """Returns an act in which every write gets this response."""

    def act(world: AttackWorld) -> None:
        world.deadline = NO_WAIT
        prepare_all_writes(world)
        for method, path, asking in WRITE_REQUESTS:
            world.github.fault(method, path, asking=asking, times=OFTEN, **fault)
        check_findings(world, world.run())

    return act


def rotate_faults(turn: int) -> Act:
    """Returns an act with another fault for each write: over all turns, each write has each fault once."""

    def act(world: AttackWorld) -> None:
        world.deadline = NO_WAIT
        prepare_all_writes(world)
        for place, (method, path, asking) in enumerate(WRITE_REQUESTS):
            fault, times = list(FAULTS.values())[(turn + place * 2) % len(FAULTS)]
            world.github.fault(method, path, asking=asking, times=times, **fault)
        check_findings(world, world.run())

    return act


def redirect_writes(world: AttackWorld) -> None:
    """Redirects each write with another status; the target must receive nothing."""
    prepare_all_writes(world)
    spy = Spy()
    redirect_read = world.serve(spy)
    for status, path, target in (
        (301, "/check-runs", f"{redirect_read}/x"),
        (302, "/pulls/1/comments$", METADATA),
        (307, "/pulls/1/reviews$", f"{redirect_read}/x"),
        (308, "/issues/", f"//{redirect_read.partition('//')[2]}/x"),
        (303, "/graphql$", f"{redirect_read}/graphql"),
    ):
        asking = "mutation" if "graphql" in path else ""
        for method in ("POST", "PATCH"):
            world.github.fault(method, path, status=status, redirect=target, asking=asking, times=OFTEN)
    check_findings(world, world.run())
    assert spy.requests == []


def wrong_ids(wrong: Any) -> Act:
    """Returns an act in which all ids in responses to writes are of a wrong type."""

    def change(response: Response) -> Response:
        value = json.loads(response.body) if response.body.startswith(b"{") else {}
        if response.status >= 300 or "id" not in value:
            return response
        return replace(response, body=json.dumps({**value, "id": wrong}).encode())

    def act(world: AttackWorld) -> None:
        prepare_all_writes(world)
        proxy = add_proxy(world)
        for method in ("POST", "PATCH"):
            proxy.change(method, "/repos/", change)
        check_findings(world, world.run())

    return act


def wrong_addresses(world: AttackWorld) -> None:
    prepare_all_writes(world)
    proxy = add_proxy(world)
    address = f"https://evil.example/\n{COMMAND}\r{COMMAND}](x)<img src=x>@everyone"
    proxy.change(
        "POST", "/repos/", lambda response: _with(response, html_url=address, url=address, body=HOSTILE)
    )
    check_findings(world, world.run())


def _with(response: Response, **fields: Any) -> Response:
    value = json.loads(response.body)
    return replace(response, body=json.dumps({**value, **fields}).encode())


INTEGRATION = {"status": 403, "body": {"message": "Resource not accessible by integration"}}
IN_AN_HOUR = {
    "status": 403,
    "headers": {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time()) + 3_600)},
    "body": {"message": "API rate limit exceeded"},
}
FAULTS: dict[str, tuple[Mapping[str, Any], int]] = {
    "401": ({"status": 401, "body": {"message": HOSTILE}}, OFTEN),
    "404": ({"status": 404}, OFTEN),
    "409": ({"status": 409, "body": {"message": HOSTILE, "errors": [HOSTILE, ENCODED]}}, OFTEN),
    "422": ({"status": 422, "body": {"message": HOSTILE, "errors": [HOSTILE] * 90}}, OFTEN),
    "429 for a second": ({"status": 429, "headers": {"retry-after": "1"}}, 1),
    "429 for a time that is none": ({"status": 429, "headers": {"retry-after": "-1e999 \u00b2"}}, OFTEN),
    "a secondary limit": (
        {"status": 403, "body": {"message": "You have exceeded a secondary rate limit"}},
        OFTEN,
    ),
    "a primary limit until in an hour": (IN_AN_HOUR, OFTEN),
    "500": ({"status": 500, "body": HOSTILE}, OFTEN),
    "502 to what was stored": ({"status": 502, "commit_then_fail": True}, 1),
    "silence to what was stored": ({"disconnect": True, "commit_then_fail": True}, 1),
    "half an answer": ({"truncate": True}, 1),
    "HTML to what was stored": ({"status": 200, "html": True, "commit_then_fail": True}, 1),
    "deep JSON": ({"status": 201, "body": '{"id":' * 100_000}, 1),
}
WRITES: dict[str, Act] = {
    "403 by integration to every write": fault_on_each_write(INTEGRATION),
    "401 to every write": fault_on_each_write({"status": 401, "body": {"message": HOSTILE}}),
    "every write is sent elsewhere": redirect_writes,
    "ids as text": wrong_ids("1"),
    "ids as truths": wrong_ids(True),
    "addresses that are none": wrong_addresses,
    **{
        f"each place fails otherwise, beginning with {name}": rotate_faults(turn)
        for turn, name in enumerate(FAULTS)
    },
}


@pytest.mark.parametrize("acts", split_acts(WRITES, 4), ids=["first", "second", "third", "fourth"])
def test_responses_to_writes(acts: dict[str, Act], tmp_path: Path, count: Count) -> None:
    run_in_turn(acts, tmp_path, count)


def check_failed(world: AttackWorld, result: Result, *words: str) -> None:
    """Checks that no model was asked and nothing written, and that the errors contain the words."""
    assert result.code == 3, (result.log, result.errors)
    assert [one.path for one in world.github.writes if "check-runs" not in one.path] == []
    for word in words:
        assert word in result.error_text, result.log
    check_mentions_are_quoted(result.summary, *world.check_run_markdown)


def change_read(change: Change, *words: str, path: str = "/pulls/1$") -> Act:
    """Returns an act with a changed response to a read that the review needs."""

    def act(world: AttackWorld) -> None:
        world.change()
        add_proxy(world).change("GET", path, change)
        check_failed(world, world.run(), *words)
        assert world.model.requests == []

    return act


def pull(**fields: Any) -> Change:
    """Replaces values of the pull request, at paths whose dots are written as two underscores."""

    def change(response: Response) -> Response:
        value = json.loads(response.body)
        for path, other in fields.items():
            *above, last = path.split("__")
            inner = value
            for key in above:
                inner = inner[key]
            inner[last] = other
        return replace(response, body=json.dumps(value).encode())

    return change


def text(body: bytes, **headers: str) -> Change:
    return lambda response: replace(response.with_headers(**headers), body=body)


def bomb(*layers: str) -> Change:
    """A hundred megabytes of JSON, compressed once for each layer."""

    def change(response: Response) -> Response:
        body = b'{"x": "' + b" " * 100_000_000 + b'"}'
        for _ in layers:
            body = gzip.compress(body, 9)
        return text(body, content_encoding=", ".join(layers))(response)

    return change


def redirect_read(target: str) -> Act:
    """Returns an act in which a read is redirected there."""

    def act(world: AttackWorld) -> None:
        world.change()
        spy = Spy()
        there = world.serve(spy)
        world.github.fault(
            "GET", "/pulls/1$", redirect=target.replace("SPY", there.partition("//")[2]), times=9
        )
        check_failed(world, world.run(), "not followed" if "[" not in target else SENSELESS)
        assert spy.requests == []

    return act


SENSELESS = "makes no sense"
READS: dict[str, Act] = {
    "another pull request's number": change_read(pull(number=2), SENSELESS),
    "a number as a truth": change_read(pull(number=True), SENSELESS),
    "a head that is no SHA": change_read(pull(head__sha="../../../user"), "no commit's SHA"),
    "a repository that is a path": change_read(pull(base__repo__full_name="../../user"), SENSELESS),
    "a hundred thousand brackets": change_read(text(b"[" * 100_000), SENSELESS),
    "a bomb that is packed twice": change_read(bomb("gzip", "gzip")),
    "what is no gzip": change_read(text(b"{}", content_encoding="gzip")),
    "files that are no files": change_read(text(b'[1, null, {"filename": []}]'), SENSELESS, path="/files$"),
    "a refusal that repeats the token": change_read(
        lambda response: replace(
            response, status=403, body=json.dumps({"message": f"{HOSTILE} {ENCODED}"}).encode()
        )
    ),
    "another host": redirect_read("http://SPY/repos/octo/repo/pulls/1"),
    "the cloud's own address": redirect_read(METADATA),
    "a host behind a name": redirect_read("http://127.0.0.1@SPY/x"),
    "no address at all": redirect_read("http://[::1"),
}


@pytest.mark.parametrize("acts", split_acts(READS, 2), ids=["first", "second"])
def test_responses_to_first_reads(acts: dict[str, Act], tmp_path: Path, count: Count) -> None:
    run_in_turn(acts, tmp_path, count)


FORGED_PATCHES = {
    "app.py": "@@ -1,3 +1,3 @@\n line 1\n line 2\n-line 3\n+third\n@@ -900 +900 @@\n-x\n+y",
    "../../../user": "@@ -0,0 +1 @@\n+x",
    "/etc/passwd": "@@ -0,0 +1 @@\n+x",
    ".git/config": "@@ -0,0 +1 @@\n+x",
    "nul\0.py": "@@ -0,0 +1 @@\n+x",
    "\ud800.py": "@@ -0,0 +1 @@\n+\ud800",
    "zero.py": "@@ -0,0 +0,2 @@\n+x\n+y",
    "below.py": "@@ -1 +-5 @@\n-x\n+y",
    "far.py": "@@ -1 +1000000000 @@\n-x\n+y",
    "counts.py": "@@ -1,99999999999999999999 +1,99999999999999999999 @@\n+x",
    "headless.py": "+x\n+y",
    "twice.py": "@@ -0,0 +1 @@\n+x",
    "number.py": 7,
    "app.py ": "@@ -3 +3 @@\n-line 3\n+third",
}


def forge_files(response: Response) -> Response:
    """Returns a made-up list of files, of which only line 3 of app.py is correct."""
    shape = {"sha": "0" * 40, "status": "modified", "additions": 1, "deletions": 1, "changes": 2}
    listed = [{**shape, "filename": name, "patch": patch} for name, patch in FORGED_PATCHES.items()]
    listed += [{**shape, "filename": "twice.py", "status": "unheard of", "patch": "@@ -0,0 +1 @@\n+x"}]
    return replace(response, body=json.dumps(listed).encode())


def review_forged_files(world: AttackWorld, *, checkout: bool) -> None:
    world.change()
    add_proxy(world).change("GET", "/files$", forge_files)
    lines = {"app.py": (3, 900), "far.py": (1, 10**9), "zero.py": (0, 1, 2)}
    names = [name for name in FORGED_PATCHES if name.isprintable()]  # others would make the call invalid
    found = [finding(name, line, title=f"{name} {line}") for name in names for line in lines.get(name, (1,))]
    world.answer_with(turns([report_call(*found), report_call()]))
    result = world.run(workspace=world.repository.path if checkout else None)
    assert result.code in (0, 4), (result.log, result.errors)
    on_lines = {(one.path, one.line) for one in world.github.comments if one.subject_type == "line"}
    assert on_lines == {("app.py", 3)}, (result.log, result.report["notes"])


def add_headers(response: Response) -> Response:
    """Returns a response with every header that makes other programs act."""
    spy = "http://127.0.0.1:9/x"
    return response.with_headers(
        link=f'<{spy}>; rel="next", <{METADATA}>; rel="last", <{spy}>; rel="first"',
        set_cookie="session=canary; Path=/",
        location=spy,
        content_location=spy,
        refresh=f"0; url={spy}",
        alt_svc='h2="127.0.0.1:9"',
        retry_after="86400",
        x_accepted_github_permissions=f"{COMMAND}",
        x_oauth_scopes="repo, admin:org",
        content_disposition="attachment; filename=../../x",
        content_type="text/html; charset=utf-16",
        etag='W/"x"',
    )


def review_with_headers(world: AttackWorld) -> None:
    prepare_all_writes(world)
    proxy = add_proxy(world)
    proxy.change("*", "", add_headers)
    check_findings(world, world.run())
    assert [one.path for one in world.github.journal if "cookie" in one.headers] == []
    assert [one.path for one in world.github.journal if "if-none-match" in one.headers] == []


def drip_pull_request(world: AttackWorld) -> None:
    """Sends the pull request byte by byte, which would take an hour."""
    world.deadline = 0.1
    world.change()
    add_proxy(world).change("GET", "/pulls/1$", lambda response: replace(response, drip=1.0))
    check_failed(world, world.run())


def respond_late(world: AttackWorld) -> None:
    """Stores the review, and responds after the timeout."""
    prepare_all_writes(world)
    world.github.when("POST", "/pulls/1/reviews$", lambda: time.sleep(17), after=True)
    check_findings(world, world.run())
    assert len(world.github.reviews) == 2


def decline_one_line(world: AttackWorld) -> None:
    """Declines one line of thirty with a hostile message."""
    added = "".join(f"value_{number} = {number}\n" for number in range(1, 31))
    world.change({"README": "x\n"}, {"many.py": added})
    found = [finding("many.py", line, title=f"Fault number {line}") for line in range(1, 31)]
    world.answer_with(report(found))
    errors = [f"Pull request review thread line must be part of the diff {HOSTILE} {ENCODED}"]
    world.github.hub.refused_lines.add(17)
    world.github.fault(
        "POST",
        "/reviews$",
        asking=r"\*\*Fault number 17\*\*",
        status=422,
        body={"message": HOSTILE, "errors": errors},
        times=OFTEN,
    )
    result = world.run(code=0)
    levels = check_destinations(world.github, result)
    assert levels.pop("Fault number 17") == "file"
    assert set(levels.values()) == {"inline"}
    check_mentions_are_quoted(result.summary, world.posted)


def during_review(event: Callable[[AttackWorld], object], *, posted: bool) -> Act:
    """Returns an act in which something happens to the pull request while the model is asked."""

    def act(world: AttackWorld) -> None:
        prepare_all_writes(world)
        answer = report_call(LINE, FILE, BODY)
        world.answer_with(turns([Answer(tool_calls=answer.tool_calls, delay=0.5), report_call()]))
        world.github.when("POST", "/check-runs$", lambda: event(world), after=True)
        before = len(world.github.comments)
        result = world.run()
        assert result.code == 0, (result.log, result.errors)
        check_destinations(world.github, result)
        world.github.hub.pulls[1].merged = False  # the checks would report it
        new = [one for one in world.github.comments[before:] if one.in_reply_to is None]
        assert bool([one for one in new if one.subject_type == "line"]) == posted, result.log
        assert [one for one in new if (one.path, one.line) not in (("app.py", 3), ("app.py", None))] == []

    return act


def force_push(world: AttackWorld) -> None:
    world.repository.git("checkout", "-q", "-B", "feature", "main")
    world.push({"app.py": "another file\n"})


def lock(world: AttackWorld) -> None:
    refusal = {"message": f"Unable to create comment because issue is locked. {HOSTILE}"}
    for path in ("/comments$", "/reviews$"):
        world.github.fault("POST", path, status=403, body=refusal, times=OFTEN)


def retarget(world: AttackWorld) -> None:
    world.repository.git("branch", "release", "main")
    world.github.retarget(1, "release")


SLOW: dict[str, Act] = {
    "a pull request that comes byte by byte": drip_pull_request,
    "an answer that comes too late": respond_late,
    "a review that is merged in the midst": during_review(
        lambda world: world.github.close(1, merged=True), posted=False
    ),
    "a force-push in the midst": during_review(force_push, posted=False),
    "another base in the midst": during_review(retarget, posted=True),
    "a conversation that is locked in the midst": during_review(lock, posted=False),
    "a token that is revoked in the midst": during_review(
        lambda world: world.github.tokens.pop(GITHUB_TOKEN), posted=False
    ),
    "made-up patches, by checkout": partial(review_forged_files, checkout=True),
    "made-up patches, by API": partial(review_forged_files, checkout=False),
    "headers that make others act": review_with_headers,
    "422 for one line of thirty": decline_one_line,
}


@pytest.mark.parametrize("acts", split_acts(SLOW, 2), ids=["first", "second"])
def test_events_during_review(acts: dict[str, Act], tmp_path: Path, count: Count) -> None:
    run_in_turn(acts, tmp_path, count)

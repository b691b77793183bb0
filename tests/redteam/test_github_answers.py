"""Group "GitHub's answers": whatever it says, or somebody in its place, nothing is lost, doubled or sent away."""

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
from hunkwise.publish.documents import comment
from hunkwise.tracking.markers import review_marker
from tests.end_to_end.places import BODY, FILE, LINE, where
from tests.end_to_end.step import GITHUB_TOKEN, Result
from tests.end_to_end.test_model_faults import without_code
from tests.end_to_end.world import BASE, HEAD, finding, said
from tests.fakes.github_reviews import create_review
from tests.fakes.github_state import BOT
from tests.fakes.model_script import Answer, report, turns
from tests.redteam.attack import Arena
from tests.redteam.change_kinds import COMMAND
from tests.redteam.counts import ATTACK
from tests.redteam.parallel import Act, in_turn
from tests.redteam.proxy import Change, Said, Spy, between

OFTEN = 200
NO_WAIT = 0.8
"""Minutes in which no limit is waited for that does not say its time: that would be one."""
METADATA = "http://169.254.169.254/latest/meta-data/"
HOSTILE = (
    f"{COMMAND}\n{COMMAND}\r@everyone <img src=x> ![x](https://evil.example) {GITHUB_TOKEN}\u2028{COMMAND}"
)
ENCODED = b64encode(f"token={GITHUB_TOKEN}".encode()).decode()

Tried = Callable[[str], None]


@pytest.fixture
def tried(request: pytest.FixtureRequest) -> Tried:
    return lambda attack: request.node.user_properties.append((ATTACK, attack))


def parts(acts: Mapping[str, Act], count: int) -> list[dict[str, Act]]:
    """The acts in as many parts, so that several workers share them."""
    return [dict(islice(acts.items(), part, None, count)) for part in range(count)]


def everyone_is_quoted(*texts: str) -> None:
    for text in texts:
        outside = without_code(text)
        assert "@everyone" not in outside
        assert "<img" not in outside.replace("\\<img", "")


# All that is written


def every_write(arena: Arena) -> None:
    """Three findings for three rungs, and the thread of an earlier run whose fault is mended now."""
    old = {"app.py": HEAD["app.py"].replace("line 9\n", "fault(Old, high)\n")}
    pull = arena.change(BASE, old)
    anchor = Anchor("app.py", 10, code="fault(Old, high)")
    fault = Finding("app.py", Severity.HIGH, "Fault Old", "It breaks.", anchor, "Old")
    body = comment(fault, server_url="https://github.com", applies=False)
    told = {"path": "app.py", "line": 10, "body": body}
    given = {"event": "COMMENT", "body": review_marker("1.dead", pull.head_sha), "comments": [told]}
    create_review(arena.github.hub, pull, BOT, given)
    arena.repository.commit(HEAD)
    arena.github.push(1, "feature")
    arena.answers(turns([said(LINE, FILE, BODY), said()]))


PLACES = (
    ("POST", "/check-runs$", ""),
    ("PATCH", "/check-runs/", ""),
    ("POST", "/pulls/1/comments$", ""),
    ("POST", "/pulls/1/reviews$", ""),
    ("POST", "/issues/1/comments$", ""),
    ("POST", "/graphql$", "mutation"),
)
"""All that such a run writes."""


def nothing_lost(arena: Arena, result: Result) -> None:
    """Each finding stands where the report says, once, and is in the summary as well."""
    assert result.code == 0, (result.log, result.errors)
    rungs = where(arena, result)
    assert set(rungs) == {LINE["title"], FILE["title"], BODY["title"]}
    everyone_is_quoted(arena.posted, result.summary, *arena.markdown_of_checks)


def everywhere(fault: Mapping[str, Any]) -> Act:
    """Every write is answered so."""

    def act(arena: Arena) -> None:
        arena.deadline = NO_WAIT
        every_write(arena)
        for method, path, asking in PLACES:
            arena.github.fault(method, path, asking=asking, times=OFTEN, **fault)
        nothing_lost(arena, arena.run())

    return act


def rotated(turn: int) -> Act:
    """Each place answers by another fault: over all turns, each place has each of them once."""

    def act(arena: Arena) -> None:
        arena.deadline = NO_WAIT
        every_write(arena)
        for place, (method, path, asking) in enumerate(PLACES):
            fault, times = list(FAULTS.values())[(turn + place * 2) % len(FAULTS)]
            arena.github.fault(method, path, asking=asking, times=times, **fault)
        nothing_lost(arena, arena.run())

    return act


def writes_redirected(arena: Arena) -> None:
    """Each write is sent elsewhere by another status; nobody else hears of any."""
    every_write(arena)
    spy = Spy()
    elsewhere = arena.serves(spy)
    for status, path, target in (
        (301, "/check-runs", f"{elsewhere}/x"),
        (302, "/pulls/1/comments$", METADATA),
        (307, "/pulls/1/reviews$", f"{elsewhere}/x"),
        (308, "/issues/", f"//{elsewhere.partition('//')[2]}/x"),
        (303, "/graphql$", f"{elsewhere}/graphql"),
    ):
        asking = "mutation" if "graphql" in path else ""
        for method in ("POST", "PATCH"):
            arena.github.fault(method, path, status=status, redirect=target, asking=asking, times=OFTEN)
    nothing_lost(arena, arena.run())
    assert spy.asked == []


def ids_that_are_none(wrong: Any) -> Act:
    """All ids that answers to writes give are something else than numbers, or nobody's."""

    def change(told: Said) -> Said:
        value = json.loads(told.body) if told.body.startswith(b"{") else {}
        if told.status >= 300 or "id" not in value:
            return told
        return replace(told, body=json.dumps({**value, "id": wrong}).encode())

    def act(arena: Arena) -> None:
        every_write(arena)
        way = between(arena)
        for method in ("POST", "PATCH"):
            way.change(method, "/repos/", change)
        nothing_lost(arena, arena.run())

    return act


def addresses_that_are_none(arena: Arena) -> None:
    every_write(arena)
    way = between(arena)
    address = f"https://evil.example/\n{COMMAND}\r{COMMAND}](x)<img src=x>@everyone"
    way.change("POST", "/repos/", lambda told: _with(told, html_url=address, url=address, body=HOSTILE))
    nothing_lost(arena, arena.run())


def _with(told: Said, **fields: Any) -> Said:
    value = json.loads(told.body)
    return replace(told, body=json.dumps({**value, **fields}).encode())


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
    "403 by integration to every write": everywhere(INTEGRATION),
    "401 to every write": everywhere({"status": 401, "body": {"message": HOSTILE}}),
    "every write is sent elsewhere": writes_redirected,
    "ids as text": ids_that_are_none("1"),
    "ids as truths": ids_that_are_none(True),
    "addresses that are none": addresses_that_are_none,
    **{
        f"each place fails otherwise, beginning with {name}": rotated(turn)
        for turn, name in enumerate(FAULTS)
    },
}


@pytest.mark.parametrize("acts", parts(WRITES, 4), ids=["first", "second", "third", "fourth"])
def test_whatever_every_write_is_answered_each_finding_stands_once(
    acts: dict[str, Act], tmp_path: Path, tried: Tried
) -> None:
    in_turn(acts, tmp_path, tried)


# All that is read


def no_review(arena: Arena, result: Result, *words: str) -> None:
    """Nothing was asked or written; why is said, and quotes nobody."""
    assert result.code == 3, (result.log, result.errors)
    assert [one.path for one in arena.github.writes if "check-runs" not in one.path] == []
    for word in words:
        assert word in " ".join(result.commands("error")), result.log
    everyone_is_quoted(result.summary, *arena.markdown_of_checks)


def reading(change: Change, *words: str, path: str = "/pulls/1$") -> Act:
    """Somebody changes the answer to a read on which everything rests."""

    def act(arena: Arena) -> None:
        arena.change()
        between(arena).change("GET", path, change)
        no_review(arena, arena.run(), *words)
        assert arena.model.requests == []

    return act


def pull(**fields: Any) -> Change:
    """The pull request with other values at paths whose dots are written as two underscores."""

    def change(told: Said) -> Said:
        value = json.loads(told.body)
        for path, other in fields.items():
            *above, last = path.split("__")
            inner = value
            for key in above:
                inner = inner[key]
            inner[last] = other
        return replace(told, body=json.dumps(value).encode())

    return change


def text(body: bytes, **headers: str) -> Change:
    return lambda told: replace(told.with_headers(**headers), body=body)


def bomb(*layers: str) -> Change:
    """A hundred megabytes of JSON, packed so often."""
    body = b'{"x": "' + b" " * 100_000_000 + b'"}'
    for _ in layers:
        body = gzip.compress(body, 9)
    return text(body, content_encoding=", ".join(layers))


def elsewhere(target: str) -> Act:
    """A read is sent there, with all that its headers hold."""

    def act(arena: Arena) -> None:
        arena.change()
        spy = Spy()
        there = arena.serves(spy)
        arena.github.fault(
            "GET", "/pulls/1$", redirect=target.replace("SPY", there.partition("//")[2]), times=9
        )
        no_review(arena, arena.run(), "not followed" if "[" not in target else SENSELESS)
        assert spy.asked == []

    return act


SENSELESS = "makes no sense"
READS: dict[str, Act] = {
    "another pull request's number": reading(pull(number=2), SENSELESS),
    "a number as a truth": reading(pull(number=True), SENSELESS),
    "a head that is no SHA": reading(pull(head__sha="../../../user"), "no commit's SHA"),
    "a repository that is a path": reading(pull(base__repo__full_name="../../user"), SENSELESS),
    "a hundred thousand brackets": reading(text(b"[" * 100_000), SENSELESS),
    "a bomb that is packed twice": reading(bomb("gzip", "gzip")),
    "what is no gzip": reading(text(b"{}", content_encoding="gzip")),
    "files that are no files": reading(text(b'[1, null, {"filename": []}]'), SENSELESS, path="/files$"),
    "a refusal that repeats the token": reading(
        lambda told: replace(told, status=403, body=json.dumps({"message": f"{HOSTILE} {ENCODED}"}).encode())
    ),
    "another host": elsewhere("http://SPY/repos/octo/repo/pulls/1"),
    "the cloud's own address": elsewhere(METADATA),
    "a host behind a name": elsewhere("http://127.0.0.1@SPY/x"),
    "no address at all": elsewhere("http://[::1"),
}


@pytest.mark.parametrize("acts", parts(READS, 2), ids=["first", "second"])
def test_a_first_answer_that_is_not_to_be_believed_makes_no_review(
    acts: dict[str, Act], tmp_path: Path, tried: Tried
) -> None:
    in_turn(acts, tmp_path, tried)


# What is read, and does not end the run

LYING_PATCHES = {
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


def lying_files(told: Said) -> Said:
    """A list of files that is made up: only line 3 of app.py is as it says."""
    shape = {"sha": "0" * 40, "status": "modified", "additions": 1, "deletions": 1, "changes": 2}
    listed = [{**shape, "filename": name, "patch": patch} for name, patch in LYING_PATCHES.items()]
    listed += [{**shape, "filename": "twice.py", "status": "unheard of", "patch": "@@ -0,0 +1 @@\n+x"}]
    return replace(told, body=json.dumps(listed).encode())


def lied_to(arena: Arena, *, checkout: bool) -> None:
    arena.change()
    between(arena).change("GET", "/files$", lying_files)
    lines = {"app.py": (3, 900), "far.py": (1, 10**9), "zero.py": (0, 1, 2)}
    names = [
        name for name in LYING_PATCHES if name.isprintable()
    ]  # with others the call itself would be none
    found = [finding(name, line, title=f"{name} {line}") for name in names for line in lines.get(name, (1,))]
    arena.answers(turns([said(*found), said()]))
    result = arena.run(workspace=arena.repository.path if checkout else None)
    assert result.code in (0, 4), (result.log, result.errors)
    on_lines = {(one.path, one.line) for one in arena.github.comments if one.subject_type == "line"}
    assert on_lines == {("app.py", 3)}, (result.log, result.report["notes"])


def talkative(told: Said) -> Said:
    """An answer with every header that makes other programs do something."""
    spy = "http://127.0.0.1:9/x"
    return told.with_headers(
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


def headers_change_nothing(arena: Arena) -> None:
    every_write(arena)
    way = between(arena)
    way.change("*", "", talkative)
    nothing_lost(arena, arena.run())
    assert [one.path for one in arena.github.journal if "cookie" in one.headers] == []
    assert [one.path for one in arena.github.journal if "if-none-match" in one.headers] == []


def dripping(arena: Arena) -> None:
    """The pull request comes byte by byte, and would take an hour."""
    arena.deadline = 0.1
    arena.change()
    between(arena).change("GET", "/pulls/1$", lambda told: replace(told, drip=1.0))
    no_review(arena, arena.run())


def late_but_stored(arena: Arena) -> None:
    """The review is stored, and the answer comes when nobody waits for it any more."""
    every_write(arena)
    arena.github.when("POST", "/pulls/1/reviews$", lambda: time.sleep(17), after=True)
    nothing_lost(arena, arena.run())
    assert len(arena.github.reviews) == 2


def one_of_thirty(arena: Arena) -> None:
    """GitHub declines one line of thirty, in words that are no better than the line."""
    added = "".join(f"value_{number} = {number}\n" for number in range(1, 31))
    arena.change({"README": "x\n"}, {"many.py": added})
    found = [finding("many.py", line, title=f"Fault number {line}") for line in range(1, 31)]
    arena.answers(report(found))
    errors = [f"Pull request review thread line must be part of the diff {HOSTILE} {ENCODED}"]
    arena.github.hub.refused_lines.add(17)
    arena.github.fault(
        "POST",
        "/reviews$",
        asking=r"\*\*Fault number 17\*\*",
        status=422,
        body={"message": HOSTILE, "errors": errors},
        times=OFTEN,
    )
    result = arena.run()
    assert result.code == 0
    rungs = where(arena, result)
    assert rungs.pop("Fault number 17") == "file"
    assert set(rungs.values()) == {"inline"}
    everyone_is_quoted(result.summary, arena.posted)


def in_the_midst(event: Callable[[Arena], object], *, posted: bool) -> Act:
    """Something happens to the pull request while the model is asked."""

    def act(arena: Arena) -> None:
        every_write(arena)
        answer = said(LINE, FILE, BODY)
        arena.answers(turns([Answer(tool_calls=answer.tool_calls, delay=0.5), said()]))
        arena.github.when("POST", "/check-runs$", lambda: event(arena), after=True)
        before = len(arena.github.comments)
        result = arena.run()
        assert result.code == 0, (result.log, result.errors)
        where(arena, result)
        arena.github.hub.pulls[1].merged = False  # a person did it, and the checks cannot tell
        new = [one for one in arena.github.comments[before:] if one.in_reply_to is None]
        assert bool([one for one in new if one.subject_type == "line"]) == posted, result.log
        assert [one for one in new if (one.path, one.line) not in (("app.py", 3), ("app.py", None))] == []

    return act


def pushed(arena: Arena, *, rewritten: bool) -> None:
    if rewritten:
        arena.repository.git("checkout", "-q", "-B", "feature", "main")
    arena.repository.commit({"app.py": "another file altogether\n"})
    arena.github.push(1, "feature")


def locked(arena: Arena) -> None:
    said_no = {"message": f"Unable to create comment because issue is locked. {HOSTILE}"}
    for path in ("/comments$", "/reviews$"):
        arena.github.fault("POST", path, status=403, body=said_no, times=OFTEN)


def retargeted(arena: Arena) -> None:
    arena.repository.git("branch", "release", "main")
    arena.github.retarget(1, "release")


SLOW: dict[str, Act] = {
    "a pull request that comes byte by byte": dripping,
    "an answer that comes too late": late_but_stored,
    "a review that is merged in the midst": in_the_midst(
        lambda arena: arena.github.close(1, merged=True), posted=False
    ),
    "a force-push in the midst": in_the_midst(partial(pushed, rewritten=True), posted=False),
    "another base in the midst": in_the_midst(retargeted, posted=True),
    "a conversation that is locked in the midst": in_the_midst(locked, posted=False),
    "a token that is revoked in the midst": in_the_midst(
        lambda arena: arena.github.tokens.pop(GITHUB_TOKEN), posted=False
    ),
    "made-up patches, by checkout": partial(lied_to, checkout=True),
    "made-up patches, by API": partial(lied_to, checkout=False),
    "headers that make others act": headers_change_nothing,
    "422 for one line of thirty": one_of_thirty,
}


@pytest.mark.parametrize("acts", parts(SLOW, 2), ids=["first", "second"])
def test_whatever_is_answered_in_the_midst_nothing_is_lost_or_stands_on_a_wrong_line(
    acts: dict[str, Act], tmp_path: Path, tried: Tried
) -> None:
    in_turn(acts, tmp_path, tried)

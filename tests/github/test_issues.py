"""An audit keeps one issue with one state comment, whatever becomes of the answers, and overwrites nobody's edit."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from hunkwise.domain.audit import DismissedAlert
from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.issues import AuditIssue, AuditIssues, StaleIssueError
from tests.fakes.github_state import Alert, Issue, IssueComment
from tests.github.conftest import SECRET, World

BOT = "github-actions[bot]"
LABEL = "hunkwise-audit"
MARKER = "<!-- hunkwise:audit v1 -->"
BODY = f"Nothing found.\n\n{MARKER}"
STATE = "For the next audit.\n<!-- hunkwise:auditstate v1 abcd -->"
NEXT = STATE.replace("abcd", "efgh")
NEWS = "One is new.\n<!-- hunkwise:auditnews v1 1 -->"
LOST: list[dict[str, Any]] = [
    {"status": 502},
    {"status": 200, "html": True},
    {"status": 200, "body": {}},
    {"disconnect": True},
    {"truncate": True},
]


def issues(world: World, token: str = "ghs_write") -> AuditIssues:
    return AuditIssues(world.writer(token))


def find(world: World, token: str = "ghs_write") -> AuditIssue | None:
    return issues(world, token).find(MARKER, LABEL)


def found(world: World) -> AuditIssue:
    issue = find(world)
    assert issue is not None
    return issue


def add_issue(world: World, *, author: str = BOT, body: str = BODY, label: str = LABEL) -> Issue:
    hub = world.fake.hub
    issue = Issue(hub.next_number(), "hunkwise audit", author, body, labels=[label])
    hub.labels.setdefault(label, "ededed")
    hub.issues[issue.number] = issue
    return issue


def create(world: World, token: str = "ghs_write") -> AuditIssue:
    return issues(world, token).create("hunkwise audit", BODY, LABEL, STATE)


def sent(world: World) -> list[tuple[str, str]]:
    """Method and path of each request, without those that only read who we are."""
    paths = [(request.method, request.path) for request in world.fake.journal]
    return [(method, path.removeprefix("/repos/octo/repo")) for method, path in paths if path != "/user"]


def test_the_issue_is_created_with_label_and_state(world: World) -> None:
    assert find(world) is None
    made = create(world)
    (stored,) = world.fake.issues.values()
    (comment,) = world.fake.issue_comments
    assert (stored.title, stored.body, stored.labels) == ("hunkwise audit", BODY, [LABEL])
    assert (comment.number, comment.body) == (stored.number, STATE)
    assert world.fake.hub.labels[LABEL] == "5319e7"
    assert made.url == f"{world.url}/octo/repo/issues/{stored.number}"
    assert sent(world) == [
        ("POST", "/graphql"),
        ("POST", "/graphql"),
        ("POST", "/labels"),
        ("POST", "/issues"),
        ("POST", f"/issues/{stored.number}/comments"),
    ]
    assert found(world) == made


def test_a_label_that_exists_is_used(world: World) -> None:
    world.fake.hub.labels["Hunkwise-Audit"] = "000000"
    create(world)
    assert [issue.labels for issue in world.fake.issues.values()] == [["Hunkwise-Audit"]]
    assert found(world).state_comments[0].body == STATE


def test_a_quiet_audit_is_one_read_and_two_edits(world: World) -> None:
    create(world)
    world.fake.journal.clear()
    audit = issues(world)
    issue = audit.find(MARKER, LABEL)
    assert issue is not None
    audit.write_state(issue, NEXT)
    audit.edit(issue, f"Another.\n\n{MARKER}")
    (comment,) = world.fake.issue_comments
    assert comment.body == NEXT
    assert world.fake.issues[issue.number].body == f"Another.\n\n{MARKER}"
    assert sent(world) == [
        ("POST", "/graphql"),
        ("POST", "/graphql"),
        ("PATCH", f"/issues/comments/{comment.id}"),
        ("PATCH", f"/issues/{issue.number}"),
    ]


def test_only_our_issue_with_label_and_marker_is_found(world: World) -> None:
    add_issue(world, author="mallory")
    add_issue(world, label="bug")
    add_issue(world, body="Another workflow's.")
    add_issue(world, body=f"Not a line of its own: {MARKER}")
    assert find(world) is None
    mine = add_issue(world, body=BODY.replace("\n", "\r\n") + "\r\nA line that somebody added.")
    assert found(world).number == mine.number


def test_an_open_issue_is_preferred_to_a_newer_closed_one(world: World) -> None:
    first, second, third = (add_issue(world) for _ in range(3))
    assert found(world).number == third.number
    third.state = "closed"
    assert found(world).number == second.number
    first.state = second.state = "closed"
    assert (found(world).number, found(world).state) == (third.number, "closed")


def test_a_closed_issue_stays_closed(world: World) -> None:
    stored = add_issue(world)
    stored.state = "closed"
    issues(world).edit(found(world), f"x\n{MARKER}")
    assert (stored.state, stored.body) == ("closed", f"x\n{MARKER}")


def test_who_edited_the_body_and_which_comments_are_trusted(world: World) -> None:
    create(world)
    (stored,) = world.fake.issues.values()
    assert found(world).body_editor == ""
    world.fake.edit(stored, BODY, by="octocat")
    world.fake.say(stored.number, "mallory", STATE)
    issue = found(world)
    assert issue.body_editor == "octocat"
    assert [(comment.body, comment.edited) for comment in issue.state_comments] == [(STATE, False)]
    world.fake.edit(world.fake.issue_comments[0], STATE, by="mallory")
    assert [comment.edited for comment in found(world).state_comments] == [True]
    issues(world).write_state(found(world), NEXT)
    assert [(one.body, one.edited) for one in found(world).state_comments] == [(NEXT, False)]


def test_the_state_is_found_in_a_long_conversation(world: World) -> None:
    issue = create(world)
    for number in range(150):
        world.fake.say(issue.number, "octocat", f"Comment {number}")
    assert [comment.body for comment in found(world).state_comments] == [STATE]
    world.fake.delete(world.fake.issue_comments[0])
    issues(world).write_state(found(world), NEXT)
    assert [comment.body for comment in found(world).state_comments] == [NEXT]


def test_the_state_replaces_no_other_comment_of_ours(world: World) -> None:
    issue = create(world)
    issues(world).comment(issue, NEWS)
    assert [comment.body for comment in found(world).state_comments] == [STATE, NEWS]
    issues(world).write_state(found(world), NEXT)
    assert [comment.body for comment in world.fake.issue_comments] == [NEXT, NEWS]


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("path", ["/labels$", "/issues$", "/issues/2/comments$"])
def test_an_issue_whose_answers_are_lost_is_there_once(
    world: World, path: str, fault: dict[str, Any], stored: bool
) -> None:
    world.fake.fault("POST", path, commit_then_fail=stored, **fault)
    made = create(world)
    assert [issue.body for issue in world.fake.issues.values()] == [BODY]
    assert [comment.body for comment in world.fake.issue_comments] == [STATE]
    assert found(world) == made
    assert world.fake.faults.left == 0


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("known", [False, True])
def test_a_state_whose_answer_is_lost_is_there_once(
    world: World, known: bool, fault: dict[str, Any], stored: bool
) -> None:
    issue = create(world)
    if not known:
        world.fake.delete(world.fake.issue_comments[0])
    read = found(world)
    world.fake.fault("*", "/issues/.*comments", commit_then_fail=stored, **fault)
    issues(world).write_state(read, NEXT)
    world.fake.fault("PATCH", f"/issues/{issue.number}$", commit_then_fail=stored, **fault)
    issues(world).edit(read, f"Another.\n\n{MARKER}")
    assert [comment.body for comment in world.fake.issue_comments] == [NEXT]
    assert world.fake.issues[issue.number].body == f"Another.\n\n{MARKER}"
    assert world.fake.faults.left == 0


def tick(world: World, issue: AuditIssue) -> None:
    world.fake.edit(world.fake.issues[issue.number], BODY.replace("Nothing", "Much"), by="octocat")


def write_meanwhile(world: World, issue: AuditIssue) -> None:
    world.fake.edit(world.fake.issue_comments[0], STATE.replace("abcd", "ijkl"), by=BOT)


def comment_meanwhile(world: World, issue: AuditIssue) -> None:
    world.fake.say(issue.number, BOT, NEWS)


@pytest.mark.parametrize("happen", [tick, write_meanwhile, comment_meanwhile])
def test_nothing_is_written_over_what_was_written_meanwhile(world: World, happen: Any) -> None:
    issue = create(world)
    read = found(world)
    happen(world, issue)
    before = [comment.body for comment in world.fake.issue_comments]
    with pytest.raises(StaleIssueError, match="since this audit read it"):
        issues(world).write_state(read, NEXT)
    assert [comment.body for comment in world.fake.issue_comments] == before
    issues(world).write_state(found(world), NEXT)
    assert NEXT in [comment.body for comment in world.fake.issue_comments]


def test_comments_of_people_are_no_reason_to_stop(world: World) -> None:
    issue = create(world)
    read = found(world)
    world.fake.say(issue.number, "octocat", "Thanks.")
    issues(world).write_state(read, NEXT)
    assert world.fake.issue_comments[0].body == NEXT


def test_of_two_audits_at_once_one_writes(world: World) -> None:
    create(world)
    first, second = found(world), found(world)
    issues(world).write_state(first, NEXT)
    with pytest.raises(StaleIssueError):
        issues(world).write_state(second, STATE.replace("abcd", "ijkl"))
    assert [comment.body for comment in world.fake.issue_comments] == [NEXT]


def test_of_two_first_audits_at_once_one_creates_the_issue(world: World) -> None:
    assert find(world) is None
    create(world)
    with pytest.raises(StaleIssueError, match="Another audit created"):
        create(world)
    assert (len(world.fake.issues), len(world.fake.issue_comments)) == (1, 1)


def test_an_issue_that_was_deleted_is_an_error(world: World) -> None:
    issue = create(world)
    world.fake.issues.clear()
    for write in (
        lambda: issues(world).write_state(issue, NEXT),
        lambda: issues(world).edit(issue, BODY),
    ):
        with pytest.raises(GitHubError) as caught:
            write()
        assert caught.value.kind is GitHubErrorKind.NOT_FOUND


@pytest.mark.parametrize(
    ("permission", "readable"), [("read", True), ("write:pulls", True), ("none:issues", False)]
)
def test_a_missing_permission_is_named(world: World, permission: str, readable: bool) -> None:
    world.fake.tokens["ghs_some"] = permission
    if readable:
        assert find(world, "ghs_some") is None
    with pytest.raises(GitHubError) as caught:
        create(world, "ghs_some")
    assert caught.value.kind is GitHubErrorKind.FORBIDDEN
    assert "issues: write" in caught.value.hint
    assert not world.fake.issues


def test_a_repository_without_issues_says_so(world: World) -> None:
    world.fake.hub.has_issues = False
    with pytest.raises(GitHubError) as caught:
        create(world)
    assert caught.value.kind is GitHubErrorKind.NOT_FOUND
    assert "enable issues" in caught.value.hint


@pytest.mark.parametrize("status", [401, 422, 429, 502])
def test_a_refused_creation_says_why_and_leaves_nothing(world: World, status: int) -> None:
    world.clock.left = 0.0
    world.fake.fault("POST", "/issues$", status=status, times=9)
    with pytest.raises(GitHubError):
        create(world)
    assert not world.fake.issues


def test_a_secret_does_not_leave(world: World) -> None:
    issue = create(world)
    world.fake.journal.clear()
    audit = issues(world)
    for write in (
        lambda: audit.create("x", f"{SECRET}\n<!-- hunkwise:other v1 -->", LABEL, STATE),
        lambda: audit.write_state(issue, f"{SECRET}\n{STATE}"),
        lambda: audit.edit(issue, SECRET),
        lambda: audit.comment(issue, SECRET),
    ):
        with pytest.raises(GitHubError, match="secrets"):
            write()
    assert [request.path for request in world.fake.writes] == ["/repos/octo/repo/labels"]


def alert(number: int, **changes: Any) -> Alert:
    known: dict[str, Any] = {
        "rule": "audit/race",
        "path": "src/a.py",
        "line": 3,
        "end_line": 5,
        "message": "A race.",
        "commit_sha": "0" * 40,
        "state": "dismissed",
        "dismissed_by": "octocat",
        "reason": "won't fix",
    }
    return Alert(number, **(known | changes))


def test_dismissed_alerts_of_ours_are_read(world: World) -> None:
    world.fake.hub.alerts += [
        alert(1, comment="As designed."),
        alert(2, state="open"),
        alert(3, tool="CodeQL"),
        alert(4, state="fixed"),
        alert(5, ref="refs/pull/1/head"),
        alert(6, dismissed_by=""),
    ]
    assert issues(world).dismissed_alerts() == (
        DismissedAlert(6, "audit/race", "src/a.py", 3, 5, "A race.", "0" * 40, "ghost", "won't fix"),
        DismissedAlert(
            1, "audit/race", "src/a.py", 3, 5, "A race.", "0" * 40, "octocat", "won't fix", "As designed."
        ),
    )
    assert len(world.fake.journal) == 1


def test_dismissed_alerts_are_read_in_pages(world: World) -> None:
    world.fake.hub.alerts += [alert(number) for number in range(1, 206)]
    alerts = issues(world).dismissed_alerts()
    assert alerts is not None
    assert [one.number for one in alerts] == list(range(205, 0, -1))
    assert len(world.fake.journal) == 3


def test_no_dismissed_alert_is_not_the_same_as_unreadable_alerts(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "hunkwise")
    assert issues(world).dismissed_alerts() is None  # 404: no analysis found
    world.fake.alerts.append(alert(1, state="open"))
    assert issues(world).dismissed_alerts() == ()
    world.fake.hub.has_code_scanning = False
    assert issues(world).dismissed_alerts() is None
    world.fake.fault("GET", "/code-scanning/alerts", status=503, times=9)
    world.clock.left = 0.0
    assert issues(world).dismissed_alerts() is None
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "Dismissed alerts of code scanning are not taken into account"
    ] * 2


def test_too_many_dismissed_alerts_decide_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.fake.hub.alerts += [alert(number) for number in range(1, 3_001)]
    assert issues(world).dismissed_alerts() is None
    assert "more than 3,000" in caplog.text


def test_comments_of_the_pull_request_are_another_conversation(world: World) -> None:
    world.fake.issue_comments.append(IssueComment(world.fake.hub.next_id(), 1, BOT, STATE))
    create(world)
    assert [comment.number for comment in world.fake.issue_comments] == [1, 2]

"""Tests the five checks: each of them fails when it should."""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.end_to_end.step import COPILOT_TOKEN, GITHUB_TOKEN, PROVIDER_KEY
from tests.end_to_end.world import finding
from tests.fakes.git_repository import GitRepository
from tests.fakes.github import FakeGitHub
from tests.fakes.github_messages import Request
from tests.fakes.github_state import CheckRun, Comment, IssueComment, Review, Thread
from tests.fakes.model_script import report
from tests.redteam import allowed_writes as writes
from tests.redteam import checks
from tests.redteam.allowed_writes import Scope
from tests.redteam.attack import ENVIRONMENT, FILE_CANARY, AttackWorld
from tests.redteam.counts import group_of, line_of
from tests.redteam.loopback import remote_addresses_in, run_without_network, watch_sockets

HEAD, OTHER = "a" * 40, "b" * 40
THREAD = "mutation($t: ID!) { a: resolveReviewThread(input: {threadId: $t}) { thread { id } } }"


@pytest.fixture(scope="module")
def scope(tmp_path_factory: pytest.TempPathFactory) -> Scope:
    github = FakeGitHub(GitRepository.create(tmp_path_factory.mktemp("writes") / "repository").git_dir)
    for number in (1, 2):
        comment = Comment(number, number, "bot", "text", "a.py", HEAD, "@@")
        github.hub.comments.append(comment)
        github.hub.threads.append(Thread(f"T{number}", number, [comment]))
        github.hub.issue_comments.append(IssueComment(10 + number, number, "bot", "text"))
        github.hub.check_runs.append(CheckRun(number, "hunkwise", HEAD if number == 1 else OTHER, "x", None))
    return Scope(github, heads=[HEAD])


def request(method: str, path: str, body: Any = None, **query: str) -> Request:
    whole = path if path.startswith("/") else f"/repos/octo/repo/{path}"
    return Request(method, whole, query, body, None, {})


def graphql(query: str, **variables: str) -> Request:
    return request("POST", "/graphql", {"query": query, "variables": variables})


ALLOWED = [
    request("GET", "pulls/1/files"),
    request("GET", "contents/a.py", ref=HEAD),
    request("GET", "/rate_limit"),
    request("POST", "pulls/1/reviews", {"event": "COMMENT", "body": "text"}),
    request("POST", "pulls/1/reviews", {"event": "REQUEST_CHANGES"}),
    request("DELETE", "pulls/1/reviews/7"),
    request("PUT", "pulls/1/reviews/7/dismissals", {"message": "text", "event": "DISMISS"}),
    request("POST", "pulls/1/comments", {"body": "text", "path": "a.py", "subject_type": "file"}),
    request("PATCH", "pulls/comments/1", {"body": "text"}),
    request("POST", "issues/1/comments", {"body": "text"}),
    request("PATCH", "issues/comments/11", {"body": "text"}),
    request("DELETE", "issues/comments/99"),
    request("POST", "check-runs", {"head_sha": HEAD}),
    request("PATCH", "check-runs/1", {"status": "completed"}),
    request("POST", "pulls/1/comments/1/replies", {"body": "text"}),
    request("POST", "pulls/comments/1/reactions", {"content": "eyes"}),
    request("POST", "issues/comments/11/reactions", {"content": "confused"}),
    request("DELETE", "pulls/comments/99"),
    graphql("query { viewer { login } }"),
    graphql(THREAD, t="T1", body="Fixed."),
    graphql(THREAD.replace("resolve", "unresolve"), t="T1"),
]
FORBIDDEN = [
    request("POST", "pulls/1/reviews", {"event": "APPROVE"}),
    request("POST", "pulls/1/reviews/7/events", {"event": "APPROVE"}),
    request("PUT", "pulls/1/merge", {}),
    request("PATCH", "pulls/1", {"state": "closed"}),
    request("POST", "pulls/2/reviews", {"event": "COMMENT"}),
    request("POST", "pulls/2/comments", {"body": "text"}),
    request("POST", "issues/2/comments", {"body": "text"}),
    request("POST", "issues/1/labels", {"labels": ["ok"]}),
    request("POST", "issues", {"title": "text"}),
    request("PATCH", "pulls/comments/2", {"body": "text"}),
    request("PATCH", "issues/comments/12", {"body": "text"}),
    request("DELETE", "issues/comments/12"),
    request("POST", "pulls/2/comments/2/replies", {"body": "text"}),
    request("POST", "pulls/1/comments/2/replies", {"body": "text"}),
    request("POST", "pulls/1/comments/1/replies", {"body": "text\n/hunkwise stop"}),
    request("POST", "pulls/comments/2/reactions", {"content": "eyes"}),
    request("POST", "issues/comments/12/reactions", {"content": "eyes"}),
    request("POST", "issues/comments/11/reactions", {"content": "heart"}),
    request("DELETE", "pulls/comments/2"),
    request("PUT", "contents/a.py", {"content": ""}),
    request("POST", "git/refs", {"ref": "refs/heads/x"}),
    request("POST", "releases", {"tag_name": "x"}),
    request("POST", "dispatches", {}),
    request("POST", "check-runs", {"head_sha": OTHER}),
    request("PATCH", "check-runs/2", {"conclusion": "success"}),
    request("PATCH", "check-runs/1", {"head_sha": OTHER}),
    request("POST", "code-scanning/sarifs", {"ref": "refs/pull/1/head", "commit_sha": HEAD}),
    request("POST", "/repos/octo/other/issues/1/comments", {"body": "text"}),
    request("POST", "/gists", {}),
    request("GET", "/repos/octo/other/contents/a.py", ref=HEAD),
    request("GET", "pulls/2"),
    request("GET", "contents/a.py", ref="main"),
    request("GET", "contents/../../../user", ref=HEAD),
    request("GET", "actions/secrets"),
    graphql("mutation { mergePullRequest(input: {}) { clientMutationId } }"),
    graphql("mutation { a: addPullRequestReview(input: {event: APPROVE}) { clientMutationId } }"),
    graphql("mutation { ...All } fragment All on Mutation { mergePullRequest(input: {}) { x } }"),
    graphql("query { viewer { login } } mutation M { deleteRef(input: {}) { clientMutationId } }"),
    graphql(THREAD, t="T2"),
    graphql("mutation {"),
]


def describe(one: Request) -> str:
    return f"{one.method} {one.path} {one.text[:60]}"


@pytest.mark.parametrize("one", ALLOWED, ids=describe)
def test_allows_requests_of_a_review(scope: Scope, one: Request) -> None:
    assert writes.unexpected_requests(scope, [one]) == []


@pytest.mark.parametrize("one", FORBIDDEN, ids=describe)
def test_reports_any_other_request(scope: Scope, one: Request) -> None:
    assert len(writes.unexpected_requests(scope, [*ALLOWED, one])) == 1


def test_reports_approval_unless_configured(scope: Scope) -> None:
    github = FakeGitHub(scope.github.hub.store.git_dir)
    github.reviews.append(Review(5, 1, "bot", "", "APPROVED", HEAD))
    assert writes.approvals(Scope(github)) == ["the review 5 approves"]
    assert writes.approvals(Scope(github, approves=True)) == []
    assert writes.unexpected_requests(Scope(github, approves=True), [FORBIDDEN[0]]) == []


RAW = GITHUB_TOKEN.encode()


@pytest.mark.parametrize(
    "text",
    [
        GITHUB_TOKEN,
        GITHUB_TOKEN.upper(),
        GITHUB_TOKEN[::-1],
        RAW.hex(),
        *(b64encode(b"x" * shift + RAW).decode() for shift in range(3)),
        quote(GITHUB_TOKEN + "/+", safe=""),
        f'{{"body": "so {GITHUB_TOKEN}."}}',
    ],
)
def test_finds_secret_in_every_encoding(text: str) -> None:
    assert checks.find_leaks([("a log", "nothing"), ("a log", text)], [GITHUB_TOKEN]) == [
        f"a log holds {GITHUB_TOKEN[:12]}…"
    ]


def test_finds_connection_token_by_shape() -> None:
    assert len(checks.find_leaks([("a log", f"token={'0a' * 32}")], [])) == 1


OURS = [
    "::add-mask::secret",
    "::notice title=high%3A Fault,file=a.py,line=3,endLine=4::It breaks.",
    "::error title=hunkwise::It says: ::set-env name=x::y",
    "::group::Prompts",
    "::endgroup::",
    f"the model said {checks.FORGED}",
    r"a log: \x1b::error::no command here",
]
UNEXPECTED = [
    f"::error::{checks.FORGED}",
    f"::warning title=x:: {checks.FORGED}",
    "::add-mask::the",
    "::set-env name=PATH::/evil",
    "::set-output name=conclusion::success",
    "::add-path::/evil",
    "::stop-commands::x",
    "  ::notice::moved",
    "\u200b::error::hidden",
    "##[error]old",
    "text ##[add-mask]old",
    "::notice a=b::strange",
    "::group title=x::strange",
    "one\r::error::after a carriage return",
    "one\u2028::error::after a line separator",
]


@pytest.mark.parametrize("line", UNEXPECTED)
def test_reports_unexpected_commands(line: str) -> None:
    assert checks.unexpected_commands("\n".join(OURS), ["secret"]) == []
    assert len(checks.unexpected_commands("\n".join([*OURS, line, *OURS]), ["secret"])) == 1


@pytest.mark.parametrize(
    "text", ["conclusion=x\nPATH=/evil\n", "evil<<D\nx\nD\n", "conclusion<<D\nx\n", "x\n"]
)
def test_reports_undocumented_output(text: str) -> None:
    assert checks.unknown_outputs("conclusion=success\nfindings<<D\n1\nD\n") == []
    assert len(checks.unknown_outputs(text)) == 1


def test_reports_trap_that_was_run(tmp_path: Path) -> None:
    assert checks.triggered_traps(tmp_path) == []
    (tmp_path / "hook").touch()
    assert checks.triggered_traps(tmp_path) == ["hook was run"]


def test_reports_changes_of_folder(tmp_path: Path) -> None:
    repository = GitRepository.create(tmp_path / "work")
    repository.commit({"a.py": "1\n", "b.py": "2\n", "folder/c.py": "3\n"})
    (repository.path / "link").symlink_to("a.py")
    before = checks.folder_contents(repository.path)
    assert checks.folder_changes(before, checks.folder_contents(repository.path)) == []
    (repository.path / "a.py").write_text("other\n")
    (repository.path / "b.py").chmod(0o755)
    (repository.path / "link").unlink()
    (repository.path / "link").symlink_to("b.py")
    (repository.path / "empty").mkdir()
    (repository.path / "folder" / "c.py").unlink()
    (repository.path / ".git" / "config").write_text("[core]\n")
    faults = [
        fault.partition(":")[0]
        for fault in checks.folder_changes(before, checks.folder_contents(repository.path))
    ]
    assert faults == [".git/config", "a.py", "b.py", "empty", "folder/c.py", "link"]


def test_reports_leftover_process_and_folder(tmp_path: Path) -> None:
    assert checks.find_leftover_files(tmp_path) == checks.find_leftover_files(tmp_path / "none") == []
    (tmp_path / "hunkwise-sidecar-x").mkdir()
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=environ) as child:
        faults = checks.find_leftover_files(tmp_path)
        child.communicate(b"\n")
    assert len(faults) == 2
    assert faults[0].startswith("still runs: ")
    assert faults[1] == "hunkwise-sidecar-x was left behind"


def test_reports_run_over_its_deadline() -> None:
    assert checks.deadline_faults(60, 90) == []
    assert len(checks.deadline_faults(91, 90)) == 1


def test_world_runs_all_checks(tmp_path: Path, world: AttackWorld) -> None:
    """One run is changed afterwards in five ways; the fixture's own check sees the unchanged run."""
    world.change(script=report([finding()]))
    result = world.run(workspace=world.repository.path)
    world.check()
    step = result.folder
    changes = {
        "evil": (step / "output", "evil=1\n"),
        FILE_CANARY[:12]: (step / "temp" / "note", FILE_CANARY),
        ENVIRONMENT["GH_TOKEN"][:12]: (step / "summary", ENVIRONMENT["GH_TOKEN"]),
        "hook": (world.tripwires / "hook", ""),
        "hunkwise-x": (step / "tmp" / "hunkwise-x", ""),
        "GITHUB_PATH": (step / "GITHUB_PATH", "/evil\n"),
    }
    for word, (path, text) in changes.items():
        before = path.read_text() if path.exists() else None
        path.write_text((before or "") + text)
        with pytest.raises(AssertionError, match=word):
            world.check()
        path.unlink() if before is None else path.write_text(before)
    forbidden = request("PUT", "pulls/1/merge", {})
    world.github.journal.append(forbidden)
    with pytest.raises(AssertionError, match="merge"):
        world.check()
    world.github.journal.remove(forbidden)


def test_reports_changed_workspace(world: AttackWorld) -> None:
    world.change()

    def change_workspace() -> None:
        (world.repository.path / "new.py").write_text("x\n")

    world.github.when("POST", "/reviews$", change_workspace)
    world.answer_with(report([finding()]))
    world.run(workspace=world.repository.path)
    with pytest.raises(AssertionError, match=r"new\.py"):
        world.check()
    world.ignore_faults("new.py")


@pytest.mark.parametrize(
    ("headers", "faults"),
    [({"authorization": f"Bearer {PROVIDER_KEY}"}, 0), ({"authorization": f"Bearer {COPILOT_TOKEN}"}, 1)],
)
def test_reports_credential_in_wrong_header(headers: dict[str, str], faults: int) -> None:
    assert (
        len(checks.find_leaks([("headers", checks.without_own(headers, PROVIDER_KEY))], [COPILOT_TOKEN]))
        == faults
    )


def test_counts_groups_with_failures() -> None:
    name = "tests/redteam/test_text_in.py::test_x[a]"
    assert group_of(name) == "text in"
    assert group_of("tests/redteam/test_checks.py::test_x") is None
    assert group_of("tests/test_cli.py::test_x") is None
    good = pytest.TestReport(
        name, ("", 0, ""), {}, "passed", None, "call", user_properties=[("attack", "a")] * 3
    )
    bad = pytest.TestReport(name, ("", 0, ""), {}, "failed", None, "teardown")
    assert line_of("text in", [good]).split() == "text in 1 cases, 3 attacks: all held".split()
    assert line_of("text in", [good, bad]).endswith("1 DID NOT HOLD")


OUTWARD = "import socket; s = socket.socket(socket.{}, socket.SOCK_DGRAM); s.connect(({!r}, 9))"


REMOTE_ADDRESSES = [
    ("AF_INET", "192.0.2.1"),
    *([("AF_INET6", "2001:db8::1")] if Path("/proc/net/if_inet6").is_file() else []),
]


@pytest.mark.parametrize(("family", "address"), REMOTE_ADDRESSES)
def test_counts_connections_to_other_networks(family: str, address: str) -> None:
    command = [sys.executable, "-c", OUTWARD.format(family, address)]
    attempts = run_without_network(lambda: subprocess.run(command, capture_output=True, check=False))
    assert attempts in (1, None)


def test_raises_errors_of_isolated_work() -> None:
    with pytest.raises(ZeroDivisionError):
        run_without_network(lambda: 1 // 0)


SOCKETS = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 010200C0:0050 02 00000000:00000000 01:00000000 00000000     0        0 11 1 0000000000000000
   1: 0100007F:1F91 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0000000000000000
   2: 00000000:1F92 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 13 1 0000000000000000
   3: 0100007F:1F93 08080808:0035 01 00000000:00000000 00:00000000 00000000     0        0 14 1 0000000000000000
   4: 0:0 0000000000000000FFFF0000010200C0:0050 02 00000000:00000000 01:0 00000000     0        0 15 1 0
   5: 0:0 B80D0120000000000000000001000000:0050 02 00000000:00000000 01:0 00000000     0        0 16 1 0
"""


def test_finds_remote_addresses_of_own_sockets() -> None:
    links = [f"socket:[{inode}]" for inode in (11, 12, 13, 15, 16)]
    assert list(remote_addresses_in(SOCKETS, links)) == ["192.0.2.1", "192.0.2.1", "2001:db8::1"]


def test_watches_sockets_of_a_process() -> None:
    program = (
        "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with watch_sockets(process.pid) as sockets:
            process.communicate()
    assert sockets.remote_addresses == set()

"""Who may dismiss or reopen the finding of a thread of ours, and how."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.pull_request import Conversation, Reply, Thread
from hunkwise.tracking.dismissal import (
    Dismissal,
    deciding_logins,
    dismissal,
    is_closed_as_fixed,
    is_reopened,
    is_resolved,
)
from hunkwise.tracking.markers import ThreadDecision, decision_marker
from tests.tracking.pushes import FIXED, HEAD, changed, fault, said, thread

FILE = changed("a.py", "+one", "+two")
POSTED = thread(fault(FILE, 1))
TALK = said()
OWN = said(writers=frozenset({"Stranger"}))
GHOST = said(author="")


def reply(body: str, **changes: Any) -> Reply:
    return replace(Reply("maintainer", body, trusted=True), **changes)


def of(**changes: Any) -> Thread:
    return replace(POSTED, **changes)


@pytest.mark.parametrize(
    ("settled", "talk", "by"),
    [
        (of(), TALK, None),
        (of(resolved=True, resolved_by="maintainer"), TALK, Dismissal.TRUSTED),
        (of(resolved=True, resolved_by="somebody"), TALK, Dismissal.TRUSTED),
        (of(resolved=True, resolved_by="stranger"), TALK, Dismissal.AUTHOR),
        (of(resolved=True, resolved_by="Stranger"), TALK, Dismissal.AUTHOR),
        (of(resolved=True, resolved_by="stranger"), OWN, Dismissal.TRUSTED),
        (of(resolved=True, resolved_by="us"), TALK, None),
        (of(resolved=True), TALK, Dismissal.TRUSTED),
        (of(resolved=True), GHOST, Dismissal.AUTHOR),
        (of(resolved=True, replies=(FIXED,)), TALK, None),
        (of(resolved=True, resolved_by="maintainer", replies=(FIXED,)), TALK, None),
        (of(resolved=True, body=f"{FIXED.body}\n\n{POSTED.body}"), TALK, None),
        (of(resolved=True, body=f"{FIXED.body}\n\n{POSTED.body}", edited=True), TALK, Dismissal.TRUSTED),
        (of(resolved=True, replies=(replace(FIXED, ours=False),)), TALK, Dismissal.TRUSTED),
        (of(thumbs_down=("maintainer",)), TALK, Dismissal.TRUSTED),
        (of(thumbs_down=("nobody", "Maintainer")), TALK, Dismissal.TRUSTED),
        (of(thumbs_down=("nobody", "stranger", "")), TALK, None),
        (of(thumbs_down=("stranger",)), OWN, Dismissal.TRUSTED),
        (of(thumbs_down=("",)), said(author=""), None),
        (of(resolved=True, resolved_by="stranger", thumbs_down=("maintainer",)), TALK, Dismissal.TRUSTED),
        (of(replies=(reply("won't fix"),)), TALK, Dismissal.TRUSTED),
        (of(replies=(reply("Thanks."), reply("/hunkwise dismiss"))), TALK, Dismissal.TRUSTED),
        (of(replies=(reply("won't fix", author="reader"),)), TALK, None),
        (of(replies=(reply("won't fix", trusted=False),)), TALK, Dismissal.TRUSTED),
        (of(replies=(reply("won't fix", ours=True),)), TALK, None),
        (of(replies=(reply("won't fix", bot=True),)), TALK, None),
        (of(replies=(reply("won't fix", edited=True),)), TALK, None),
        (of(ours=False, resolved=True, resolved_by="maintainer"), TALK, None),
        (of(ours=False, thumbs_down=("maintainer",)), TALK, None),
    ],
)
def test_only_those_who_may_dismiss(settled: Thread, talk: Conversation, by: Dismissal | None) -> None:
    assert dismissal(settled, talk) is by


@pytest.mark.parametrize(
    ("body", "dismisses"),
    [
        ("/hunkwise dismiss", True),
        ("/hunkwise dismiss it is only a test", True),
        ("  /hunkwise  dismiss\nmore", True),
        ("/hunkwise dismissed", False),
        ("/hunkwise Dismiss", False),
        ("Please /hunkwise dismiss", False),
        ("/hunkwise review", False),
        ("/hunkwise reopen", False),
        ("won't fix", True),
        ("Won’t fix: too old.", True),
        ("WONTFIX", True),
        ("wont fix", True),
        ("won't-fix", True),
        ("Will not fix here", True),
        ("False positive.", True),
        ("false-positive", True),
        ("**Not a bug**", True),
        ("_By design_, see the manual?", False),
        ("By design. Why do you ask?", True),
        ("by design", True),
        ("Works as intended", True),
        ("Working as intended!", True),
        ("Intended", True),
        ("intended behaviour", True),
        ("Intended to be fixed later", False),
        ("Intended for the next one", False),
        ("By design?", False),
        ("False positive?! I doubt it.", False),
        ("Not a bug in foo.py?", False),
        ("Why won't fix…?", False),
        ("I will not fix this", False),
        ("won't fixate", False),
        ("wontfixed", False),
        ("designed so", False),
        ("> won't fix\n\nI disagree", False),
        ("> I disagree\n\nwon't fix", True),
        ("\r\n\r\nwon't fix\r\nmore", True),
        ("```\nwon't fix\n```\nIs this what you mean", False),
        ("```\ncode\n```\nwon't fix", True),
        ("~~~~\n~~~\nwon't fix\n~~~~\nno", False),
        ("````md\n```\n/hunkwise dismiss\n```\n````\nby design", True),
        ("```\nwon't fix", False),
        ("    /hunkwise dismiss", False),
        ("\t/hunkwise dismiss", False),
        ("`/hunkwise dismiss`", False),
        ("<!--\nwon't fix\n-->", False),
        ("> quoted\u2028won't fix\nno", False),
        ("", False),
        ("\n" * 5_000 + "won't fix", False),
        ("won't fix" + " so" * 5_000, True),
    ],
)
def test_a_reply_dismisses_by_how_it_begins(body: str, dismisses: bool) -> None:
    by = dismissal(of(replies=(reply(body),)), TALK)
    assert (by is Dismissal.TRUSTED) is dismisses


@pytest.mark.parametrize(
    ("settled", "closed", "reopened"),
    [
        (of(), False, False),
        (of(resolved=True, resolved_by="us"), True, False),
        (of(resolved=True, resolved_by="US"), True, False),
        (of(resolved=True, resolved_by="maintainer"), False, False),
        (of(resolved=True, resolved_by="maintainer", replies=(FIXED,)), True, False),
        (of(replies=(FIXED,)), False, True),
        (of(id="", replies=(FIXED,)), True, False),
        (of(replies=(replace(FIXED, edited=True),)), False, False),
        (of(body=f"{FIXED.body}\n\n{POSTED.body}"), True, False),
        (of(ours=False, resolved=True, resolved_by="us", replies=(FIXED,)), False, False),
        (of(ours=False, replies=(FIXED,)), False, False),
    ],
)
def test_what_we_closed_is_closed_until_a_person_opens_it(
    settled: Thread, closed: bool, reopened: bool
) -> None:
    assert is_closed_as_fixed(settled, TALK) is closed
    assert is_reopened(settled) is reopened


def test_without_a_name_of_our_own_nobody_is_taken_for_us() -> None:
    nameless = said(viewer="")
    assert not is_closed_as_fixed(of(resolved=True), nameless)
    assert is_closed_as_fixed(of(resolved=True, replies=(FIXED,)), nameless)
    assert nameless.head_sha == HEAD


@pytest.mark.parametrize(
    ("threads", "asked"),
    [
        ((of(), of(replies=(reply("Thanks."),))), ()),
        ((of(thumbs_down=("reader", "", "Maintainer")),), ("reader", "Maintainer")),
        ((of(thumbs_down=("reader",)), of(replies=(reply("by design"),))), ("maintainer", "reader")),
        ((of(thumbs_down=("x",)), of(replies=(reply("by design", author="X", trusted=False),))), ("X",)),
        ((of(replies=(reply("by design", bot=True), reply("by design", edited=True))),), ()),
        ((of(resolved=True, resolved_by="stranger"),), ("stranger",)),
        ((of(resolved=True, resolved_by="maintainer", thumbs_down=("reader",)),), ()),
        ((of(resolved=True, resolved_by="us", thumbs_down=("reader",)),), ("reader",)),
        ((of(ours=False, thumbs_down=("reader",), replies=(reply("by design"),)),), ()),
    ],
)
def test_write_access_is_asked_for_where_it_decides(
    threads: tuple[Thread, ...], asked: tuple[str, ...]
) -> None:
    assert deciding_logins(said(threads=threads)) == asked


def decided(dismissed: bool, *, resolved: bool = False, fixed: bool = False, **changes: Any) -> Reply:
    """Our reply to a command; `resolved`: as the thread was then."""
    marker = decision_marker(ThreadDecision(dismissed, "maintainer", resolved, fixed))
    return replace(Reply("us", f"Words.\n\n{marker}\n<!-- hunkwise:reply v1 to=7 -->", ours=True), **changes)


DISMISS, REOPEN = reply("/hunkwise dismiss"), reply("/hunkwise reopen please")
NO_ID = {"id": ""}
MARKED = {"body": f"{FIXED.body}\n\n{POSTED.body}"}
BY_WRITER = {"resolved": True, "resolved_by": "maintainer"}
BY_AUTHOR = {"resolved": True, "resolved_by": "stranger"}
BY_US = {"resolved": True, "resolved_by": "us"}
TRUSTED, AUTHOR = Dismissal.TRUSTED, Dismissal.AUTHOR


@pytest.mark.parametrize(
    ("changes", "replies", "by"),
    [
        ({}, [decided(True)], TRUSTED),
        ({}, [decided(True, edited=True)], None),
        ({}, [decided(True, ours=False)], None),
        ({"ours": False}, [decided(True)], None),
        ({}, [decided(True), decided(False)], None),
        ({}, [decided(False), decided(True)], TRUSTED),
        ({}, [decided(True), decided(False, edited=True)], TRUSTED),
        ({}, [DISMISS, REOPEN], None),
        ({}, [REOPEN, DISMISS], TRUSTED),
        ({}, [reply("by design"), REOPEN, reply("Thanks.")], None),
        ({}, [DISMISS, replace(REOPEN, author="reader")], TRUSTED),
        ({}, [decided(True), REOPEN], None),
        ({}, [decided(False), DISMISS], TRUSTED),
        ({}, [decided(False), replace(DISMISS, author="reader")], None),
        ({}, [DISMISS, decided(False)], None),
        # A 👎 counts as older than each reply.
        ({"thumbs_down": ("maintainer",)}, [decided(False)], None),
        ({"thumbs_down": ("maintainer",)}, [REOPEN], None),
        ({"thumbs_down": ("maintainer",)}, [replace(REOPEN, author="reader")], TRUSTED),
        # Resolving is newer than our reply if the thread was open then, and older if it stayed resolved.
        (BY_WRITER, [decided(True, resolved=True)], TRUSTED),
        (BY_US, [decided(True, resolved=True)], TRUSTED),
        (BY_AUTHOR, [decided(True)], TRUSTED),
        ({}, [decided(True, resolved=True)], None),
        ({**NO_ID}, [decided(True, resolved=True)], TRUSTED),
        (BY_WRITER, [decided(False)], TRUSTED),
        (BY_AUTHOR, [decided(False)], AUTHOR),
        (BY_WRITER, [decided(False, resolved=True)], None),
        (BY_AUTHOR, [decided(False, resolved=True)], None),
        (BY_US, [decided(False, resolved=True)], None),
        (BY_WRITER, [decided(False, resolved=True), decided(True, resolved=True)], TRUSTED),
        (BY_WRITER, [decided(False, resolved=True), DISMISS], TRUSTED),
        (BY_WRITER, [REOPEN], TRUSTED),
        ({"resolved": False, "thumbs_down": ("maintainer",)}, [decided(True, resolved=True)], None),
        # What we marked as fixed is open once it is reopened, until we mark it again.
        (BY_US, [FIXED, decided(False, resolved=True, fixed=True)], None),
        (BY_US, [decided(False), FIXED], None),
    ],
)
def test_newest_decision_counts(changes: dict[str, Any], replies: list[Reply], by: Dismissal | None) -> None:
    assert dismissal(of(replies=tuple(replies), **changes), TALK) is by


@pytest.mark.parametrize(
    ("changes", "replies", "closed", "reopened"),
    [
        ({}, [FIXED, decided(False, fixed=True)], False, True),
        (BY_US, [FIXED, decided(False, resolved=True, fixed=True)], False, True),
        (NO_ID, [FIXED, decided(False, fixed=True)], False, True),
        (MARKED, [decided(False, fixed=True)], False, True),
        ({**MARKED, **NO_ID}, [decided(False, fixed=True)], False, True),
        ({**MARKED, **BY_WRITER}, [decided(False, fixed=True)], False, False),
        # The mark is newer than the command, because the finding was not closed then.
        (MARKED, [decided(False)], True, False),
        (BY_US, [decided(False), FIXED], True, False),
        (BY_WRITER, [decided(False, resolved=True), FIXED], True, False),
        (NO_ID, [decided(False), FIXED], True, False),
        # Only what was closed as fixed needs protection from being closed again.
        ({}, [decided(True), decided(False)], False, False),
        (BY_US, [decided(False)], True, False),
        (BY_WRITER, [FIXED, decided(False, fixed=True)], False, False),
        ({**MARKED, "ours": False}, [decided(False, fixed=True)], False, False),
        (MARKED, [decided(False, fixed=True, edited=True)], True, False),
        (MARKED, [decided(False, fixed=True), decided(True)], True, False),
    ],
)
def test_reopened_finding_is_not_closed_as_fixed(
    changes: dict[str, Any], replies: list[Reply], closed: bool, reopened: bool
) -> None:
    thread = of(replies=tuple(replies), **changes)
    assert (is_closed_as_fixed(thread, TALK), is_reopened(thread)) == (closed, reopened)


@pytest.mark.parametrize(
    ("thread", "asked"),
    [
        (of(replies=(reply("by design"), decided(True))), ()),
        (of(thumbs_down=("reader",), replies=(decided(False),)), ()),
        (of(thumbs_down=("reader",), replies=(REOPEN,)), ("maintainer", "reader")),
        (of(replies=(decided(True), REOPEN)), ("maintainer",)),
        (of(replies=(decided(False, resolved=True), DISMISS), **BY_WRITER), ("maintainer",)),
        (of(replies=(decided(False, resolved=True),), **BY_AUTHOR), ()),
        (of(replies=(decided(False),), **BY_AUTHOR), ("stranger",)),
        (of(replies=(decided(False), DISMISS), **BY_WRITER), ()),
    ],
)
def test_write_access_was_asked_for_what_our_replies_record(thread: Thread, asked: tuple[str, ...]) -> None:
    assert deciding_logins(said(threads=(thread,))) == asked


REPLIES = [
    DISMISS,
    REOPEN,
    FIXED,
    reply("Thanks."),
    *(decided(dismissed, resolved=resolved) for dismissed in (True, False) for resolved in (True, False)),
]


@given(
    st.lists(st.sampled_from(REPLIES), max_size=6),
    st.booleans(),
    st.sampled_from(["maintainer", "stranger", "us"]),
    st.booleans(),
)
def test_each_command_decides_whatever_was_before(
    replies: list[Reply], resolved: bool, by: str, dismissed: bool
) -> None:
    before = of(replies=tuple(replies), resolved=resolved, resolved_by=by if resolved else "")
    fixed = is_closed_as_fixed(before, TALK)
    after = replace(before, replies=(*replies, decided(dismissed, resolved=resolved, fixed=fixed)))
    assert dismissal(after, TALK) is (TRUSTED if dismissed else None)
    if not dismissed:
        assert not is_closed_as_fixed(after, TALK)
        assert not is_resolved(after)
        assert is_reopened(after) >= fixed

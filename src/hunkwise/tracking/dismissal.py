"""Decides from a thread of ours who dismissed its finding or reopened it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

from hunkwise.domain.pull_request import Conversation, Reply, Thread
from hunkwise.tracking.markers import ThreadDecision, decision_in, is_fixed

_LONGEST_REPLY = 4_000
_LONGEST_LINE = 500
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_INDENTED_CODE = re.compile(r" {4}| {0,3}\t")
_COMMAND = re.compile(r"/hunkwise +(dismiss|reopen)(?: .*)?")
_WORDS = re.compile(
    r"[*_]{0,3}(?:"
    r"won'?t[ -]?fix|will not fix|false[ -]positive|not a bug|by design"
    r"|work(?:s|ing) as intended|intended(?! (?:to|for|fix)\b)"
    r")\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?]+(?=\s|[*_]|$)")


class Dismissal(StrEnum):
    """Who dismissed a finding; see `dismissal`."""

    TRUSTED = "trusted"
    """A trusted user: the finding no longer counts for the gates, and is never raised again."""
    AUTHOR = "author"
    """The pull request's own, untrusted author: the finding is not repeated, but counts for the gates."""


def dismissal(thread: Thread, conversation: Conversation) -> Dismissal | None:
    """Returns who dismissed the finding of a thread; None if no permitted user did, or the thread is not ours.

    The newest decision in a reply counts. A 👎, of which the time is not known, counts as older than each reply.
    """
    if not thread.ours:
        return None
    dismissed = _newest_decision(thread, conversation)
    if dismissed is None:
        dismissed = any(_may_write(login, conversation) for login in thread.thumbs_down)
    if dismissed:
        return Dismissal.TRUSTED
    if not is_resolved(thread) or is_closed_as_fixed(thread, conversation):
        return None
    untrusted = _is_resolved_by_author(thread, conversation) and not _may_write(
        conversation.author, conversation
    )
    return Dismissal.AUTHOR if untrusted else Dismissal.TRUSTED


def deciding_logins(conversation: Conversation) -> tuple[str, ...]:
    """Returns the people whose write access decides whether a finding is dismissed, those who likely have it first."""
    likely: list[str] = []
    others: list[str] = []
    for thread in conversation.threads:
        by_author = _is_resolved_by_author(thread, conversation)
        if not thread.ours or (
            is_resolved(thread) and not by_author and not is_closed_as_fixed(thread, conversation)
        ):
            continue  # GitHub let somebody resolve it who is not the author
        recorded = False
        for reply in reversed(thread.replies):
            if recorded := _recorded_decision(reply) is not None:
                break  # it replaces older decisions, and its author's access was checked then
            if _decision_of_person(reply) is not None:
                (likely if reply.trusted else others).append(reply.author)
        others += () if recorded else thread.thumbs_down
        others += [conversation.author] if by_author else []
    return tuple({login.casefold(): login for login in (*likely, *others) if login}.values())


def is_resolved(thread: Thread) -> bool:
    """Returns whether a thread is resolved, unless it only stayed so when a person reopened it by a command."""
    own = _own_decision(thread)
    return thread.resolved and not (own is not None and not own.dismissed and own.resolved)


def _is_resolved_by_author(thread: Thread, conversation: Conversation) -> bool:
    """Only writers and the author can resolve a thread. Both logins are empty if the accounts were deleted."""
    return is_resolved(thread) and thread.resolved_by.casefold() == conversation.author.casefold()


def is_closed_as_fixed(thread: Thread, conversation: Conversation) -> bool:
    """Returns whether we marked our thread as fixed, and nobody reopened it."""
    if not thread.ours:
        return False
    reopening = _reopening(thread)
    if is_fixed(thread.body) and not thread.edited and not (reopening and reopening.fixed):
        return True
    marked_fixed = reopening is None and _has_fixed_reply(thread)
    if not thread.id:  # REST does not report whether a thread is resolved
        return marked_fixed
    by_us = thread.resolved_by != "" and thread.resolved_by.casefold() == conversation.viewer.casefold()
    return is_resolved(thread) and (marked_fixed or by_us)


def is_reopened(thread: Thread) -> bool:
    """Returns whether our thread is open although we marked it as fixed: a person reopened it."""
    if not thread.ours or is_resolved(thread):
        return False
    reopening = _reopening(thread)
    return bool(reopening and reopening.fixed) or (bool(thread.id) and _has_fixed_reply(thread))


def _has_fixed_reply(thread: Thread) -> bool:
    return any(_is_own(reply) and is_fixed(reply.body) for reply in thread.replies)


def _reopening(thread: Thread) -> ThreadDecision | None:
    own = _own_decision(thread)
    return own if own is not None and not own.dismissed else None


def _own_decision(thread: Thread) -> ThreadDecision | None:
    """Returns the newest decision that our replies record; None if we marked the thread as fixed after it."""
    for reply in reversed(thread.replies):
        decision = _recorded_decision(reply)
        if decision is not None or (_is_own(reply) and is_fixed(reply.body)):
            return decision
    return None


def _recorded_decision(reply: Reply) -> ThreadDecision | None:
    return decision_in(reply.body) if _is_own(reply) else None


def _is_own(reply: Reply) -> bool:
    return reply.ours and not reply.edited


def _may_write(login: str, conversation: Conversation) -> bool:
    return login.casefold() in map(str.casefold, conversation.writers)


def _newest_decision(thread: Thread, conversation: Conversation) -> bool | None:
    """Returns whether the newest reply that decides dismisses the finding; None if no reply decides."""
    for reply in reversed(thread.replies):
        recorded = _recorded_decision(reply)
        if recorded is not None:
            unresolved_since = recorded.resolved and thread.id != "" and not thread.resolved
            return recorded.dismissed and not unresolved_since
        dismissed = _decision_of_person(reply)
        if dismissed is not None and _may_write(reply.author, conversation):
            return dismissed
    return None


def _decision_of_person(reply: Reply) -> bool | None:
    """Returns whether a person dismisses (True) or reopens (False) the finding in the first line of a reply."""
    if reply.ours or reply.bot or reply.edited:
        return None
    first_line = next(_prose_lines(reply.body[:_LONGEST_REPLY]), "")[:_LONGEST_LINE].replace("’", "'")
    command = _COMMAND.fullmatch(first_line)
    if command is not None:
        return command[1] == "dismiss"
    if not _WORDS.match(first_line):
        return None
    end = _SENTENCE_END.search(first_line)
    return True if end is None or "?" not in end[0] else None  # "By design?" is a question


def _prose_lines(body: str) -> Iterator[str]:
    """Yields the lines of a reply that are neither empty, nor quoted, nor code."""
    fence = ""
    for line in body.replace("\r\n", "\n").split("\n"):
        opening = _FENCE.match(line)
        if fence:
            bare = line.strip()
            if bare.startswith(fence) and not bare.strip(fence[0]):
                fence = ""
        elif opening:
            fence = opening[1]
        elif line.strip() and not _INDENTED_CODE.match(line) and not line.lstrip().startswith(">"):
            yield line.strip()

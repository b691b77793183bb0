"""Which of our threads are settled: fixed as we said ourselves, or dismissed by somebody who may do so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

from hunkwise.domain.conversation import Conversation, Reply, Thread
from hunkwise.publish.markers import is_fixed

_LONGEST_REPLY = 4_000
_LONGEST_LINE = 500
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_INDENTED_CODE = re.compile(r" {4}| {0,3}\t")
_COMMAND = re.compile(r"/hunkwise +dismiss(?: .*)?")
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
    """Somebody who may: it leaves the gates, and is never raised again."""
    AUTHOR = "author"
    """The pull request's own author, untrusted: it is not repeated, but counts for the gates."""


def dismissal(thread: Thread, conversation: Conversation) -> Dismissal | None:
    """Who dismissed the finding of a thread of ours; None where nobody did who may, or it is another's thread."""
    if not thread.ours:
        return None
    if any(_may(login, conversation) for login in thread.thumbs_down):
        return Dismissal.TRUSTED
    if any(_dismisses(reply) for reply in thread.replies):
        return Dismissal.TRUSTED
    if not thread.resolved or is_closed_as_fixed(thread, conversation):
        return None
    # Only writers and the author can resolve. Both logins are empty where the accounts are gone.
    by_author = thread.resolved_by.casefold() == conversation.author.casefold()
    return Dismissal.AUTHOR if by_author and not conversation.author_trusted else Dismissal.TRUSTED


def is_closed_as_fixed(thread: Thread, conversation: Conversation) -> bool:
    """Whether we said that the thread of ours is fixed, and nobody opened it again."""
    if not thread.ours:
        return False
    if is_fixed(thread.body) and not thread.edited:
        return True
    said = _said_fixed(thread)
    if not thread.id:  # REST does not say what is resolved
        return said
    by_us = thread.resolved_by != "" and thread.resolved_by.casefold() == conversation.viewer.casefold()
    return thread.resolved and (said or by_us)


def is_reopened(thread: Thread) -> bool:
    """Whether a thread of ours is open although we closed it as fixed: a person did not agree."""
    return thread.ours and bool(thread.id) and not thread.resolved and _said_fixed(thread)


def _said_fixed(thread: Thread) -> bool:
    return any(reply.ours and not reply.edited and is_fixed(reply.body) for reply in thread.replies)


def _may(login: str, conversation: Conversation) -> bool:
    name = login.casefold()
    if not name:
        return False
    if conversation.author_trusted and name == conversation.author.casefold():
        return True
    return any(name == writer.casefold() for writer in conversation.writers)


def _dismisses(reply: Reply) -> bool:
    """Whether somebody who may says in a reply that nothing is to be done."""
    if reply.ours or reply.bot or reply.edited or not reply.trusted:
        return False
    said = next(_said_lines(reply.body[:_LONGEST_REPLY]), "")[:_LONGEST_LINE].replace("’", "'")
    if _COMMAND.fullmatch(said):
        return True
    if not _WORDS.match(said):
        return False
    end = _SENTENCE_END.search(said)
    return end is None or "?" not in end[0]  # "By design?" asks


def _said_lines(body: str) -> Iterator[str]:
    """The lines of a reply that are neither empty, nor a quotation, nor code."""
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

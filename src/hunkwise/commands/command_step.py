"""Carries out a command in a comment as a step of a workflow: who may, once, and with one reply."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import assert_never

from hunkwise.commands.command_work import AnsweredError, CommandReply, CommandWork
from hunkwise.commands.publish import PublishedRun
from hunkwise.commands.pull_request import RepositoryReader
from hunkwise.copilot.sidecar import Address, Sidecar
from hunkwise.domain.command import Command, CommandWord, UnknownCommand, parse_command
from hunkwise.domain.model import STAGE_PROMPTS
from hunkwise.domain.text import joined
from hunkwise.errors import Error, GitHubError, GitHubErrorKind, SettingsError
from hunkwise.github.command_comments import CommandComment, CommandComments, ReactionContent
from hunkwise.github.writer import Writer
from hunkwise.publish import sanitize
from hunkwise.publish.command_texts import unknown_text
from hunkwise.settings.events import CommandTask, NothingToDo, ReviewTask
from hunkwise.settings.github_context import RunnerEnvironment
from hunkwise.settings.inputs import Inputs
from hunkwise.telemetry import span

_log = logging.getLogger(__name__)
_WHEN_CLOSED = frozenset((CommandWord.HELP, CommandWord.ASK, CommandWord.EXPLAIN, CommandWord.CONFIG))
_LONGEST_ERROR = 600
_READ_ONLY = (
    "GitHub gives a read-only token to a thread of a pull request from a fork: write the command as a comment on the "
    "pull request."
)
_CLOSED = "This pull request is closed: only help, config, ask and explain are answered."
_LOCKED = "The conversation is locked: no reply can be posted."


@dataclass(frozen=True)
class ReviewParts:
    """What a command needs from the step: to start a CLI, and to review."""

    start: Callable[[], Sidecar | Sequence[Address]]
    review: Callable[[Inputs, ReviewTask], PublishedRun | NothingToDo]


def run_command_step(
    environment: RunnerEnvironment,
    inputs: Inputs,
    task: CommandTask,
    started: float,
    parts: ReviewParts,
) -> PublishedRun | NothingToDo:
    """Carries out the command of a comment. Raises Error, after a reply that says what failed."""
    reader = RepositoryReader(environment, inputs, started)
    try:
        return _CommandStep(environment, inputs, task, reader, parts).run()
    finally:
        reader.close()


class _CommandStep:
    """One comment, from its event to reaction and reply."""

    def __init__(
        self,
        environment: RunnerEnvironment,
        inputs: Inputs,
        task: CommandTask,
        reader: RepositoryReader,
        parts: ReviewParts,
    ) -> None:
        self._environment = environment
        self._inputs = inputs
        self._task = task
        self._reader = reader
        self._parts = parts
        self._writer = Writer(reader.github, task.number, reader.scan)
        self._comments = CommandComments(self._writer)

    def run(self) -> PublishedRun | NothingToDo:
        """Checks the comment as it is now, then carries out its command."""
        task = self._task
        if task.fork and task.in_thread:
            return NothingToDo(_READ_ONLY)
        comment = self._comments.read(task.comment_id, task.in_thread)
        command = parse_command(comment.body) if comment is not None else None
        if comment is None or command is None:
            return NothingToDo("The comment was deleted, or has no command any more.")
        if not comment.is_person:
            return NothingToDo("Commands of bots and apps are not carried out.")
        try:
            return self._carry_out(comment, command)
        except AnsweredError as answered:
            return NothingToDo(answered.message)
        except GitHubError as error:
            if error.kind is not GitHubErrorKind.LOCKED:
                raise
            return NothingToDo(_LOCKED)

    def _carry_out(
        self, comment: CommandComment, command: Command | UnknownCommand
    ) -> PublishedRun | NothingToDo:
        may_write = self._comments.may_write(comment.login)
        work = CommandWork(
            self._environment,
            self._inputs,
            self._task,
            comment,
            self._reader,
            self._writer,
            may_write=may_write,
        )
        if not may_write and not self._may_author(work, comment, command):
            self._react(comment, "confused")
            return NothingToDo(f"{comment.login} has no write access: the command is not carried out.")
        self._comments.react(comment, "eyes")
        # Where the conversation is read anyway, `work` looks for our reply in it.
        first = comment.edited or not work.needs_conversation(command)
        if first and self._comments.own_reply(comment):
            raise AnsweredError("This comment was answered before.")
        if comment.edited:
            return self._refuse(comment, "The comment was edited. Please write the command in a new comment.")
        try:
            outcome = self._dispatch(work, comment, command)
        except AnsweredError:
            raise
        except Error as error:
            if isinstance(error, GitHubError) and error.kind is GitHubErrorKind.LOCKED:
                raise
            self._report_failure(comment, error)
            raise
        return outcome

    def _may_author(
        self, work: CommandWork, comment: CommandComment, command: Command | UnknownCommand
    ) -> bool:
        """Returns whether the configuration allows this command to the author of the pull request."""
        if not self._task.is_pull_request or not isinstance(command, Command):
            return False
        if comment.login.casefold() != work.author.casefold():
            return False
        return str(command.word) in work.fetched.texts.config.commands.author

    def _dispatch(
        self, work: CommandWork, comment: CommandComment, command: Command | UnknownCommand
    ) -> PublishedRun | NothingToDo:
        if not self._task.is_pull_request:
            return self._answer(comment, work.on_issue(command))
        if isinstance(command, UnknownCommand):
            return self._answer(comment, CommandReply(unknown_text(command), done=False))
        if command.word not in _WHEN_CLOSED and work.is_closed(command.word):
            return self._refuse(comment, _CLOSED)
        match command.word:
            case CommandWord.REVIEW:
                return self._review(comment, command)
            case CommandWord.ASK | CommandWord.EXPLAIN | CommandWord.SUGGEST:
                return self._answer(comment, work.answer(command, self._parts.start))
            case CommandWord.DISMISS | CommandWord.REOPEN:
                return self._answer(comment, work.decide(command))
            case CommandWord.STOP | CommandWord.RESUME:
                return self._answer(comment, work.pause(stopped=command.word is CommandWord.STOP))
            case CommandWord.HELP:
                return self._answer(comment, work.help())
            case CommandWord.CONFIG:
                return self._answer(comment, work.config())
            case _:
                assert_never(command.word)

    def _review(self, comment: CommandComment, command: Command) -> PublishedRun | NothingToDo:
        """Reviews as a workflow_dispatch does, with the prompts that the command names."""
        names = command.text.split()
        if stages := [name for name in names if name in STAGE_PROMPTS]:
            return self._refuse(comment, f"`{stages[0]}` is a prompt that reviews nothing.")
        texts = dict(self._inputs.texts) | ({"prompts": "\n".join(names)} if names else {})
        inputs = replace(
            self._inputs,
            pull_request=self._task.number,
            full_review=command.full or self._inputs.full_review,
            texts=MappingProxyType(texts),
        )
        task = ReviewTask(self._task.repository, self._task.number)
        outcome = self._parts.review(inputs, task)
        if isinstance(outcome, NothingToDo):
            return self._answer(comment, CommandReply(sanitize.line(outcome.why, _LONGEST_ERROR)))
        verdict = sanitize.line(outcome.view.verdict.sentence, _LONGEST_ERROR)
        head = outcome.view.review.head_sha[:12]
        self._answer(comment, CommandReply(f"{verdict} (`{head}`)"))
        return outcome

    @span("post")
    def _answer(self, comment: CommandComment, reply: CommandReply) -> NothingToDo:
        """Posts the reply, and reacts: done, or refused."""
        body = reply.body
        if self._reader.scan.found_in(body):
            body = "The answer contained one of this run's own secrets, and was withheld. Revoke that secret."
            reply = replace(reply, done=False)
        if self._task.is_pull_request and not comment.thread_comment_id and reply.quote:
            body = joined((f"> {sanitize.line(comment.body.strip().splitlines()[0], 200)}", body))
        self._comments.reply(comment, body)
        self._react(comment, "rocket" if reply.done else "confused")
        return NothingToDo(reply.log)

    def _refuse(self, comment: CommandComment, why: str) -> NothingToDo:
        return self._answer(comment, CommandReply(why, done=False, log=why))

    def _react(self, comment: CommandComment, content: ReactionContent) -> None:
        """Reacts if GitHub allows it: the reply counts."""
        try:
            self._comments.react(comment, content)
        except GitHubError as error:
            _log.info("The reaction was not added: %s", error)

    def _report_failure(self, comment: CommandComment, error: Error) -> None:
        """Replies that the command failed, as far as GitHub allows it."""
        prefix = '"prompts" names'
        faults = [fault.replace(prefix, "The command names") for fault in error.faults]
        lines = [sanitize.line(self._reader.scan.redacted(fault), _LONGEST_ERROR) for fault in faults[:5]]
        title = "The command is not valid." if isinstance(error, SettingsError) else "The command failed."
        try:
            self._answer(
                comment, CommandReply("\n".join([title, *(f"- {line}" for line in lines)]), done=False)
            )
        except GitHubError as failure:
            _log.warning("The failure could not be reported in a reply: %s", failure)

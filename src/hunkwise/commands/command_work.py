"""What each command in a comment does; each method returns the reply. Nothing here decides who may."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

from hunkwise.commands.pull_request import RepositoryReader, in_background
from hunkwise.commands.signals import Signals
from hunkwise.copilot.sidecar import Address, Sidecar
from hunkwise.domain.command import Command, CommandWord, UnknownCommand
from hunkwise.domain.diff import by_path
from hunkwise.domain.pull_request import Conversation, PullRequest, ReadableCode, Thread
from hunkwise.domain.text import joined
from hunkwise.errors import Error, GitHubError, GitHubErrorKind
from hunkwise.flows.answering import AnswerRequest
from hunkwise.flows.base_config import read_config_text
from hunkwise.flows.check_run import is_review_running
from hunkwise.flows.fetch import FetchedPullRequest
from hunkwise.github.command_comments import CommandComment, CommandComments
from hunkwise.github.comments import SummaryComments
from hunkwise.github.issues import AuditIssues
from hunkwise.github.responses import REFUSED
from hunkwise.github.writer import Writer, marker_line
from hunkwise.publish import sanitize
from hunkwise.publish.audit_boxes import tick_box
from hunkwise.publish.audit_issue import ISSUE_MARKER, LABEL
from hunkwise.publish.command_texts import config_text, help_text, unknown_text
from hunkwise.publish.documents import answer_body, updated_summary
from hunkwise.settings.config import Config, read_config
from hunkwise.settings.events import CommandTask
from hunkwise.settings.github_context import RunnerEnvironment
from hunkwise.settings.inputs import Inputs
from hunkwise.settings.sources import (
    DEFAULT,
    ConfigLayers,
    SourceKind,
    ValueSource,
    settings_of,
)
from hunkwise.tracking.audit_state import apply_dismissal, decode_comment, encode_comment, is_state_comment
from hunkwise.tracking.dismissal import is_closed_as_fixed
from hunkwise.tracking.ledger import DismissalChange
from hunkwise.tracking.markers import HiddenState, Pause, ThreadDecision, decision_marker, reply_marker
from hunkwise.tracking.previous import TrackedFinding, apply_command, find_findings
from hunkwise.tracking.state import empty_state, latest_state, summary_comments

_ONLY_ON_ISSUES = (
    "On an issue only `/hunkwise dismiss ID` and `/hunkwise reopen ID` have an effect, and only on the issue of an "
    "audit."
)
_MOST_LOOKS, _SECONDS_BETWEEN_LOOKS = 6, 1.5
"""How long `stop` and `resume` watch a running review: publishing takes about two seconds."""


@dataclass(frozen=True, slots=True)
class CommandReply:
    """The reply to a command, as Markdown that may be posted."""

    body: str
    done: bool = True
    """False if the command was refused, or failed."""
    log: str = "The command was answered."
    quote: bool = False
    """Whether the reply quotes the command's line, where it is not in a thread."""


class AnsweredError(Error):
    """We have replied to the comment before: nothing is to be done."""


class CommandWork:
    """Carries out commands on one pull request or issue. Methods raise Error."""

    def __init__(
        self,
        environment: RunnerEnvironment,
        inputs: Inputs,
        task: CommandTask,
        comment: CommandComment,
        reader: RepositoryReader,
        writer: Writer,
        *,
        may_write: bool,
    ) -> None:
        """`may_write`: whether the author of the comment has write access."""
        self._environment = environment
        self._inputs = inputs
        self._task = task
        self._comment = comment
        self._reader = reader
        self._writer = writer
        self._comments = CommandComments(writer)
        self._may_write = may_write

    def needs_conversation(self, command: Command | UnknownCommand) -> bool:
        """Returns whether the command reads `fetched` before anything else."""
        if not self._task.is_pull_request or not isinstance(command, Command):
            return False
        only_in_threads = command.word in (CommandWord.EXPLAIN, CommandWord.SUGGEST)
        refused = only_in_threads and not self._comment.thread_comment_id
        return not refused and command.word not in (CommandWord.HELP, CommandWord.REVIEW)

    @cached_property
    def fetched(self) -> FetchedPullRequest:
        """The pull request, with the configuration of its base. Raises AnsweredError if we have replied before."""
        fetched = self._reader.fetch(self._task.number)
        conversation = fetched.snapshot.conversation
        if conversation is None:
            answered = self._comments.own_reply(self._comment)
        else:
            answered = _has_reply(conversation, self._comment)
        if answered:
            raise AnsweredError("This comment was answered before.")
        return fetched

    @cached_property
    def _pull_request(self) -> PullRequest:
        """The pull request alone, if the rest has not been read."""
        if "fetched" in self.__dict__:
            return self.fetched.snapshot.pull_request
        return self._reader.github.pull_request(self._task.number)

    @property
    def author(self) -> str:
        """Login of the pull request's author."""
        return self._pull_request.author

    def is_closed(self, word: CommandWord) -> bool:
        """Returns whether the pull request is closed or merged; a review reads the rest of it itself."""
        pull_request = (
            self._pull_request if word is CommandWord.REVIEW else self.fetched.snapshot.pull_request
        )
        return pull_request.state != "open"

    @property
    def _conversation(self) -> Conversation:
        """Raises GitHubError if it could not be read: nothing may be decided without it."""
        conversation = self.fetched.snapshot.conversation
        if conversation is None:
            raise GitHubError(
                GitHubErrorKind.UNAVAILABLE, "The conversation could not be read.", "Write the command again."
            )
        return conversation

    def help(self) -> CommandReply:
        """Lists the commands."""
        return CommandReply(help_text())

    def config(self) -> CommandReply:
        """Shows the settings of the base that are not defaults."""
        base_sha, path = self.fetched.snapshot.pull_request.base_sha, self._inputs.config_path
        text = read_config_text(self._reader.commit(base_sha), path, is_added=lambda: True).text
        file, document = read_config(text, path=path) if text is not None else (Config(), None)
        inputs = {
            name: (value, ValueSource(SourceKind.INPUT, name.replace("_", "-")))
            for name, value in self._inputs.overrides().items()
        }
        settings = list(settings_of(ConfigLayers(file=file, document=document, path=path, overrides=inputs)))
        rows = [(each.key, each.text, str(each.source)) for each in settings if each.source != DEFAULT]
        defaults = len(settings) - len(rows)
        return CommandReply(
            config_text(rows, defaults=defaults, path=path, sha=base_sha, found=text is not None)
        )

    def answer(self, command: Command, start: Callable[[], Sidecar | Sequence[Address]]) -> CommandReply:
        """Asks a model one question."""
        in_thread = bool(self._comment.thread_comment_id)
        if command.word is not CommandWord.ASK and not in_thread:
            return CommandReply(f"`/hunkwise {command.word}` answers in a review thread only.", done=False)
        signals = Signals()
        signals.install()
        where = start()  # the CLI starts while GitHub is read
        signals.raise_on_second()
        fetching = in_background(lambda: self.fetched)
        from hunkwise.copilot.sdk_import import import_sdk

        import_sdk()
        fetched = fetching.result()
        thread = self._thread() if in_thread else None
        snapshot = fetched.snapshot
        head = self._reader.commit(snapshot.pull_request.head_sha)
        base = self._reader.base(snapshot.pull_request)
        request = AnswerRequest(
            command,
            snapshot,
            fetched.texts.config,
            fetched.texts.templates,
            ReadableCode(head, base, by_path(snapshot.files)),
            thread,
            fetched.state,
            frozenset({self._comment.login} if self._may_write else ()),
        )
        from hunkwise.commands.run import AnswerRun, RunBackend

        run = AnswerRun(RunBackend(where, self._inputs.provider), request, self._reader.deadlines, signals)
        answer = asyncio.run(run.answer())
        body = answer_body(
            answer.text, answer.suggestion, answer.why_none, server_url=self._environment.server_url
        )
        notes = [f"_{sanitize.line(fault.message, 300)}_" for fault in answer.faults]
        head_note = f"<sub>At `{snapshot.pull_request.head_sha[:12]}`.</sub>"
        return CommandReply(joined((body, *notes, head_note)), quote=True)

    def _thread(self) -> Thread | None:
        top = self._comment.thread_comment_id
        return next((each for each in self._conversation.threads if each.comment_id == top), None)

    def decide(self, command: Command) -> CommandReply:
        """Dismisses or reopens the finding of the thread, or the one with the id."""
        dismissed = command.word is CommandWord.DISMISS
        if self._comment.thread_comment_id and not command.finding:
            thread = self._thread()
            if thread is None or not thread.ours:
                return CommandReply("This thread has no finding of hunkwise.", done=False)
            return CommandReply(self._decide_thread(thread, dismissed=dismissed))
        if not command.finding:
            return CommandReply(
                f"`/hunkwise {command.word}` needs the id of a finding here: `/hunkwise {command.word} ID`.",
                done=False,
            )
        found = find_findings(command.finding, self.fetched.state, self._conversation)
        fingerprints = {item.previous.fingerprint for item in found}
        if len(fingerprints) != 1:
            return _unclear_id(command.finding, len(fingerprints))
        return CommandReply(self._decide_findings(found, dismissed=dismissed))

    def _decide_findings(self, found: Sequence[TrackedFinding], *, dismissed: bool) -> str:
        """Records the decision in the threads of the findings, and in the state for those without one."""
        for item in found:
            if item.thread is not None and item.thread.comment_id:
                in_thread = replace(self._comment, thread_comment_id=item.thread.comment_id)
                self._comments.reply(in_thread, self._decide_thread(item.thread, dismissed=dismissed))
        state = self.fetched.state
        if state is not None and any(item.thread is None for item in found):
            fingerprint = found[0].previous.fingerprint
            decided = apply_command(state, self._conversation, fingerprint, dismissed=dismissed)
            self._save(decided, self._conversation)
        title = sanitize.line(found[0].previous.title, 200)
        return f"{_decided(self._comment.login, dismissed=dismissed)} {title}"

    def _decide_thread(self, thread: Thread, *, dismissed: bool) -> str:
        """Resolves or reopens the thread, if the token may; returns the reply that records the decision."""
        resolved = thread.resolved
        if thread.id and thread.resolved is not dismissed:
            try:
                (self._comments.resolve if dismissed else self._comments.unresolve)(thread.id)
                resolved = dismissed
            except GitHubError as error:
                if error.kind not in REFUSED:
                    raise
        decision = ThreadDecision(
            dismissed, self._comment.login, resolved, is_closed_as_fixed(thread, self._conversation)
        )
        return joined((_decided(self._comment.login, dismissed=dismissed), decision_marker(decision)))

    def pause(self, *, stopped: bool) -> CommandReply:
        """Stops automatic reviews of the pull request, or lets them run again."""
        state, pull_request = self.fetched.state, self.fetched.snapshot.pull_request
        if not stopped and (state is None or state.paused is None):
            return CommandReply("Automatic reviews of this pull request are not paused.")
        if state is None:
            state = empty_state(pull_request.repository, pull_request.number)
        pause = Pause(self._comment.login, self._comment.created_at) if stopped else None
        self._save(replace(state, paused=pause), self._conversation)
        self._keep_pause(pause)
        if pause is None:
            return CommandReply("Automatic reviews of this pull request continue with the next push.")
        return CommandReply(
            "Automatic reviews of this pull request are paused. `/hunkwise resume` continues them."
        )

    def _keep_pause(self, pause: Pause | None) -> None:
        """Writes the pause, or its end, again if a review that was posting meanwhile has replaced the state."""
        pull_request = self.fetched.snapshot.pull_request
        is_running = is_review_running(self._conversation)
        for _ in range(_MOST_LOOKS):
            if not is_running:  # one look more than that: a review writes its state after its check run
                return
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            now = self._reader.github.conversation(pull_request.number, pull_request.head_sha)
            state = latest_state(now.comments, repository=pull_request.repository, number=pull_request.number)
            if state is not None and (state.paused is None) is not (pause is None):
                self._save(replace(state, paused=pause), now)
                return
            is_running = is_review_running(now)

    def _save(self, state: HiddenState, conversation: Conversation) -> None:
        """Writes the state into the newest summary comment; a review that runs meanwhile may have written another."""
        text, comment_id = updated_summary(conversation.comments, state)
        comments = SummaryComments(self._writer)
        comments.save(text, comment_id)
        for duplicate in summary_comments(conversation.comments)[:-1]:
            comments.delete(duplicate.id)

    def on_issue(self, command: Command | UnknownCommand) -> CommandReply:
        """Dismisses or reopens a finding of the audit whose issue this is."""
        issues = AuditIssues(self._writer)
        issue = issues.find(ISSUE_MARKER, LABEL)
        if issue is None or issue.number != self._task.number:
            return CommandReply(_ONLY_ON_ISSUES, done=False)
        if isinstance(command, UnknownCommand):
            return CommandReply(unknown_text(command), done=False)
        if command.word not in (CommandWord.DISMISS, CommandWord.REOPEN) or not command.finding:
            return CommandReply(_ONLY_ON_ISSUES, done=False)
        states = [comment for comment in issue.state_comments if is_state_comment(comment.body)]
        state = decode_comment(states[-1], self._task.repository) if states else None
        entries = [
            entry
            for entry in (state.entries if state else ())
            if entry.fingerprint.startswith(command.finding)
        ]
        fingerprints = {entry.fingerprint for entry in entries}
        if state is None or len(fingerprints) != 1:
            return _unclear_id(command.finding, len(fingerprints))
        fingerprint, dismissed = fingerprints.pop(), command.word is CommandWord.DISMISS
        change = DismissalChange(fingerprint, dismissed, self._comment.login, command.text)
        today = datetime.now(UTC).date().isoformat()
        text, _ = encode_comment(apply_dismissal(state, change, today))
        # First the box: the next audit believes the boxes.
        body = tick_box(issue.body, fingerprint, dismissed)
        issues.edit(issue, body)
        issues.write_state(replace(issue, body=body), text)
        title = sanitize.line(entries[0].record.title, 200)
        return CommandReply(f"{_decided(self._comment.login, dismissed=dismissed)} {title}")


def _has_reply(conversation: Conversation, comment: CommandComment) -> bool:
    """Returns whether we have replied to the comment where it was written."""
    if comment.thread_comment_id:
        top = comment.thread_comment_id
        threads = (thread for thread in conversation.threads if thread.comment_id == top)
        bodies = [reply.body for thread in threads for reply in thread.replies if reply.ours]
    else:
        bodies = [each.body for each in conversation.comments]
    return any(marker_line(body) == reply_marker(comment.id) for body in bodies)


def _unclear_id(prefix: str, number: int) -> CommandReply:
    """Returns the reply to an id that not exactly one finding has."""
    problem = f"{number} findings have" if number else "No finding has"
    return CommandReply(f"{problem} an id that begins with `{prefix}`.", done=False)


def _decided(login: str, *, dismissed: bool) -> str:
    return f"{'Dismissed' if dismissed else 'Reopened'} by {sanitize.code_span(login)}."

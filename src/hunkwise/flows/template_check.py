"""Checks the templates of a configuration: renders each over small built-in examples, as a run would."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from typing import Any, Final

from hunkwise.domain.command import Command, CommandWord
from hunkwise.domain.diff import FileDiff, FileStatus, Side, by_path
from hunkwise.domain.diff_parser import count_changes, parse_hunks
from hunkwise.domain.finding import Anchor, ChangeSummary, Finding, Severity
from hunkwise.domain.model import ANSWER_PROMPTS, BUILT_IN_PROMPTS
from hunkwise.domain.pull_request import (
    Conversation,
    Instructions,
    Known,
    LinkedIssue,
    PullRequest,
    ReadableCode,
    Reply,
    Snapshot,
    Thread,
)
from hunkwise.domain.review import Coverage, FileCoverage, SkipReason
from hunkwise.errors import SettingsError
from hunkwise.flows.analysis import Analysis
from hunkwise.flows.answering import AnswerRequest, answer_variables
from hunkwise.flows.base_config import BaseConfig, built_in_fronts
from hunkwise.flows.prompting import PromptWriter, prompt_values
from hunkwise.flows.summary import summary_variables
from hunkwise.flows.verification import Claim, FindingBatch, ShownCode, build_variables
from hunkwise.plan.chunking import pack
from hunkwise.prompts.context import Contexts, instruction_values
from hunkwise.prompts.renderer import PARTIAL, Renderer, partials_of
from hunkwise.settings.config import Config
from hunkwise.settings.prompt_settings import PromptSettings
from hunkwise.tracking.markers import HiddenState, PreviousFinding

_IN_PROMPT: Final = " (in the prompt "


class RunKind(Enum):
    """What a run is about: its prompts have other variables. The value says so in messages."""

    PULL_REQUEST = "a pull request"
    RANGE = "a range of commits, which has no pull request"
    AUDIT = "an audit, which has no pull request"


@dataclass(frozen=True)
class TemplateFaults:
    """What is wrong with the templates of a configuration, as `path:line: …`."""

    errors: tuple[str, ...] = ()
    """A run would end with these, or would not review the parts of the change for which a template fails."""
    unused: tuple[str, ...] = ()
    """Blocks that have no effect."""

    def __add__(self, other: TemplateFaults) -> TemplateFaults:
        return TemplateFaults(
            _first_of_each((*self.errors, *other.errors)), _first_of_each((*self.unused, *other.unused))
        )


def check_templates(texts: BaseConfig, kinds: Container[RunKind]) -> TemplateFaults:
    """Renders each prompt that has text of the user over the examples of these kinds of runs.

    Takes about 0.1 s for each such prompt, in the limited worker process in which a review renders it.
    """
    renderer = Renderer(texts.templates, paths=texts.config.own_files)
    selected = [example for example in examples() if example.kind in kinds]
    errors: list[str] = []
    for prompt in (*texts.config.prompts, *_prompts_of_partials(texts)):
        if renderer.is_own(prompt.name):
            errors += _rendering_errors(renderer, prompt, texts.config, selected)
    # A faulty partial is a fault of every prompt that includes it: it is reported once, for the first prompt.
    return TemplateFaults(_first_of_each(errors), _first_of_each(renderer.unused_blocks))


def _first_of_each(faults: Iterable[str]) -> tuple[str, ...]:
    by_place: dict[str, str] = {}
    for fault in faults:
        by_place.setdefault(fault.partition(_IN_PROMPT)[0], fault)
    return tuple(by_place.values())


def _prompts_of_partials(texts: BaseConfig) -> Iterator[PromptSettings]:
    """Yields built-in prompts that include partials of the user which no built-in prompt of the configuration has."""
    shown = [partials_of(prompt.name) for prompt in texts.config.prompts if prompt.template is None]
    unshown = {name for name in texts.templates if name.startswith(PARTIAL)}.difference(*shown)
    for name in BUILT_IN_PROMPTS:
        if name not in texts.templates and unshown & partials_of(name):
            yield PromptSettings(name=name).under(built_in_fronts()[name])
            return


def _rendering_errors(
    renderer: Renderer, prompt: PromptSettings, config: Config, selected: list[Example]
) -> Iterator[str]:
    """Yields each error of the prompt once, with the first example for which it happens."""
    contexts = [(example, context) for example in selected for context in variables(prompt, config, example)]
    try:
        results = list(renderer.render_all(prompt.name, {}, (context for _, context in contexts)))
    except SettingsError as error:  # it does not compile, or needs too much memory or time
        yield from error.faults
        return
    cases: dict[str, str] = {}
    for (example, _), result in zip(contexts, results, strict=True):
        if isinstance(result, SettingsError):
            cases.setdefault(str(result), example.case)
    for message, case in cases.items():
        yield f"{message} It fails for {case}." if case else message


@dataclass(frozen=True)
class Example:
    """The change of a run."""

    kind: RunKind
    snapshot: Snapshot
    case: str = ""
    """What a template must be prepared for; empty for the example that has everything."""
    bare: bool = False
    """True if it has none of the optional parts."""


_REPOSITORY: Final = "octo/repo"
_PATH: Final = "src/example.py"
_PATCH: Final = b"""@@ -1,3 +1,4 @@ def example():
 first = 1
-second = 2
+second = 3
+third = 4
 return first"""
_LINES: Final = 150
"""Lines of the file that makes the change too large for one chunk."""
_CHUNK: Final = 2_000
_BARE: Final = "without description, labels, linked issues, threads and instructions"


def _file(path: str, patch: bytes, status: FileStatus, old_path: str | None = None) -> FileDiff:
    hunks = parse_hunks(patch)
    return FileDiff(path, status, hunks, *count_changes(hunks), old_path)


def _added(path: str, count: int) -> FileDiff:
    rows = b"\n".join(b"+value_%d = %d" % (number, number) for number in range(count))
    return _file(path, b"@@ -0,0 +1,%d @@\n%s" % (count, rows), FileStatus.ADDED)


@cache
def examples() -> tuple[Example, ...]:
    """Returns the examples, first the pull request that has everything."""
    issue = LinkedIssue(1, "An example of an issue", "Its body.", _REPOSITORY)
    pull_request = PullRequest(
        repository=_REPOSITORY,
        number=7,
        title="An example of a title",
        body="An example of a description.",
        author="octocat",
        base="main",
        base_sha="1" * 40,
        head="feature",
        head_sha="2" * 40,
        labels=("example",),
        draft=True,
    )
    files = (
        _file(_PATH, _PATCH, FileStatus.RENAMED, "src/old.py"),
        _added("src/large.py", _LINES),
        _added("package-lock.json", 1),
    )
    whole = Snapshot(
        pull_request,
        files,
        threads=(Thread(_PATH, 2, Side.RIGHT, "hunkwise", "An example of a thread."),),
        instructions=(Instructions("AGENTS.md", "An example of instructions."),),
        conversation=Conversation(linked_issues=(issue,)),
    )
    bare = Snapshot(
        replace(pull_request, body="", labels=(), draft=False),
        (_added(_PATH, 1),),
    )
    commits = replace(whole, threads=(), conversation=None)
    code = replace(commits, files=(_added(_PATH, 3), _added("src/large.py", _LINES)), audit=True)
    return (
        Example(RunKind.PULL_REQUEST, whole),
        Example(RunKind.PULL_REQUEST, bare, f"{RunKind.PULL_REQUEST.value} {_BARE}", bare=True),
        Example(RunKind.RANGE, commits, RunKind.RANGE.value),
        Example(RunKind.AUDIT, code, RunKind.AUDIT.value),
    )


def variables(prompt: PromptSettings, config: Config, example: Example) -> Iterator[dict[str, Any]]:
    """Yields the variables of each rendering of the prompt in this example, made as a run makes them."""
    name, snapshot = prompt.name, example.snapshot
    contexts = Contexts(
        snapshot,
        local=example.kind is RunKind.RANGE,
        switches=config.context.switches,
        room=config.context.size,
        around=lambda _parts, _room: "" if example.bare else f"### Around the rows shown in {_PATH}",
    )
    contexts.skip_reasons = {"package-lock.json": SkipReason.GENERATED}
    values = prompt_values(prompt, prompt.min_severity or config.min_severity)
    values["base_readable"] = bool(prompt.tools) and not example.bare
    if name == "verify":
        stages = [
            _verification(example) | {"instructions": instruction_values(contexts.instructions_for([_PATH]))}
        ]
    elif name == "summary":
        stages = [] if snapshot.audit else list(_summaries(config, example))
    elif name in ANSWER_PROMPTS:
        answers = _answers(name, config, example) if example.kind is RunKind.PULL_REQUEST else ()
        stages = list(answers)
    else:
        chunks = pack([file for file in snapshot.files if file.path not in contexts.skip_reasons], _CHUNK)
        stages = [contexts.varying(chunk, len(chunks), values) for chunk in chunks]
    for stage in stages:
        yield {**contexts.shared, "prompt": values, **stage}


def _findings(example: Example) -> tuple[Finding, ...]:
    """Returns a finding on lines, with all optional parts; and one on no line."""
    on_lines = Finding(
        _PATH,
        Severity.HIGH,
        "An example of a finding",
        "Its text.",
        Anchor(_PATH, 3, Side.RIGHT, 2),
        category="example",
        suggestion="second = 2",
    )
    on_file = Finding(_PATH, Severity.LOW, "An example of a finding on a file", "Its text.")
    return (on_file,) if example.bare else (on_lines, on_file)


def _verification(example: Example) -> dict[str, Any]:
    found = _findings(example)
    claims = tuple(map(Claim, found))
    others: tuple[Finding, ...] = ()
    if not example.bare:
        claims += (Claim(replace(found[0], raised_as="0" * 16), earlier=True, old_code="second = 2"),)
        others = (replace(found[0], path="src/large.py", anchor=Anchor("src/large.py", 1)),)
    return build_variables(FindingBatch(claims), ShownCode(by_path(example.snapshot.files), _CHUNK), others)


def _summaries(config: Config, example: Example) -> Iterator[dict[str, Any]]:
    style = "short" if config.summary == "off" else config.summary
    if example.bare:
        yield summary_variables(Analysis((), Coverage(), ()), (), style, "")
        return
    missing = FileCoverage("src/large.py", _LINES, 0, SkipReason.BUDGET)
    analysis = Analysis((), Coverage((missing,)), (), ("An example of what is said of a part.",))
    yield summary_variables(analysis, _findings(example), style, "An example of an earlier summary.")


def _answers(name: str, config: Config, example: Example) -> Iterator[dict[str, Any]]:
    """Yields the variables for each command and place: in threads, and `ask` on the pull request."""
    snapshot = example.snapshot
    prompting = PromptWriter(snapshot, Renderer({}), context=config.context)
    reply = Reply("octocat", "An example of an answer.")
    thread = Thread(_PATH, 3, Side.RIGHT, "hunkwise", "A thread.", ours=True, start_line=2, replies=(reply,))
    outdated = replace(thread, line=None, start_line=None, outdated=True, diff_hunk="@@ -1 +1 @@\n+old")
    ask, suggest = Command(CommandWord.ASK, "An example of a question?"), Command(CommandWord.SUGGEST)
    asked = [(ask, None), (ask, thread), (ask, outdated), (suggest, thread)]
    if name == "explain":
        asked = [(Command(CommandWord.EXPLAIN), place) for place in (thread, outdated)]
    for command, place in asked:
        request = AnswerRequest(
            command, snapshot, config, {}, ReadableCode(_NoFiles()), place, None if example.bare else _state()
        )
        yield answer_variables(request, prompting) | {"suggestible": place is thread}


class _NoFiles:
    """The repository of the examples: the variables need no file of it."""

    searchable = False

    def read(self, _path: str) -> bytes | None:
        return None

    def read_many(self, _paths: Sequence[str]) -> Known:
        return {}

    def search(self, *_pattern_and_paths: object, **_limits: object) -> list[tuple[str, int, str]] | None:
        return None

    def list(self, _path: str) -> tuple[str, ...] | None:
        return None


@cache
def _state() -> HiddenState:
    finding = PreviousFinding("0" * 16, _PATH, Severity.HIGH, "An example of a finding", line=3)
    return HiddenState(
        _REPOSITORY,
        7,
        "2" * 40,
        (),
        "main",
        0,
        "0" * 16,
        findings=(finding,),
        summary=ChangeSummary("An example of a summary."),
    )

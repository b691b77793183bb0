"""All questions of a plan: asked in parallel, and every changed line accounted for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hunkwise.domain.diff import FileDiff, FileStatus
from hunkwise.domain.diff_parser import count_changes, parse_hunks
from hunkwise.domain.finding import Finding, Severity, Verification
from hunkwise.domain.model import Question, ToolReply
from hunkwise.domain.pull_request import Snapshot
from hunkwise.domain.review import Coverage, FileCoverage, Review, SkipReason, Usage
from hunkwise.domain.text import LINE_LIMIT
from hunkwise.errors import Error, ModelError, ModelKind, SettingsError
from hunkwise.flows.analysis import Analysis, Analyzer
from hunkwise.flows.models import Budgets
from hunkwise.flows.planning import PromptTask, coverage_of, hunks_of, plan
from hunkwise.flows.review import ReviewRequest, RunHooks, nothing_to_ask, prepare, review
from hunkwise.plan.incremental import hunk_keys
from hunkwise.redaction import SecretScan, withhold
from hunkwise.settings.config import Config
from hunkwise.settings.prompt_settings import PromptSettings
from tests.fakes.changes import added, snapshot

Take = Callable[[object], ToolReply]
Answer = Callable[[str, Take], Awaitable[None]]
CANARY = "ghs_Canary0123456789abcdef"
SMALL = 4_000
"""Characters of a chunk that holds one of the files below."""


async def says_nothing(_prompt: str, take: Take) -> None:
    take({"findings": [], "done": True})


@dataclass
class FakeModel:
    """Answers each prompt by `answer`."""

    answer: Answer = says_nothing
    prompts: list[str] = field(default_factory=list)
    spent: dict[str, Usage] = field(default_factory=dict)
    models: tuple[str, ...] = ()

    @property
    def usage(self) -> Usage:
        return sum(self.spent.values(), Usage())

    async def ask(self, question: Question) -> None:
        self.prompts.append(question.prompt)
        known = self.spent.get(question.purpose, Usage())
        self.spent[question.purpose] = known + Usage(model_calls=1, models=self.models)
        await self.answer(question.prompt, question.tool.take)


@dataclass
class Running:
    """A review, its journal and its progress."""

    model: FakeModel = field(default_factory=FakeModel)
    journal: list[Finding] = field(default_factory=list)
    progress: list[tuple[int, int]] = field(default_factory=list)
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)

    async def review(self, order: ReviewRequest) -> Review:
        watchers = RunHooks(
            self.journal.append,
            lambda done, total: self.progress.append((done, total)),
            self.interrupted,
            lambda: 12.0,
            2.0,
            lambda review: withhold(review, SecretScan([CANARY])),
        )
        return await review(order, prepare(order), self.model, watchers)


def files(count: int = 4) -> Snapshot:
    """Files of 10 lines, each in a chunk of its own."""
    return snapshot(*(added(f"src/f{number}.py", *["x" * 300] * 10) for number in range(count)))


def config(**given: Any) -> Config:
    return Config(chunk_size=SMALL, **{"verify": "off", "summary": "off", **given})


def made(
    answer: Answer = says_nothing,
    *,
    templates: dict[str, str] | None = None,
    files: Snapshot | None = None,
    settings: Config | None = None,
) -> tuple[Review, Running]:
    running = Running(FakeModel(answer))
    order = ReviewRequest(files or globals()["files"](), settings or config(), templates or {})
    return asyncio.run(running.review(order)), running


def finding(path: str, title: str = "Wrong", severity: str = "high", line: int = 1) -> dict[str, Any]:
    return {"path": path, "line": line, "severity": severity, "title": title, "body": "It fails."}


def path_in(prompt: str) -> str:
    """The file that the prompt shows."""
    return prompt.rpartition('### "')[2].partition('"')[0]


def failing(kind: ModelKind, *paths: str) -> Answer:
    async def answer(prompt: str, take: Take) -> None:
        if path_in(prompt) in paths or not paths:
            raise ModelError(kind, f"It failed: {kind}.", "Do something.")
        await says_nothing(prompt, take)

    return answer


@pytest.mark.parametrize("failed", [0, 1, 3])
def test_progress_is_reported_only_where_it_was_made(failed: int) -> None:
    _, running = made(failing(ModelKind.PROVIDER, f"src/f{failed}.py"))
    assert running.progress == [(0, 4), (1, 4), (2, 4), (3, 4)]


def test_every_chunk_is_asked_and_every_line_reviewed() -> None:
    async def answer(prompt: str, take: Take) -> None:
        take({"findings": [finding(path_in(prompt))], "done": True, "summary": path_in(prompt)})

    found, running = made(answer)
    assert [one.path for one in found.findings] == [f"src/f{n}.py" for n in range(4)]
    assert (found.coverage.percent, found.coverage.complete) == (100, True)
    assert found.usage.model_calls == 4
    assert running.progress[-1] == (4, 4)
    assert len(running.journal) == 4
    assert found.summary == ""  # it is off
    assert found.seconds == 10.0


def test_no_more_questions_than_allowed_are_asked_at_a_time() -> None:
    now = most = 0

    async def answer(prompt: str, take: Take) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        await says_nothing(prompt, take)
        now -= 1

    made(answer, files=files(9), settings=config(parallel=3))
    assert most == 3


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (ModelKind.PROVIDER, SkipReason.FAILED),
        (ModelKind.TIMEOUT, SkipReason.DEADLINE),
        (ModelKind.REFUSED, SkipReason.FAILED),
    ],
)
def test_a_question_that_failed_costs_its_own_lines(kind: ModelKind, reason: SkipReason) -> None:
    found, running = made(failing(kind, "src/f1.py", "src/f2.py"))
    missing = {file.path: file.reason for file in found.coverage.missing}
    assert missing == {"src/f1.py": reason, "src/f2.py": reason}
    assert found.coverage.percent == 50
    assert [fault.message for fault in found.faults] == [
        f"It failed: {kind}. (and 1 more of this kind) Not reviewed because of it: src/f1.py, src/f2.py."
    ]
    assert len(running.model.prompts) == 4


def limited(most: int) -> Answer:
    """A model that takes at most so many of the rows that `files` has."""

    async def answer(prompt: str, take: Take) -> None:
        rows = re.findall(r"R(\d+) \+ x{300}", prompt)
        if len(rows) > most:
            raise ModelError(ModelKind.TOO_LARGE, "The prompt is too long.", "Lower `chunk-size`.")
        take({"findings": [finding(path_in(prompt), line=int((rows or [1])[0]))], "done": True})

    return answer


@pytest.mark.parametrize("template", [None, "MINE {{ chunk.diff }}"])
def test_a_part_that_is_too_large_is_asked_in_smaller_ones_and_the_next_one_is_split_at_once(
    template: str | None,
) -> None:
    prompts = (PromptSettings(name="mine", template="mine.j2"),) if template else None
    settings = config(**({"prompts": prompts} if prompts else {}))
    found, running = made(limited(6), templates={"mine": template} if template else {}, settings=settings)
    assert (found.coverage.percent, found.coverage.complete, found.faults) == (100, True, ())
    anchors = [(one.path, one.anchor and one.anchor.line) for one in found.findings]
    assert anchors == [(f"src/f{number}.py", line) for number in range(4) for line in (1, 6)]
    assert found.questions == 8
    assert running.progress[-1] == (8, 8)
    assert len(found.hunks) == 4
    assert len(running.model.prompts) == 9


def test_what_cannot_be_split_small_enough_is_named_and_no_more_is_asked() -> None:
    small = snapshot(
        added("src/a.py", "small"), *(added(f"src/f{n}.py", *["x" * 300] * 32) for n in range(9))
    )
    settings = Config(chunk_size=10_312, parallel=1, verify="off", summary="off")
    found, running = made(limited(0), files=small, settings=settings)
    assert found.coverage.reviewed_lines == 1
    assert {file.reason for file in found.coverage.missing} == {SkipReason.TOO_LARGE}
    assert [(fault.message[:23], fault.hint) for fault in found.faults] == [
        ("The prompt is too long.", "Lower `chunk-size`.")
    ]
    assert len(found.hunks) == 1
    assert len(running.model.prompts) <= 20


def test_what_can_be_split_is_covered_beside_what_cannot() -> None:
    wide = snapshot(added("a.py", *["x" * 300] * 4, "x" * 300 + "wide", *["x" * 300] * 4))

    async def answer(prompt: str, take: Take) -> None:
        if "wide" in prompt or prompt.count("x" * 300) > 4:
            raise ModelError(ModelKind.TOO_LARGE, "The prompt is too long.")
        await says_nothing(prompt, take)

    found, _ = made(answer, files=wide)
    (missing,) = found.coverage.missing
    assert missing.reason is SkipReason.TOO_LARGE
    assert 0 < missing.reviewed_lines < missing.changed_lines
    assert missing.detail == "1 of its 2 parts"


def test_the_budget_of_the_run_holds_where_parts_are_split() -> None:
    running = Running()

    async def answer(prompt: str, take: Take) -> None:
        raise ModelError(ModelKind.TOO_LARGE, "The prompt is too long.")

    @dataclass
    class Counting(FakeModel):
        async def ask(self, question: Question) -> None:
            assert question.budget.take_model_call()
            await super().ask(question)

    running.model = Counting(answer)
    large = snapshot(added("a.py", *["x" * 300] * 64))
    settings = Config(chunk_size=30_000, max_model_calls=3, verify="off", summary="off")
    order = ReviewRequest(large, settings, {})
    with pytest.raises(ModelError, match="max-model-calls"):
        asyncio.run(running.review(order))
    assert len(running.model.prompts) == 3


def test_an_error_that_ends_the_run_stops_the_rest() -> None:
    found, running = made(failing(ModelKind.PAYMENT, "src/f1.py"), settings=config(parallel=1))
    assert len(running.model.prompts) == 2
    assert [file.reason for file in found.coverage.missing] == [SkipReason.FAILED] * 3
    assert found.coverage.percent == 25


def test_where_nothing_was_answered_the_first_error_is_raised() -> None:
    with pytest.raises(ModelError, match="It failed: authentication") as caught:
        made(failing(ModelKind.AUTHENTICATION))
    assert caught.value.kind is ModelKind.AUTHENTICATION


def test_what_was_found_before_a_failure_is_kept() -> None:
    async def answer(prompt: str, take: Take) -> None:
        take({"findings": [finding(path_in(prompt))], "done": False})
        raise ModelError(ModelKind.SIDECAR, "It died.")

    found, _ = made(answer, files=files(1))
    assert len(found.findings) == 1
    assert found.coverage.percent == 0
    assert [fault.kind for fault in found.faults] == ["sidecar"]


def test_a_chunk_that_was_answered_counts_whatever_came_after() -> None:
    async def answer(prompt: str, take: Take) -> None:
        await says_nothing(prompt, take)
        raise ModelError(ModelKind.SIDECAR, "It died.")

    found, _ = made(answer, files=files(1))
    assert found.coverage.complete


@pytest.mark.parametrize("before", [0, 1])
def test_an_interruption_keeps_what_was_found(before: int) -> None:
    async def scenario() -> Review:
        running = Running()

        async def answer(prompt: str, take: Take) -> None:
            if len(running.model.prompts) <= before:
                await says_nothing(prompt, take)
                return
            take({"findings": [finding(path_in(prompt))], "done": False})
            running.interrupted.set()
            await asyncio.Event().wait()

        running.model.answer = answer
        return await running.review(ReviewRequest(files(), config(parallel=1), {}))

    found = asyncio.run(scenario())
    assert len(found.findings) == 1
    assert {file.reason for file in found.coverage.missing} == {SkipReason.INTERRUPTED}
    assert found.coverage.percent == 25 * before
    assert found.faults[-1].kind == "interrupted"


def test_an_interruption_before_anything_is_an_error() -> None:
    async def scenario() -> None:
        running = Running()
        running.interrupted.set()

        async def answer(prompt: str, take: Take) -> None:
            await asyncio.Event().wait()

        running.model.answer = answer
        await running.review(ReviewRequest(files(), config(), {}))

    with pytest.raises(ModelError, match="stopped before anything was reviewed"):
        asyncio.run(scenario())


def test_a_run_that_is_cancelled_leaves_no_question_behind() -> None:
    async def scenario() -> int:
        running = Running()

        begun = asyncio.Event()

        async def answer(prompt: str, take: Take) -> None:
            begun.set()
            await asyncio.Event().wait()

        running.model.answer = answer
        task = asyncio.create_task(running.review(ReviewRequest(files(), config(), {})))
        await begun.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return len(asyncio.all_tasks())

    assert asyncio.run(scenario()) == 1


def test_a_fault_of_our_own_is_not_swallowed() -> None:
    async def answer(prompt: str, take: Take) -> None:
        raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        made(answer)


def test_findings_that_could_not_be_kept_are_counted_in_the_faults() -> None:
    async def answer(prompt: str, take: Take) -> None:
        for call in range(3):
            titles = [f"Title {call} {number}" for number in range(100)]
            take({"findings": [finding(path_in(prompt), title) for title in titles], "done": False})

    found, _ = made(answer, files=files(1))
    assert [(fault.kind, fault.message) for fault in found.faults] == [
        ("answer", "100 findings came above the limit of 200 a question and 1,000 a run and were not taken.")
    ]
    assert len(found.findings) + found.dropped == 200


def test_a_finding_that_says_nothing_is_counted_in_the_faults() -> None:
    async def answer(prompt: str, take: Take) -> None:
        take({"findings": [None], "done": True})

    found, _ = made(answer, files=files(1))
    assert [fault.message for fault in found.faults] == [
        "1 finding of the model had no title and no text that could be read."
    ]


@pytest.mark.parametrize("more", [0, 8], ids=["at the end", "early"])
def test_no_later_question_holds_a_secret(more: int) -> None:
    encoded = CANARY.encode().hex()
    titles = {"src/f0.py": f"Uses {CANARY}", "src/f1.py": f"Sends {encoded}", "src/f2.py": "Harmless"}

    async def answer(prompt: str, take: Take) -> None:
        path = path_in(prompt)
        summary = f"About {CANARY}." if path == "src/f3.py" else "A change."
        findings = [finding(path, titles.get(path, CANARY[:13])), *faults_in(path, more)[1:]]
        take({"findings": findings, "done": True, "summary": summary})

    found, running = made(answer, settings=config(verify="on", summary="full"))
    later = running.model.prompts[4:]
    assert len(later) >= 2
    assert any("Harmless" in prompt for prompt in later)
    assert not any(secret in prompt for prompt in later for secret in (CANARY, encoded))
    assert "Harmless" in [one.title for one in found.findings]
    assert CANARY not in str(found)
    assert [fault.kind for fault in found.faults].count("secret") == 1
    assert found.dropped == 2


def test_several_prompts_see_their_own_files() -> None:
    prompts = (
        PromptSettings(name="review", paths=("src/f0.py", "src/f1.py")),
        PromptSettings(name="mine", template="mine.j2", paths=("src/f1.py",), min_severity=Severity.HIGH),
    )
    templates = {"mine": "MINE {{ prompt.min_severity }}\n{{ chunk.diff }}"}

    async def answer(prompt: str, take: Take) -> None:
        both = [finding(path_in(prompt), "Grave"), finding(path_in(prompt), "Small", "low", 2)]
        take({"findings": both, "done": True})

    found, running = made(answer, files=files(3), templates=templates, settings=config(prompts=prompts))
    mine = [prompt for prompt in running.model.prompts if prompt.startswith("MINE high")]
    assert [path_in(prompt) for prompt in mine] == ["src/f1.py"]
    assert sorted((one.prompt, one.title) for one in found.findings if one.path == "src/f0.py") == [
        ("review", "Grave"),
        ("review", "Small"),
    ]
    assert {file.path: file.reason for file in found.coverage.files}["src/f2.py"] is SkipReason.NO_PROMPT
    assert found.coverage.complete
    assert found.dropped == 2
    assert found.prompts == ("review", "mine")


def test_of_two_prompts_the_one_that_saw_less_of_a_file_counts() -> None:
    prompts = (PromptSettings(name="review"), PromptSettings(name="mine", template="mine.j2"))

    async def answer(prompt: str, take: Take) -> None:
        if prompt.startswith("MINE") and path_in(prompt) == "src/f1.py":
            raise ModelError(ModelKind.CONTENT_FILTER, "Blocked.")
        await says_nothing(prompt, take)

    settings = config(prompts=prompts)
    found, _ = made(answer, files=files(2), templates={"mine": "MINE {{ chunk.diff }}"}, settings=settings)
    assert [file.path for file in found.coverage.missing] == ["src/f1.py"]


def test_a_template_that_fails_for_one_chunk_costs_that_chunk() -> None:
    settings = config(prompts=(PromptSettings(name="mine", template="mine.j2"),))
    source = "{% if chunk.files[0].path == 'src/f1.py' %}{{ nothing }}{% endif %}{{ chunk.diff }}"
    found, running = made(templates={"mine": source}, settings=settings)
    assert [file.path for file in found.coverage.missing] == ["src/f1.py"]
    assert [fault.kind for fault in found.faults] == ["template"]
    assert "'nothing' is undefined" in found.faults[0].message
    assert len(running.model.prompts) == 3


@pytest.mark.parametrize("source", ["{{ nothing }}", "{% if %}"])
def test_a_template_that_fails_for_all_chunks_ends_the_run_before_anything_is_spent(source: str) -> None:
    settings = config(prompts=(PromptSettings(name="mine", template="mine.j2"),))
    with pytest.raises(SettingsError, match=r'^mine\.j2:1: .*in the prompt "mine"'):
        prepare(ReviewRequest(files(), settings, {"mine": source}))


def test_a_template_that_nothing_is_due_to_is_compiled_all_the_same() -> None:
    settings = config(prompts=(PromptSettings(name="mine", template="mine.j2", paths=("none/**",)),))
    prepare(ReviewRequest(files(), settings, {"mine": "{{ nothing }}"}))
    with pytest.raises(SettingsError, match=r"^mine\.j2:1: "):
        prepare(ReviewRequest(files(), settings, {"mine": "{% if %}"}))


def test_a_prompt_that_is_too_long_is_an_error_where_it_is_all_there_is() -> None:
    whole = snapshot(added("a.py", *["x" * 3_900] * 102))
    with pytest.raises(Error, match="more than 400,000 characters"):
        made(files=whole, settings=Config(chunk_size=400_000))


def test_a_change_with_nothing_to_ask_is_reviewed_as_it_is() -> None:
    order = ReviewRequest(
        snapshot(replace(added("poetry.lock", "x"), status=FileStatus.MODIFIED)), config(), {}, demo=True
    )
    prepared = prepare(order)
    assert not prepared.plan.tasks
    found = nothing_to_ask(order, prepared, 1.5)
    assert [file.reason for file in found.coverage.files] == [SkipReason.LOCK_FILE]
    assert (found.findings, found.demo, found.seconds) == ((), True, 1.5)


def test_a_model_other_than_the_one_asked_for_is_named() -> None:
    running = Running()
    running.model.models = ("gpt-9",)
    found = asyncio.run(running.review(ReviewRequest(files(1), config(model="claude"), {})))
    assert found.notes == ('The model "claude" was asked for, and gpt-9 answered.',)


def test_a_plan_names_each_file_once() -> None:
    what = plan(files(3), config(ignore=("src/f2.py",)))
    assert [task.chunk.parts[0].file.path for task in what.tasks] == ["src/f0.py", "src/f1.py"]
    assert [(file.path, file.reason) for file in what.skipped] == [("src/f2.py", SkipReason.IGNORED)]


@dataclass(frozen=True)
class Naming:
    """Prompts that only name what they show."""

    system: str = ""

    def text(self, task: PromptTask) -> str:
        shown = (f"{part.file.path}:{hunk.new_start}" for part in task.chunk.parts for hunk in part.hunks)
        return " ".join([task.prompt.name, *shown])


def analysed(
    whole: Snapshot,
    settings: Config | None = None,
    answer: Answer = says_nothing,
    reviewed: frozenset[str] = frozenset(),
) -> tuple[Analysis, list[str]]:
    """The analysis, and the prompts that were asked."""
    model = FakeModel(answer)
    given = settings or config()

    async def run() -> Analysis:
        analyst = Analyzer(
            whole,
            model.ask,
            Naming(),
            budgets=Budgets(given),
            slots=asyncio.Semaphore(1),
            journal=lambda _: None,
            progress=lambda done, total: None,
        )
        return await analyst.analyse(plan(whole, given, reviewed), asyncio.Event())

    return asyncio.run(run()), model.prompts


def hunks_at(*starts: int, path: str = "src/a.py", more: bytes = b"", **given: Any) -> FileDiff:
    """A file with a hunk of its own words at each of these lines."""
    patch = b"".join(
        b"@@ -%d,2 +%d,3 @@\n one\n+%s\n two\n" % (start, start, b"%d" % start * 100) for start in starts
    )
    hunks = parse_hunks(patch + more)
    return FileDiff(path, FileStatus.MODIFIED, hunks, *count_changes(hunks), **given)


def test_a_second_run_asks_nothing_and_covers_the_same() -> None:
    long = b"@@ -900,0 +901,2 @@\n+short\n+" + b"x" * (LINE_LIMIT + 1) + b"\n"
    whole = snapshot(
        hunks_at(1, 50),
        hunks_at(7, path="b.py", more=long),
        replace(added("poetry.lock", "x"), status=FileStatus.MODIFIED),
    )
    first, asked = analysed(whole)
    again, more = analysed(whole, reviewed=first.hunks)
    assert (len(asked), first.questions, first.carried_lines) == (2, 2, 0)
    assert (more, again.questions, again.answered, again.carried_lines) == ([], 0, 0, 4)
    assert again.coverage == first.coverage
    assert again.hunks == first.hunks
    assert [file.reason for file in first.coverage.missing] == [SkipReason.LINE_TOO_LONG]


def test_only_new_hunks_are_asked_about_and_the_numbers_are_the_whole_changes() -> None:
    before, _ = analysed(snapshot(hunks_at(1, 50), added("b.py", "x")))
    whole = snapshot(hunks_at(1, 30, 50), added("b.py", "x"), added("c.py", "y"))
    found, asked = analysed(whole, reviewed=before.hunks)
    assert asked == ["review src/a.py:30 c.py:1"]
    assert found.coverage == Coverage(
        (FileCoverage("src/a.py", 3, 3), FileCoverage("b.py", 1, 1), FileCoverage("c.py", 1, 1))
    )
    assert found.carried_lines == 3
    assert found.hunks == analysed(whole)[0].hunks
    task = plan(whole, config(), before.hunks).tasks[0]
    assert task.chunk.parts[0].file.changed_lines == 3


def test_what_was_not_answered_stays_to_be_asked() -> None:
    before, _ = analysed(snapshot(hunks_at(1)))
    whole = snapshot(hunks_at(1, 50), added("full.py", *["x" * 300] * 12))

    async def answer(prompt: str, take: Take) -> None:
        if "src/a.py" in prompt:
            raise ModelError(ModelKind.PROVIDER, "It failed.")
        await says_nothing(prompt, take)

    found, _ = analysed(whole, None, answer, before.hunks)
    assert found.coverage.files[0] == FileCoverage("src/a.py", 2, 1, SkipReason.FAILED, "1 of its 2 parts")
    _, asked = analysed(whole, reviewed=found.hunks)
    assert asked == ["review src/a.py:50"]


@pytest.mark.parametrize("said", [{"findings": [None], "done": True}, {"findings": "many", "done": True}])
def test_a_question_whose_findings_could_not_be_kept_is_asked_again(said: dict[str, Any]) -> None:
    async def answer(_prompt: str, take: Take) -> None:
        take(said)

    whole = snapshot(hunks_at(1))
    found, _ = analysed(whole, answer=answer)
    assert found.coverage.complete
    assert found.faults
    assert found.hunks == frozenset()


def test_a_hunk_counts_when_each_of_its_prompts_has_seen_it() -> None:
    prompts = (
        PromptSettings(name="review"),
        PromptSettings(name="mine", template="mine.j2", paths=("src/**",)),
    )
    settings = config(prompts=prompts)
    whole = snapshot(hunks_at(1), hunks_at(1, path="b.py"))

    async def answer(prompt: str, take: Take) -> None:
        if prompt.startswith("mine"):
            raise ModelError(ModelKind.CONTENT_FILTER, "Blocked.")
        await says_nothing(prompt, take)

    found, _ = analysed(whole, settings, answer)
    assert found.hunks == frozenset(hunk_keys(whole.files[1]))
    again, asked = analysed(whole, settings, reviewed=found.hunks)
    assert asked == ["review src/a.py:1", "mine src/a.py:1"]
    assert again.hunks == {*found.hunks, *hunk_keys(whole.files[0])}


def test_what_no_prompt_looked_at_is_not_kept() -> None:
    whole = snapshot(replace(added("poetry.lock", "x"), status=FileStatus.MODIFIED), hunks_at(1, path="b.py"))
    settings = config(prompts=(PromptSettings(name="review", paths=("src/**",)),))
    found, _ = analysed(whole, settings)
    assert (found.hunks, found.questions) == (frozenset(), 0)


def test_a_hunk_that_the_patch_cut_off_is_asked_about_each_time() -> None:
    whole = snapshot(hunks_at(1, more=b"@@ -50,9 +51,9 @@\n fifty\n+more\n"))
    first, _ = analysed(whole)
    again, asked = analysed(whole, reviewed=first.hunks)
    assert asked == ["review src/a.py:51"]
    assert again.coverage == first.coverage


def test_a_rest_without_changed_lines_is_no_question() -> None:
    whole = snapshot(hunks_at(1, more=b"@@ -50,9 +51,9 @@\n fifty\n"))
    first, _ = analysed(whole)
    again, asked = analysed(whole, reviewed=first.hunks)
    assert (asked, again.coverage) == ([], first.coverage)


def test_a_renamed_file_with_changed_lines_is_asked_about_once() -> None:
    before, _ = analysed(snapshot(hunks_at(1)))
    renamed = replace(hunks_at(1, path="db/a.py"), status=FileStatus.RENAMED, old_path="src/a.py")
    again, asked = analysed(snapshot(renamed), reviewed=before.hunks)
    assert (asked, again.hunks) == (["review db/a.py:1"], frozenset(hunk_keys(renamed)))
    _, asked = analysed(snapshot(renamed), reviewed=again.hunks)
    assert asked == []


def test_a_file_that_is_listed_twice_is_never_taken_for_known() -> None:
    whole = snapshot(hunks_at(1), hunks_at(50))
    known = frozenset({*hunk_keys(hunks_at(1)), *hunk_keys(hunks_at(50))})
    found, asked = analysed(whole, reviewed=known)
    assert asked == ["review src/a.py:1 src/a.py:50"]
    assert found.hunks == frozenset()


def test_coverage_and_hunks_can_be_had_without_asking() -> None:
    whole = snapshot(hunks_at(1), added("b.py", "x"))
    first, _ = analysed(whole)
    what = plan(whole, config(), first.hunks)
    assert (what.tasks, what.carried_lines) == ((), 2)
    assert coverage_of(what, {}, whole) == first.coverage
    assert hunks_of(what, {}) == first.hunks
    unasked = plan(whole, config())
    assert {file.reason for file in coverage_of(unasked, {}, whole).files} == {SkipReason.INTERRUPTED}
    assert hunks_of(unasked, {}) == frozenset()
    (task,) = unasked.tasks
    assert hunks_of(unasked, {task.key: None}) == first.hunks


def verdicts(prompt: str, take: Take, verdict: str = "keep") -> int:
    """Gives one verdict on all findings that a question of the double-check has; returns their number."""
    numbers = prompt.count("\n## Finding ")
    each = [{"finding": n, "verdict": verdict, "evidence": "Row 1."} for n in range(1, numbers + 1)]
    take({"verdicts": each, "done": True})
    return numbers


def faults_in(path: str, count: int) -> list[dict[str, Any]]:
    return [finding(path, f"Wrong {number}", line=number + 1) for number in range(count)]


@pytest.mark.parametrize("verdict", ["keep", "drop"])
def test_findings_are_verified_while_other_parts_are_still_reviewed(verdict: str) -> None:
    verified: list[int] = []

    async def run() -> Review:
        begun = asyncio.Event()

        async def answer(prompt: str, take: Take) -> None:
            if "## Finding" in prompt:
                verified.append(verdicts(prompt, take, verdict))
                begun.set()
                return
            path = path_in(prompt)
            if path == "src/f3.py":  # the last part is not answered before the others' findings are verified
                await asyncio.wait_for(begun.wait(), 30)
            take({"findings": faults_in(path, 2), "done": True})

        return await Running(FakeModel(answer)).review(ReviewRequest(files(), config(verify="on"), {}))

    found = asyncio.run(run())
    assert sorted(verified) == [2, 6]
    assert len(found.findings) == (8 if verdict == "keep" else 0)
    assert len(found.suppressed) == (0 if verdict == "keep" else 8)
    assert found.faults == ()


def test_a_part_is_verified_when_all_of_its_prompts_are_answered_and_duplicates_once() -> None:
    asked: list[str] = []
    prompts = (PromptSettings(name="review"), PromptSettings(name="security"))
    settings = config(verify="on", prompts=prompts)

    async def answer(prompt: str, take: Take) -> None:
        if "## Finding" in prompt:
            asked.append(f"verify {verdicts(prompt, take)}")
            return
        asked.append("part")
        for _ in range(50 * len(asked)):  # whatever can begin after the first answer begins before the second
            await asyncio.sleep(0)
        take({"findings": faults_in(path_in(prompt), 8), "done": True})
        asked.append("answer")

    found, _ = made(answer, files=files(1), settings=settings)
    assert asked == ["part", "part", "answer", "answer", "verify 8"]
    assert (len(found.findings), found.dropped) == (8, 8)


def test_an_interruption_ends_a_verification_that_began_early() -> None:
    running = Running()

    async def answer(prompt: str, take: Take) -> None:
        if "## Finding" in prompt:
            running.interrupted.set()
            await asyncio.Event().wait()
        if path_in(prompt) == "src/f3.py":
            await asyncio.Event().wait()
        take({"findings": faults_in(path_in(prompt), 4), "done": True})

    running.model.answer = answer
    found = asyncio.run(running.review(ReviewRequest(files(), config(verify="on"), {})))
    assert {one.check for one in found.findings} == {Verification.UNVERIFIED}
    assert len(found.findings) == 12
    assert [fault.kind for fault in found.faults] == ["double-check", "interrupted"]

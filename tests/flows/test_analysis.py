"""All questions of a plan: asked in parallel, and every changed line accounted for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from hunkwise.domain.finding import Finding, Severity
from hunkwise.domain.outcome import Review, SkipReason, Usage
from hunkwise.domain.pull_request import Snapshot
from hunkwise.errors import Error, ModelError, ModelKind, SettingsError
from hunkwise.flows.analysis import plan
from hunkwise.flows.review import Order, Watchers, nothing_to_ask, prepare, review
from hunkwise.prompts.answers import Reply
from hunkwise.settings.config import Config, PromptSettings
from tests.fakes.changes import added, snapshot

Take = Callable[[object], Reply]
Answer = Callable[[str, Take], Awaitable[None]]
SMALL = 4_000
"""Characters of a chunk that holds one of the files below."""


async def says_nothing(_prompt: str, take: Take) -> None:
    take({"findings": [], "done": True})


@dataclass
class FakeModel:
    """Answers each prompt by `answer`."""

    answer: Answer = says_nothing
    prompts: list[str] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)

    async def ask(self, system: str, prompt: str, take: Take, answered: Callable[[], bool]) -> None:
        self.prompts.append(prompt)
        self.usage += Usage(model_calls=1)
        await self.answer(prompt, take)


@dataclass
class Running:
    """A review, its journal and its progress."""

    model: FakeModel = field(default_factory=FakeModel)
    journal: list[Finding] = field(default_factory=list)
    progress: list[tuple[int, int]] = field(default_factory=list)
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)

    async def review(self, order: Order) -> Review:
        watchers = Watchers(
            self.journal.append,
            lambda done, total: self.progress.append((done, total)),
            self.interrupted,
            lambda: 12.0,
            2.0,
        )
        return await review(order, prepare(order), self.model, watchers)


def files(count: int = 4) -> Snapshot:
    """Files of 10 lines, each in a chunk of its own."""
    return snapshot(*(added(f"src/f{number}.py", *["x" * 300] * 10) for number in range(count)))


def config(**given: Any) -> Config:
    return Config(chunk_size=SMALL, **given)


def made(
    answer: Answer = says_nothing,
    *,
    templates: dict[str, str] | None = None,
    files: Snapshot | None = None,
    settings: Config | None = None,
) -> tuple[Review, Running]:
    running = Running(FakeModel(answer))
    order = Order(files or globals()["files"](), settings or config(), templates or {})
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


def test_every_chunk_is_asked_and_every_line_reviewed() -> None:
    async def answer(prompt: str, take: Take) -> None:
        take({"findings": [finding(path_in(prompt))], "done": True, "summary": path_in(prompt)})

    found, running = made(answer)
    assert [one.path for one in found.findings] == [f"src/f{n}.py" for n in range(4)]
    assert (found.coverage.percent, found.coverage.complete) == (100, True)
    assert found.usage.model_calls == 4
    assert running.progress[-1] == (4, 4)
    assert len(running.journal) == 4
    assert found.summary.count("src/") == 4
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
    assert [fault.message for fault in found.faults] == [f"It failed: {kind}. (and 1 more of this kind)"]
    assert len(running.model.prompts) == 4


def test_an_error_that_ends_the_run_stops_the_rest() -> None:
    found, running = made(failing(ModelKind.BUDGET, "src/f1.py"), settings=config(parallel=1))
    assert len(running.model.prompts) == 2
    assert [file.reason for file in found.coverage.missing] == [SkipReason.BUDGET] * 3
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
        return await running.review(Order(files(), config(parallel=1), {}))

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
        await running.review(Order(files(), config(), {}))

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
        task = asyncio.create_task(running.review(Order(files(), config(), {})))
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
        ("answer", "100 findings came above the limit of 200 a prompt and were not taken.")
    ]
    assert len(found.findings) + found.dropped == 200


def test_a_finding_that_says_nothing_is_counted_in_the_faults() -> None:
    async def answer(prompt: str, take: Take) -> None:
        take({"findings": [None], "done": True})

    found, _ = made(answer, files=files(1))
    assert [fault.message for fault in found.faults] == [
        "1 finding of the model had no title and no text that could be read."
    ]


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
    with pytest.raises(SettingsError, match='The template of the prompt "mine"'):
        prepare(Order(files(), settings, {"mine": source}))


def test_a_template_that_nothing_is_due_to_is_compiled_all_the_same() -> None:
    settings = config(prompts=(PromptSettings(name="mine", template="mine.j2", paths=("none/**",)),))
    prepare(Order(files(), settings, {"mine": "{{ nothing }}"}))
    with pytest.raises(SettingsError, match="line 1"):
        prepare(Order(files(), settings, {"mine": "{% if %}"}))


def test_a_prompt_that_is_too_long_is_an_error_where_it_is_all_there_is() -> None:
    whole = snapshot(added("a.py", *["x" * 3_900] * 102))
    with pytest.raises(Error, match="more than 400,000 characters"):
        made(files=whole, settings=Config(chunk_size=400_000))


def test_a_change_with_nothing_to_ask_is_reviewed_as_it_is() -> None:
    order = Order(snapshot(added("poetry.lock", "x")), config(), {}, demo=True)
    prepared = prepare(order)
    assert not prepared.plan.works
    found = nothing_to_ask(order, prepared.plan, 1.5)
    assert [file.reason for file in found.coverage.files] == [SkipReason.LOCK_FILE]
    assert (found.findings, found.demo, found.seconds) == ((), True, 1.5)


def test_a_model_other_than_the_one_asked_for_is_named() -> None:
    running = Running()
    running.model.usage = Usage(models=("gpt-9",))
    found = asyncio.run(running.review(Order(files(1), config(model="claude"), {})))
    assert found.notes == ('The model "claude" was asked for, and gpt-9 answered.',)


def test_a_plan_names_each_file_once() -> None:
    what = plan(files(3), config(ignore=("src/f2.py",)))
    assert [work.chunk.parts[0].file.path for work in what.works] == ["src/f0.py", "src/f1.py"]
    assert [(file.path, file.reason) for file in what.skipped] == [("src/f2.py", SkipReason.IGNORED)]

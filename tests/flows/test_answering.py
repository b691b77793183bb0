"""Answers to commands: what a model is asked and with which limits, and which suggestions are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hunkwise.domain.command import Command, CommandWord
from hunkwise.domain.diff import FileDiff, Side
from hunkwise.domain.finding import ChangeSummary, Severity
from hunkwise.domain.model import ANSWER_PROMPTS, Question
from hunkwise.domain.pull_request import Conversation, Instructions, ReadableCode, Reply, Snapshot, Thread
from hunkwise.domain.review import ReviewFault, Usage
from hunkwise.errors import ModelError, ModelKind, RepositoryError, SettingsError
from hunkwise.flows.answering import _CODE_ROOM as CODE_ROOM
from hunkwise.flows.answering import THREAD_ROOM, Answer, AnswerRequest, answer, fitting_comments
from hunkwise.flows.base_config import built_in_fronts
from hunkwise.flows.review import ReviewRequest, prepare
from hunkwise.settings.config import Config
from hunkwise.settings.prompt_settings import BudgetSettings, ContextSettings, PromptSettings
from hunkwise.tracking.markers import HiddenState, PreviousFinding, marker
from tests.copilot.sessions import FakeRepository
from tests.fakes.changes import changed, snapshot

PATH = "src/pay.py"
PATCH = (
    b"@@ -1,4 +1,5 @@\n def pay(amounts):\n-    return amounts[0]\n+    first = amounts[0]\n+    return first\n"
    b" \n # end"
)
HEAD = b"def pay(amounts):\n    first = amounts[0]\n    return first\n\n# end\n"
FIX = "    return sum(amounts)"
BROKEN = "    return sum(amounts"
PLACEHOLDER = "    # ... the rest of the code"
MARKER = marker("finding", "fp=0123456789abcdef", "W10=")
ASK = Command(CommandWord.ASK, "Why only the first one?")
SUGGEST, EXPLAIN = Command(CommandWord.SUGGEST), Command(CommandWord.EXPLAIN)
OURS = Thread(
    PATH,
    3,
    Side.RIGHT,
    "github-actions",
    f"Only the first amount is paid.\n\n{MARKER}",
    ours=True,
    start_line=2,
    diff_hunk="@@ -1 +1 @@\n+old row",
)
TALK = Conversation(viewer="github-actions", author="ann", writers=frozenset({"Mona"}))
STATE = HiddenState(
    "octo/repo", 7, "1" * 40, (), "main", 0, "d",
    findings=(
        PreviousFinding("0" * 16, PATH, Severity.HIGH, "Only one is paid", line=3),
        PreviousFinding("1" * 16, PATH, Severity.LOW, "It was fixed", fixed=True),
        PreviousFinding("2" * 16, PATH, Severity.LOW, "It was deleted", deleted=True),
    ),
    summary=ChangeSummary("It pays the first amount."),
)  # fmt: skip
CONFIG = Config(context=ContextSettings(enclosing=False))
CALL: dict[str, Any] = {"text": "The others are dropped in src/pay.py:2.", "done": True}
TEXT = CALL["text"]
USAGE = Usage(model_calls=1, input_tokens=100)
Behavior = Callable[[Question], Awaitable[None]]


def calling(*calls: Mapping[str, Any]) -> Behavior:
    """Calls the tool with one after the other, until it accepts."""

    async def ask(question: Question) -> None:
        for call in calls:
            if question.tool.take(call).accepted:
                return

    return ask


def failing(kind: ModelKind, *calls: Mapping[str, Any]) -> Behavior:
    async def ask(question: Question) -> None:
        await calling(*calls)(question)
        raise ModelError(kind, "It failed.", "Do something.")

    return ask


async def hanging(question: Question) -> None:
    await asyncio.Event().wait()


@dataclass
class ScriptedModel:
    """Answers each question by `behavior`, and keeps it."""

    behavior: Behavior
    questions: list[Question] = field(default_factory=list)
    usage: Usage = USAGE

    @property
    def spent(self) -> Mapping[str, Usage]:
        return {"answer": self.usage}

    async def ask(self, question: Question) -> None:
        self.questions.append(question)
        await self.behavior(question)


def change(*files: FileDiff, talk: Conversation | None = TALK, **given: Any) -> Snapshot:
    return replace(snapshot(*(files or (changed(PATH, PATCH),)), **given), conversation=talk)


def request(command: Command = ASK, thread: Thread | None = OURS, **given: Any) -> AnswerRequest:
    files = given.pop("files", {PATH: HEAD})
    values: dict[str, Any] = {
        "snapshot": change(),
        "config": CONFIG,
        "templates": {},
        "code": ReadableCode(FakeRepository(files)),
        **given,
    }
    return AnswerRequest(command, thread=thread, **values)


def answered(
    asked: AnswerRequest,
    behavior: Behavior | None = None,
    *,
    interrupted: bool = False,
    seconds: float = 60,
) -> tuple[Answer, list[Question]]:
    """Returns the answer, and the questions that the model got."""
    model = ScriptedModel(behavior or calling(CALL))

    async def run() -> Answer:
        event = asyncio.Event()
        if interrupted:
            event.set()
        return await answer(asked, model, event, seconds=seconds)

    return asyncio.run(run()), model.questions


def question_of(asked: AnswerRequest) -> Question:
    _, (question,) = answered(asked)
    return question


def test_a_question_in_a_thread_is_asked_once_with_thread_and_code() -> None:
    made, (question,) = answered(request())
    assert made == Answer(TEXT, usage=USAGE)
    assert (question.purpose, question.tool.name) == ("answer", "answer")
    assert question.reading == ("repo_read", "repo_search", "repo_list")
    assert "through the tool `answer`" in question.system
    for part in (
        "> Why only the first one?",
        "R2 +     first = amounts[0]",
        "L2 -     return amounts[0]",
        'It is on "src/pay.py", RIGHT lines 2 to 3.',
        "hunkwise, in an earlier comment:\n\n> Only the first amount is paid.\n",
        "> Change something",
    ):
        assert part in question.prompt
    for part in ("hunkwise:finding", "The changed files", "old row", "last review"):
        assert part not in question.prompt


def test_a_question_on_the_pull_request_is_asked_with_files_and_state() -> None:
    question = question_of(request(thread=None, state=STATE))
    for part in (
        '- "src/pay.py" (modified, +2 -1)',
        "> It pays the first amount.",
        'Its open findings:\n\n- high, "src/pay.py", line 3: "Only one is paid"\n',
        "about the pull request as a whole",
    ):
        assert part in question.prompt
    for part in ("It was fixed", "It was deleted", "# The thread", "# The code"):
        assert part not in question.prompt
    assert "last review" not in question_of(request(thread=None)).prompt
    assert "last review" not in question_of(request(state=STATE)).prompt


def test_an_outdated_thread_shows_its_rows_as_they_were_and_the_code_of_now() -> None:
    prompt = question_of(request(thread=replace(OURS, line=None, start_line=None, outdated=True))).prompt
    assert '"src/pay.py", on lines that the change no longer shows' in prompt
    assert "> +old row" in prompt
    assert "R2 +     first = amounts[0]" in prompt
    elsewhere = question_of(request(thread=replace(OURS, path="other.py"))).prompt
    assert "The change shows no row of this file." in elsewhere


def test_the_function_around_the_thread_is_shown() -> None:
    body = "".join(f"    value_{number} = {number}\n" for number in range(20))
    patch = b"@@ -30,2 +30,2 @@\n-    return 0\n+    return 1\n # end"
    head = "# top\n" * 8 + f"def pay():\n{body}    return 1\n# end\n"
    asked = request(
        thread=replace(OURS, line=30, start_line=None),
        snapshot=change(changed(PATH, patch)),
        files={PATH: head.encode()},
        config=Config(),
    )
    prompt = question_of(asked).prompt
    assert "def pay():" in prompt
    assert "value_19 = 19" in prompt


def test_of_a_large_hunk_the_rows_around_the_thread_are_shown() -> None:
    rows = [f"row {number} of many".ljust(300, "x").encode() for number in range(1, 2001)]
    patch = b"@@ -0,0 +1,2000 @@\n" + b"".join(b"+%s\n" % row for row in rows)
    thread = replace(OURS, line=1000, start_line=1000)
    prompt = question_of(request(thread=thread, snapshot=change(changed(PATH, patch)))).prompt
    shown = [line for line in prompt.splitlines() if " of many" in line]
    assert CODE_ROOM / 4 < len("\n".join(shown)) <= CODE_ROOM
    assert any("+ row 1000 " in line for line in shown)
    assert "row 1 of" not in prompt
    assert "row 2000 of" not in prompt


def test_a_long_overview_is_cut() -> None:
    long = replace(STATE, summary=ChangeSummary("x" * 5_000))
    prompt = question_of(request(thread=None, state=long)).prompt
    assert prompt.count("x" * 1_990) == 1
    assert "x" * 2_000 not in prompt


def test_instructions_of_the_base_for_the_threads_file_are_shown() -> None:
    rules = (
        Instructions("AGENTS.md", "Cents only."),
        Instructions("docs/AGENTS.md", "No code.", ("docs/**",)),
    )
    prompt = question_of(request(snapshot=change(instructions=rules))).prompt
    assert "> Cents only." in prompt
    assert "> No code." not in prompt


@pytest.mark.parametrize(
    ("comment", "role"),
    [
        (Reply("github-actions", "x", ours=True), "hunkwise, in an earlier comment"),
        (Reply("github-actions", "x", ours=True, edited=True), "Another person"),
        (Reply("mona", "x"), "A person with write access"),
        (Reply("hubot", "x"), "A person with write access"),
        (Reply("mona", "x", bot=True), "Another person"),
        (Reply("ANN", "x"), "The author of the change"),
        (Reply("mallory", "x", trusted=True), "Another person"),
        (Reply("ghost", "x"), "Another person"),
    ],
)
def test_each_comment_has_the_role_that_github_confirms(comment: Reply, role: str) -> None:
    prompt = question_of(
        request(thread=replace(OURS, replies=(comment,)), writers=frozenset({"hubot"}))
    ).prompt
    assert f"\n{role}:\n\n> x\n" in prompt


def test_roles_are_known_without_the_conversation() -> None:
    asked = request(
        thread=replace(OURS, replies=(Reply("ann", "x"), Reply("mona", "y"))), snapshot=change(talk=None)
    )
    prompt = question_of(asked).prompt
    assert "The author of the change:\n\n> x" in prompt
    assert "Another person:\n\n> y" in prompt


def test_the_comment_with_the_command_is_the_question_and_no_comment_of_the_thread() -> None:
    body = f"/hunkwise ask {ASK.text}"
    thread = replace(OURS, replies=(Reply("mona", body), Reply("mona", body), Reply("ann", "No.")))
    prompt = question_of(request(thread=thread)).prompt
    assert prompt.count("> /hunkwise ask") == 1
    assert "> No." in prompt
    begun = Thread(PATH, 3, Side.RIGHT, "mona", body)
    assert "> /hunkwise ask" not in question_of(request(thread=begun)).prompt


LONG = "x" * 5_000


@pytest.mark.parametrize(
    ("sizes", "kept", "omitted"),
    [
        ([], [], 0),
        ([10], [10], 0),
        ([10, 20, 30], [10, 20, 30], 0),
        ([9_000], [6_000], 0),
        ([9_000, 9_000], [6_000, 6_000], 0),
        ([100, 5_000, 5_000, 5_000], [100, 5_000, 5_000], 1),
        ([100, 10, 12_000, 10], [100, 10], 2),
        ([100] * 300, [100] * 120, 180),
        ([6_000, 6_000, 1], [6_000, 1], 1),
    ],
)
def test_of_a_long_thread_the_middle_is_left_out(sizes: list[int], kept: list[int], omitted: int) -> None:
    comments = [("other", f"{number}".ljust(size, "x")[:size]) for number, size in enumerate(sizes)]
    found, left_out = fitting_comments(comments)
    assert ([len(body) for _, body in found], left_out) == (kept, omitted)
    assert sum(len(body) for _, body in found) <= THREAD_ROOM
    numbers = [comments.index(each) for each in found if each in comments]
    assert numbers == sorted(numbers)


def test_the_prompt_says_how_many_comments_are_left_out() -> None:
    thread = replace(OURS, replies=tuple(Reply("bob", f"{number} {LONG}") for number in range(4)))
    prompt = question_of(request(thread=thread)).prompt
    assert "\n(2 comments left out here.)\n" in prompt
    assert "> 3 xxx" in prompt
    assert "> 1 xxx" not in prompt


@pytest.mark.parametrize(
    ("command", "calls", "suggestion", "why"),
    [
        (SUGGEST, [{"suggestion": FIX}], FIX, ""),
        (ASK, [{"suggestion": FIX}], FIX, ""),
        (SUGGEST, [{"suggestion": f"```python\n{FIX}\n```"}], FIX, ""),
        (SUGGEST, [{"suggestion": PLACEHOLDER}, {"suggestion": FIX}], FIX, ""),
        (SUGGEST, [{"suggestion": PLACEHOLDER}] * 3, "", "does not apply to these lines"),
        (SUGGEST, [{"suggestion": PLACEHOLDER}, {}], "", "the model made none"),
        (SUGGEST, [{"suggestion": BROKEN}], "", "adds a syntax error"),
        (ASK, [{"suggestion": BROKEN}], "", "adds a syntax error"),
        (SUGGEST, [{}], "", "the model made none"),
        (ASK, [{}], "", ""),
        (EXPLAIN, [{"suggestion": FIX}], "", ""),
    ],
)
def test_only_a_suggestion_that_applies_and_parses_is_kept(
    command: Command, calls: list[dict[str, Any]], suggestion: str, why: str
) -> None:
    made, _ = answered(request(command), calling(*(CALL | call for call in calls)))
    assert (made.text, made.suggestion) == (TEXT, suggestion)
    assert why in made.why_none
    assert bool(made.why_none) is bool(why)


def test_the_model_is_asked_for_the_lines_that_the_thread_is_on() -> None:
    question = question_of(request(SUGGEST))
    assert '`suggestion` is the new text of "src/pay.py", RIGHT lines 2 to 3' in question.prompt
    assert "suggestion" in question.tool.parameters["properties"]
    reply = question.tool.take(CALL | {"suggestion": PLACEHOLDER})
    assert "The answer was taken already." in reply.text
    refused: list[str] = []

    async def ask(question: Question) -> None:
        refused.append(question.tool.take(CALL | {"suggestion": PLACEHOLDER}).text)
        question.tool.take(CALL)

    answered(request(SUGGEST, replace(OURS, start_line=None)), ask)
    assert "suggestion: it cannot be committed as it is; give the whole new text of line 3" in refused[0]


WORKFLOW = ".github/workflows/ci.yml"
UNREADABLE = RepositoryError("It cannot be read.")


@dataclass
class UnreadableRepository(FakeRepository):
    def read(self, path: str) -> bytes | None:
        raise UNREADABLE


@pytest.mark.parametrize(
    ("thread", "given", "why"),
    [
        (None, {}, "not on such lines"),
        (replace(OURS, ours=False), {}, "not on such lines"),
        (replace(OURS, side=Side.LEFT, line=2, start_line=None), {}, "not on such lines"),
        (replace(OURS, line=None, outdated=True), {}, "not on such lines"),
        (replace(OURS, line=90, start_line=None), {}, "not on such lines"),
        (replace(OURS, path="other.py"), {}, "not on such lines"),
        (OURS, {"files": {}}, "cannot be replaced"),
        (OURS, {"files": {PATH: HEAD.replace(b"first", b"other")}}, "cannot be replaced"),
        (OURS, {"code": ReadableCode(UnreadableRepository())}, "cannot be replaced"),
        (
            replace(OURS, path=WORKFLOW),
            {"files": {WORKFLOW: HEAD}, "snapshot": change(changed(WORKFLOW, PATCH))},
            "cannot be replaced",
        ),
    ],
)
def test_where_no_suggestion_is_possible_the_model_is_not_asked_for_one(
    thread: Thread | None, given: dict[str, Any], why: str
) -> None:
    made, questions = answered(request(SUGGEST, thread, **given))
    assert (made.text, made.suggestion, questions) == ("", "", [])
    assert why in made.why_none
    question = question_of(request(ASK, thread, **given))
    assert "suggestion" not in question.tool.parameters["properties"]
    assert "## The suggestion" not in question.prompt


def test_explain_has_a_prompt_of_its_own() -> None:
    question = question_of(request(EXPLAIN))
    assert question.purpose == "explain"
    assert "Explain the problem that the thread" in question.prompt
    assert "# The question" not in question.prompt
    assert "suggestion" not in question.tool.parameters["properties"]


def test_fifteen_model_calls_of_the_run_are_the_most() -> None:
    asked = request(config=CONFIG.model_copy(update={"max_tokens": 1_000}))
    question = question_of(asked)
    assert [question.budget.take_model_call() for _ in range(16)] == [True] * 15 + [False]
    assert "max-model-calls (15) of an answer is used up" in question.budget.why
    tokens = question_of(asked).budget
    tokens.spend(1_000, 0)
    assert tokens.why == "max-tokens (1,000) is used up"


@pytest.mark.parametrize("name", ANSWER_PROMPTS)
def test_the_users_own_template_and_settings_apply(name: str) -> None:
    prompt = PromptSettings(name=name, template="own.j2", tools=(), budget=BudgetSettings(max_model_calls=2))
    source = "Mind the money. {{ command }} {{ question }} {{ thread.comments | length }}"
    asked = request(
        ASK if name == "answer" else EXPLAIN,
        config=CONFIG.model_copy(update={"prompts": (prompt,)}),
        templates={name: source},
    )
    question = question_of(asked)
    words = "ask Why only the first one?" if name == "answer" else "explain "
    assert question.prompt == f"Mind the money. {words} 1\n"
    assert question.reading == ()
    assert question.budget.limits.max_model_calls == 2


def test_a_template_that_fails_is_an_error_of_the_settings() -> None:
    with pytest.raises(SettingsError, match="'nothing' is undefined"):
        answered(request(templates={"answer": "{{ nothing }}"}))


def test_a_review_neither_compiles_nor_counts_the_templates_of_answers() -> None:
    config = Config().completed(dict(built_in_fronts()))
    settings = {
        prepare(ReviewRequest(change(), config, templates)).settings
        for templates in ({}, {"answer": "{% if %}"}, {"explain": "{{ x }}"})
    }
    assert len(settings) == 1


@pytest.mark.parametrize("kind", [ModelKind.TIMEOUT, ModelKind.BUDGET, ModelKind.AUTHENTICATION])
def test_an_error_before_the_answer_is_raised(kind: ModelKind) -> None:
    with pytest.raises(ModelError, match="It failed") as caught:
        answered(request(), failing(kind))
    assert caught.value.kind is kind


def test_an_error_after_the_answer_is_a_fault_of_it() -> None:
    made, _ = answered(request(), failing(ModelKind.BUDGET, CALL | {"done": False}))
    assert (made.text, made.faults) == (TEXT, (ReviewFault("budget", "It failed.", "Do something."),))


def test_an_answer_that_takes_too_long_is_ended() -> None:
    with pytest.raises(ModelError, match="no answer within") as caught:
        answered(request(), hanging, seconds=0.2)
    assert caught.value.kind is ModelKind.TIMEOUT

    async def slow(question: Question) -> None:
        question.tool.take(CALL | {"done": False})
        await hanging(question)

    made, _ = answered(request(), slow, seconds=0.2)
    assert (made.text, [fault.kind for fault in made.faults]) == (TEXT, ["timeout"])


def test_an_interruption_ends_the_question() -> None:
    with pytest.raises(ModelError, match="was stopped"):
        answered(request(), hanging, interrupted=True)


def test_the_next_model_answers_where_one_is_not_available() -> None:
    config = CONFIG.model_copy(update={"models": ("one", "two")})

    async def ask(question: Question) -> None:
        if question.model == "one":
            raise ModelError(ModelKind.UNAVAILABLE_MODEL, "It is gone.", "")
        question.tool.take(CALL)

    made, questions = answered(request(config=config), ask)
    assert (made.text, [question.model for question in questions]) == (TEXT, ["one", "two"])

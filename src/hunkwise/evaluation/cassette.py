"""Records model answers to a file and replays them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hunkwise.domain.model import Question, ToolReply
from hunkwise.domain.review import Usage
from hunkwise.errors import ModelError, ModelKind, SettingsError
from hunkwise.evaluation.dataset import RECORDING
from hunkwise.evaluation.preparation import ReadyCase
from hunkwise.evaluation.results import CaseResult
from hunkwise.files import read_given
from hunkwise.flows.models import Model
from hunkwise.redaction import SecretScan, without_secrets
from hunkwise.settings.parsing import listed


def request_key(question: Question) -> str:
    """64 hex digits over system message, prompt, tools and model: the same question has the same ones."""
    return _digest(_parts(question))


def part_digests(question: Question) -> dict[str, str]:
    """Twelve hex digits of each part of it, by which one can tell what has changed."""
    return {name: _digest(part)[:12] for name, part in _parts(question).items() if name != "purpose"}


def _parts(question: Question) -> Mapping[str, object]:
    tool = question.tool
    return {
        "system": question.system,
        "prompt": question.prompt,
        "tool": [tool.name, tool.description, tool.parameters],
        "reading": list(question.reading),
        "model": question.model,
        "purpose": question.purpose,
    }


def _digest(part: object) -> str:
    return sha256(json.dumps(part, sort_keys=True).encode("ascii")).hexdigest()


VERSION: Final = 1
_MOST_BYTES: Final = 20_000_000
_Count = Annotated[int, Field(ge=0, le=10**18)]
_Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class RecordedUsage(_Shape):
    """What an answer cost; see domain.review.Usage."""

    model_calls: _Count = 0
    input_tokens: _Count = 0
    output_tokens: _Count = 0
    cached_tokens: _Count = 0
    tool_calls: _Count = 0
    models: Annotated[tuple[str, ...], Field(strict=False)] = ()
    nano_credits: _Count = 0

    @property
    def value(self) -> Usage:
        return Usage(**{**self.model_dump(), "models": self.models})


class RecordedAnswer(_Shape):
    """How one question went."""

    purpose: str
    parts: Mapping[str, str]
    """See keys.part_digests."""
    calls: Annotated[tuple[Any, ...], Field(strict=False)] = ()
    """The arguments of the reporting tool's calls."""
    usage: RecordedUsage = RecordedUsage()
    failed: Annotated[ModelKind, Field(strict=False)] | None = None


class _File(_Shape):
    version: Literal[1]
    case: str
    answers: Mapping[_Digest, Annotated[tuple[RecordedAnswer, ...], Field(strict=False)]]


class CassetteHeader(_Shape):
    """Who was recorded."""

    version: Literal[1] = 1
    model: str | None = None
    judge: str | None = None
    demo: bool = False


@dataclass
class Cassette:
    """The answers of one case, in the order in which they came."""

    case: str
    answers: dict[str, list[RecordedAnswer]] = field(default_factory=dict)

    def put(self, key: str, answer: RecordedAnswer) -> None:
        self.answers.setdefault(key, []).append(answer)

    def of_purpose(self, purpose: str) -> Iterator[RecordedAnswer]:
        return (answer for same in self.answers.values() for answer in same if answer.purpose == purpose)

    def write(self, folder: Path, scan: SecretScan) -> None:
        """Raises SettingsError where the disk does not take it."""
        by_key = {key: [_json(answer) for answer in answers] for key, answers in self.answers.items()}
        contents = {"version": VERSION, "case": self.case, "answers": by_key}
        _write(tape_path(folder, self.case), without_secrets(contents, scan))


def tape_path(folder: Path, case: str) -> Path:
    return folder / f"{case}.json"


def read_cassette(folder: Path, case: str) -> Cassette:
    """The recorded answers of a case. Raises SettingsError where there are none, or they cannot be read."""
    path = tape_path(folder, case)
    try:
        found = _File.model_validate_json(_read(path, f'Nothing was recorded of the case "{case}"'))
    except ValidationError as error:
        raise _damaged(path, error) from error
    return Cassette(case, {key: list(answers) for key, answers in found.answers.items()})


def write_header(folder: Path, header: CassetteHeader) -> None:
    """Makes the folder a recording. Raises SettingsError where it holds something else, or cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strange = any(folder.iterdir()) and not (folder / RECORDING).is_file()
    except OSError as error:
        raise SettingsError([f"--record {folder}: it cannot be written ({error.strerror})."]) from error
    if strange:
        said = (
            f"--record {folder}: there is something else in it; name a new folder, or an earlier recording."
        )
        raise SettingsError([said])
    _write(folder / RECORDING, header.model_dump())


def read_header(folder: Path) -> CassetteHeader:
    """Raises SettingsError where the folder is no recording."""
    path = folder / RECORDING
    try:
        return CassetteHeader.model_validate_json(_read(path, f"--replay {folder}: it is no recording"))
    except ValidationError as error:
        raise _damaged(path, error) from error


def _json(answer: RecordedAnswer) -> dict[str, Any]:
    """Without what says nothing, so that files stay small."""
    return answer.model_dump(mode="json", exclude_defaults=True)


def _write(path: Path, contents: object) -> None:
    text = json.dumps(contents, indent=1, sort_keys=True, ensure_ascii=True) + "\n"
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_text(text, encoding="ascii")
        unfinished.replace(path)
    except OSError as error:
        raise SettingsError([f"--record: {path} cannot be written ({error.strerror})."]) from error


def _read(path: Path, missing: str) -> bytes:
    try:
        raw = read_given(path, _MOST_BYTES)
    except FileNotFoundError as error:
        said = f"{missing}: there is no {path.name} in {path.parent}; record it with --record."
        raise SettingsError([said]) from error
    except OSError as error:
        raise SettingsError([f"{path} cannot be read ({error.strerror})."]) from error
    if len(raw) > _MOST_BYTES:
        raise SettingsError([f"{path} has more than {_MOST_BYTES:,} bytes: it is no recording of ours."])
    return raw


def _damaged(path: Path, error: ValidationError) -> SettingsError:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part)[:20] for part in first["loc"]) or "its top"
    return SettingsError([f"{path}: {place}: {first['msg'][:200]}; record it again with --record."])


class Recorder:
    """Asks a real model, and keeps on a tape what it reported and what it cost."""

    def __init__(self, fresh: Callable[[], Model], tape: Cassette, scan: SecretScan) -> None:
        """`fresh` gives a model that nobody has asked yet: one a question, so that each one's cost is its own."""
        self._scan = scan
        self._fresh = fresh
        self._tape = tape
        self.spent: dict[str, Usage] = {}

    @property
    def usage(self) -> Usage:
        return sum(self.spent.values(), Usage())

    async def ask(self, question: Question) -> None:
        """As the real model. A question that was broken off is not kept: nobody knows what it would have said."""
        calls: list[object] = []
        take = question.tool.take

        def taken(arguments: object) -> ToolReply:
            # Without secrets here as well: the questions that follow are made of it, and must be the same again.
            said = without_secrets(arguments, self._scan)
            calls.append(json.loads(json.dumps(said)))  # as it was: whoever takes it may change it
            return take(said)

        model = self._fresh()
        failed: ModelKind | None = None
        try:
            await model.ask(replace(question, tool=replace(question.tool, take=taken)))
        except ModelError as error:
            failed = error.kind
            self._keep(question, calls, model.usage, failed)
            raise
        else:
            self._keep(question, calls, model.usage, failed)
        finally:
            spent = self.spent.get(question.purpose, Usage())
            self.spent[question.purpose] = spent + model.usage

    def _keep(self, question: Question, calls: list[object], usage: Usage, failed: ModelKind | None) -> None:
        said = RecordedUsage(**asdict(usage))
        answer = RecordedAnswer(
            purpose=question.purpose,
            parts=part_digests(question),
            calls=tuple(calls),
            usage=said,
            failed=failed,
        )
        self._tape.put(request_key(question), answer)


_WORDS: Mapping[str, str] = {
    "system": "the system message",
    "prompt": "the prompt's text (template, instructions, settings or the case itself)",
    "tool": "the reporting tool",
    "reading": "the tools that it may read with",
    "model": "the model",
}
_AGAIN = "Record it again with --record."


class ReplayModel:
    """Answers each question as it was answered when the tape was made, at the same cost."""

    def __init__(self, tape: Cassette) -> None:
        self._tape = tape
        self._left = {key: list(answers) for key, answers in tape.answers.items()}
        self.spent: dict[str, Usage] = {}
        self.missing: list[str] = []
        """What was asked and is not on the tape, one sentence each: the case has then no result."""

    @property
    def usage(self) -> Usage:
        return sum(self.spent.values(), Usage())

    @property
    def unused(self) -> int:
        """Recorded answers that nobody asked for."""
        return sum(map(len, self._left.values()))

    async def ask(self, question: Question) -> None:
        """Raises the recorded failure, of its kind; and ModelError for what was not recorded."""
        answers = self._left.get(request_key(question))
        if not answers:
            said = self._what_changed(question)
            self.missing.append(said)
            raise ModelError(ModelKind.SIDECAR, said, _AGAIN)
        answer = answers.pop(0)
        self._spend(question, answer.usage.value)
        for arguments in answer.calls:
            question.tool.take(arguments)
        if answer.failed is not None:
            raise ModelError(answer.failed, f"The recorded model failed: {answer.failed}.")
        if not question.tool.answered():
            raise ModelError(ModelKind.REFUSED, "The recorded model did not report its findings.")

    def _spend(self, question: Question, usage: Usage) -> None:
        for _ in range(usage.model_calls):
            question.budget.take_model_call()
        question.budget.spend(usage.input_tokens + usage.output_tokens, usage.nano_credits)
        self.spent[question.purpose] = self.spent.get(question.purpose, Usage()) + usage

    def _what_changed(self, question: Question) -> str:
        which = f'A question of the prompt "{question.purpose}"'
        parts = part_digests(question)
        recorded = list(self._tape.of_purpose(question.purpose))
        if not recorded:
            return f"{which} was not recorded, and no other one of that prompt was."
        if request_key(question) in self._tape.answers:
            return f"{which} is asked more often than it was when it was recorded."
        changed = min((_changed(parts, answer) for answer in recorded), key=len)
        return f"{which} was not recorded; what has changed since is {listed(changed)}."


def _changed(parts: Mapping[str, str], answer: RecordedAnswer) -> list[str]:
    return [words for name, words in _WORDS.items() if parts[name] != answer.parts.get(name)]


class ReplayModels:
    """Gives each case its recorded answers."""

    def __init__(self, folder: Path, cases: Iterable[str]) -> None:
        """Reads them all. Raises SettingsError that names every case without a recording."""
        faults: list[str] = []
        self._tapes: dict[str, Cassette] = {}
        for case in cases:
            try:
                self._tapes[case] = read_cassette(folder, case)
            except SettingsError as error:
                faults += error.faults
        if faults:
            raise SettingsError(faults)

    def model(self, ready: ReadyCase) -> ReplayModel:
        return ReplayModel(self._tapes[ready.case.name])

    def done(self, marks: CaseResult) -> None:
        """Nothing is kept of a replay."""

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
from hunkwise.files import read_bounded, write_whole
from hunkwise.flows.models import Model
from hunkwise.redaction import SecretScan, without_secrets
from hunkwise.settings.parsing import listed


def request_key(question: Question) -> str:
    """Returns a digest of system message, prompt, tools and model, 64 hex digits."""
    return _digest(_parts(question))


def part_digests(question: Question) -> dict[str, str]:
    """Returns a digest of each part of the question, 12 hex digits, to report which part has changed."""
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
    """The cost of an answer; see domain.review.Usage."""

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
    """The answer to one question, or its failure."""

    purpose: str
    parts: Mapping[str, str]
    """See `part_digests`."""
    calls: Annotated[tuple[Any, ...], Field(strict=False)] = ()
    """The arguments of the reporting tool's calls."""
    usage: RecordedUsage = RecordedUsage()
    failed: Annotated[ModelKind, Field(strict=False)] | None = None


class _File(_Shape):
    version: Literal[1]
    case: str
    answers: Mapping[_Digest, Annotated[tuple[RecordedAnswer, ...], Field(strict=False)]]


class CassetteHeader(_Shape):
    """The models of a recording."""

    version: Literal[1] = 1
    model: str | None = None
    judge: str | None = None
    demo: bool = False


@dataclass
class Cassette:
    """The answers of one case, in their order, by the digest of the request."""

    case: str
    answers: dict[str, list[RecordedAnswer]] = field(default_factory=dict)

    def put(self, key: str, answer: RecordedAnswer) -> None:
        self.answers.setdefault(key, []).append(answer)

    def of_purpose(self, purpose: str) -> Iterator[RecordedAnswer]:
        return (answer for same in self.answers.values() for answer in same if answer.purpose == purpose)

    def write(self, folder: Path, scan: SecretScan) -> None:
        """Writes the answers to a file in the folder. Raises SettingsError where it cannot be written."""
        by_key = {key: [_json(answer) for answer in answers] for key, answers in self.answers.items()}
        contents = {"version": VERSION, "case": self.case, "answers": by_key}
        _write(cassette_path(folder, self.case), without_secrets(contents, scan))


def cassette_path(folder: Path, case: str) -> Path:
    return folder / f"{case}.json"


def read_cassette(folder: Path, case: str) -> Cassette:
    """Reads the recorded answers of a case. Raises SettingsError where there are none, or they cannot be read."""
    path = cassette_path(folder, case)
    try:
        file = _File.model_validate_json(_read(path, f'Nothing was recorded of the case "{case}"'))
    except ValidationError as error:
        raise _damaged_error(path, error) from error
    return Cassette(case, {key: list(answers) for key, answers in file.answers.items()})


def write_header(folder: Path, header: CassetteHeader) -> None:
    """Creates a recording's folder with its header.

    Raises SettingsError where the folder has other files, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        has_other_files = any(folder.iterdir()) and not (folder / RECORDING).is_file()
    except OSError as error:
        raise SettingsError([f"--record {folder}: it cannot be written ({error.strerror})."]) from error
    if has_other_files:
        message = (
            f"--record {folder}: there is something else in it; name a new folder, or an earlier recording."
        )
        raise SettingsError([message])
    _write(folder / RECORDING, header.model_dump())


def read_header(folder: Path) -> CassetteHeader:
    """Reads a recording's header. Raises SettingsError where the folder is not a recording."""
    path = folder / RECORDING
    try:
        return CassetteHeader.model_validate_json(_read(path, f"--replay {folder}: it is no recording"))
    except ValidationError as error:
        raise _damaged_error(path, error) from error


def _json(answer: RecordedAnswer) -> dict[str, Any]:
    """Returns the answer without default values, so that files stay small."""
    return answer.model_dump(mode="json", exclude_defaults=True)


def _write(path: Path, contents: object) -> None:
    text = json.dumps(contents, indent=1, sort_keys=True, ensure_ascii=True) + "\n"
    try:
        write_whole(path, text)
    except OSError as error:
        raise SettingsError([f"--record: {path} cannot be written ({error.strerror})."]) from error


def _read(path: Path, missing: str) -> bytes:
    try:
        raw = read_bounded(path, _MOST_BYTES)
    except FileNotFoundError as error:
        message = f"{missing}: there is no {path.name} in {path.parent}; record it with --record."
        raise SettingsError([message]) from error
    except OSError as error:
        raise SettingsError([f"{path} cannot be read ({error.strerror})."]) from error
    if len(raw) > _MOST_BYTES:
        raise SettingsError([f"{path} has more than {_MOST_BYTES:,} bytes: it is no recording of ours."])
    return raw


def _damaged_error(path: Path, error: ValidationError) -> SettingsError:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part)[:20] for part in first["loc"]) or "its top"
    return SettingsError([f"{path}: {place}: {first['msg'][:200]}; record it again with --record."])


class Recorder:
    """Asks a real model, and records the calls of the reporting tool and their cost."""

    def __init__(self, fresh: Callable[[], Model], cassette: Cassette, scan: SecretScan) -> None:
        """`fresh` returns a new model for each question, so that the cost of each is known."""
        self._scan = scan
        self._fresh = fresh
        self._cassette = cassette
        self.spent: dict[str, Usage] = {}

    @property
    def usage(self) -> Usage:
        return sum(self.spent.values(), Usage())

    async def ask(self, question: Question) -> None:
        """Asks the real model. A cancelled question is not recorded, because its answer is incomplete."""
        calls: list[object] = []
        take = question.tool.take

        def record_and_take(arguments: object) -> ToolReply:
            # The tool also gets the arguments without secrets: later questions depend on them, and must be
            # the same in a replay.
            cleaned = without_secrets(arguments, self._scan)
            calls.append(json.loads(json.dumps(cleaned)))  # a copy, because the tool may change its arguments
            return take(cleaned)

        model = self._fresh()
        try:
            await model.ask(replace(question, tool=replace(question.tool, take=record_and_take)))
        except ModelError as error:
            self._record(question, calls, model.usage, error.kind)
            raise
        else:
            self._record(question, calls, model.usage, None)
        finally:
            spent = self.spent.get(question.purpose, Usage())
            self.spent[question.purpose] = spent + model.usage

    def _record(
        self, question: Question, calls: list[object], usage: Usage, failed: ModelKind | None
    ) -> None:
        answer = RecordedAnswer(
            purpose=question.purpose,
            parts=part_digests(question),
            calls=tuple(calls),
            usage=RecordedUsage(**asdict(usage)),
            failed=failed,
        )
        self._cassette.put(request_key(question), answer)


_WORDS: Mapping[str, str] = {
    "system": "the system message",
    "prompt": "the prompt's text (template, instructions, settings or the case itself)",
    "tool": "the reporting tool",
    "reading": "the tools that it may read with",
    "model": "the model",
}
_AGAIN = "Record it again with --record."


class ReplayModel:
    """Answers each question with its recorded answer, at the recorded cost."""

    def __init__(self, cassette: Cassette) -> None:
        self._cassette = cassette
        self._left = {key: list(answers) for key, answers in cassette.answers.items()}
        self.spent: dict[str, Usage] = {}
        self.missing: list[str] = []
        """Questions without a recorded answer, one sentence each. If there is one, the case has no result."""

    @property
    def usage(self) -> Usage:
        return sum(self.spent.values(), Usage())

    @property
    def unused(self) -> int:
        """The number of recorded answers that were not used."""
        return sum(map(len, self._left.values()))

    async def ask(self, question: Question) -> None:
        """Replays the recorded answer. Raises ModelError for a recorded failure, or if nothing was recorded."""
        answers = self._left.get(request_key(question))
        if not answers:
            reason = self._what_changed(question)
            self.missing.append(reason)
            raise ModelError(ModelKind.SIDECAR, reason, _AGAIN)
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
        recorded = list(self._cassette.of_purpose(question.purpose))
        if not recorded:
            return f"{which} was not recorded, and no other one of that prompt was."
        if request_key(question) in self._cassette.answers:
            return f"{which} is asked more often than it was when it was recorded."
        changed = min((_changed(parts, answer) for answer in recorded), key=len)
        return f"{which} was not recorded; what has changed since is {listed(changed)}."


def _changed(parts: Mapping[str, str], answer: RecordedAnswer) -> list[str]:
    return [words for name, words in _WORDS.items() if parts[name] != answer.parts.get(name)]


class ReplayModels:
    """Creates a replay model for each case."""

    def __init__(self, folder: Path, cases: Iterable[str]) -> None:
        """Reads all recordings. Raises SettingsError that names every case without one."""
        faults: list[str] = []
        self._cassettes: dict[str, Cassette] = {}
        for case in cases:
            try:
                self._cassettes[case] = read_cassette(folder, case)
            except SettingsError as error:
                faults += error.faults
        if faults:
            raise SettingsError(faults)

    def model(self, ready: ReadyCase) -> ReplayModel:
        return ReplayModel(self._cassettes[ready.case.name])

    def done(self, result: CaseResult) -> None:
        """Does nothing: a replay writes no files."""

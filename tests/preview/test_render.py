"""`prompts render`: prompts as a review sends them, with templates of the working tree or the base."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from hunkwise.errors import Error, SettingsError
from hunkwise.preview.config import print_text
from hunkwise.preview.render import estimate
from tests.fakes.git_repository import GitRepository
from tests.preview.preview_command import NOTHING, run_preview

HOME = ".github/hunkwise.yml"
OWN = "version: 1\nprompts:\n  - review\n  - {name: mine, template: mine.j2}\n"
LINES = "".join(f"line = {number}  # {'x' * 60}\n" for number in range(400))


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    """Returns a branch that changes a file, adds one with control characters, and removes one."""
    repository = GitRepository.create(tmp_path / "work")
    repository.commit({"a.py": "def f(x):\n    return x\n", "old.py": "1\n", "poetry.lock": "1\n"}, "Base")
    repository.branch("feature")
    repository.commit(
        {"a.py": "def f(x):\n    return eval(x)\n", "odd\u202e.py": "x\x1b[2J\n", "old.py": None}
    )
    return repository


def rendered(
    capsys: pytest.CaptureFixture[str],
    repository: GitRepository,
    *arguments: str,
    environ: Mapping[str, str] = NOTHING,
) -> dict[str, Any]:
    assert (
        run_preview(repository.path, "prompts", "render", *arguments, "--format", "json", environ=environ)
        == 0
    )
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_each_chunk_has_size_files_and_text(
    repository: GitRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    found = rendered(capsys, repository, "review")
    (chunk,) = found["chunks"]
    assert "R2 +     return eval(x)" in chunk["text"]
    assert "odd\\u202e.py" in chunk["text"]
    assert "x\\u001b[2J" in chunk["text"]
    assert (chunk["number"], chunk["count"], chunk["changed-lines"]) == (1, 1, 4)
    assert chunk["files"] == [
        {"path": "a.py", "changed-lines": 2},
        {"path": "odd\u202e.py", "changed-lines": 1},
        {"path": "old.py", "changed-lines": 1},
    ]
    assert chunk["characters"] == len(chunk["text"])
    assert chunk["estimated-tokens"] == estimate(chunk["text"]) == -(-chunk["characters"] // 4)
    assert found["total"] == {
        "chunks": 1,
        "characters": chunk["characters"],
        "estimated-tokens": chunk["estimated-tokens"],
    }
    assert (found["prompt"], found["read-from"], found["examples"]) == ("review", "the working tree", False)
    assert "text" not in found["system"]
    with_system = rendered(capsys, repository, "review", "--system")["system"]
    assert "report_findings" in with_system["text"]
    assert with_system["characters"] == len(with_system["text"])


def test_text_output_has_a_header_per_chunk(
    repository: GitRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.commit({"poetry.lock": "2\n"})
    (repository.path / "AGENTS.md").write_text("Be exact.")
    text = rendered(capsys, repository, "review")["chunks"][0]["text"]
    assert run_preview(repository.path, "prompts", "render", "review", "--system") == 0
    out = capsys.readouterr().out
    rulers = [line.removeprefix("=== ") for line in out.splitlines() if line.startswith("=== ")]
    assert rulers[0].startswith("review over main (")
    assert rulers[1] == "configuration and templates: the working tree"
    assert rulers[2].startswith("system message, sent with each: ")
    tokens = f"about {estimate(text):,} tokens"
    assert rulers[3] == (
        f"review, chunk 1 of 1: {len(text):,} characters, {tokens}, 4 changed lines in 3 files"
    )
    assert rulers[4:7] == [
        "  a.py: 2 changed lines",
        "  odd\\u202e.py: 1 changed line",
        "  old.py: 1 changed line",
    ]
    assert rulers[7].startswith(f"total: 1 chunk, {len(text):,} characters, {tokens}, and ")
    assert rulers[7].endswith("tokens are an estimate, characters divided by 4")
    assert rulers[8:] == ["instructions: AGENTS.md", "not sent: poetry.lock (lock file)"]
    assert text in out


def test_single_chunk_is_the_only_standard_output(
    repository: GitRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.commit({HOME: "version: 1\nchunk-size: 4000\n", "long.py": LINES})
    chunks = rendered(capsys, repository, "review")["chunks"]
    assert len(chunks) > 3
    assert [chunk["number"] for chunk in chunks] == list(range(1, len(chunks) + 1))
    assert run_preview(repository.path, "prompts", "render", "review", "--chunk", "3") == 0
    out, errors = capsys.readouterr()
    assert out == chunks[2]["text"]
    assert errors.startswith(f"=== review, chunk 3 of {len(chunks)}: ")
    (only,) = rendered(capsys, repository, "review", "--chunk", "3")["chunks"]
    assert only == chunks[2]
    system = rendered(capsys, repository, "review", "--system")["system"]["text"]
    assert run_preview(repository.path, "prompts", "render", "review", "--chunk", "3", "--system") == 0
    assert capsys.readouterr().out == f"{system}\n{chunks[2]['text']}"


def test_header_of_a_chunk_lists_the_first_files(
    repository: GitRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.commit({f"many/{number}.py": f"number = {number}\n" for number in range(120)})
    assert run_preview(repository.path, "prompts", "render", "review") == 0
    assert "===   and 23 more files\n" in capsys.readouterr().out


def test_working_tree_is_used_unless_at_base(
    repository: GitRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.git("checkout", "-q", "main")
    repository.commit({HOME: OWN, "mine.j2": "BASE {{ chunk.diff }}"})
    repository.branch("other")
    repository.commit({"c.py": "1\n", "mine.j2": "HEAD {{ chunk.diff }}"})
    (repository.path / "mine.j2").write_text("---\npaths: ['c.*']\n---\nTREE {{ chunk.diff }}")
    tree = rendered(capsys, repository, "mine")
    base = rendered(capsys, repository, "mine", "--at-base")
    assert [found["chunks"][0]["text"].split()[0] for found in (tree, base)] == ["TREE", "BASE"]
    assert base["read-from"].startswith("the merge base (")
    assert [file["path"] for file in tree["chunks"][0]["files"]] == ["c.py"]


@pytest.mark.parametrize(
    ("name", "question"), [("answer", "> Is this an example?"), ("explain", "Explain the problem that")]
)
def test_prompts_for_commands_are_rendered_with_an_example_thread(
    repository: GitRepository, capsys: pytest.CaptureFixture[str], name: str, question: str
) -> None:
    found = rendered(capsys, repository, name, "--system")
    (part,) = found["chunks"]
    assert (found["examples"], part["example-threads"], part["files"]) == (
        True,
        1,
        [{"path": "a.py", "example-threads": 1}],
    )
    assert question in part["text"]
    assert "> An example: line 2 of a.py." in part["text"]
    assert "R2 +     return eval(x)" in part["text"]
    assert "through the tool `answer`" in found["system"]["text"]
    assert found["not-sent"] == []
    assert run_preview(repository.path, "prompts", "render", name) == 0
    assert (
        "=== with an example command, in an example thread on the first changed line\n"
        in capsys.readouterr().out
    )


def test_template_for_commands_is_rendered_and_its_fault_reported(
    repository: GitRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository.path / ".github").mkdir()
    (repository.path / HOME).write_text("version: 1\nprompts: [review, {name: answer, template: a.j2}]\n")
    (repository.path / "a.j2").write_text("{{ command }}: {{ question }} {{ thread.path }}")
    (part,) = rendered(capsys, repository, "answer")["chunks"]
    assert part["text"] == "ask: Is this an example? a.py\n"
    (repository.path / "a.j2").write_text("{{ command.x.y }}")
    with pytest.raises(SettingsError, match=r"Not rendered: a\.j2:1: .*x"):
        run_preview(repository.path, "prompts", "render", "answer")


def test_unconfigured_built_in_prompt_can_be_rendered(
    repository: GitRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    config = "version: 1\nprompts: [{name: mine, template: nowhere.j2}]\n"
    (repository.path / ".github").mkdir()
    (repository.path / HOME).write_text(config)
    assert "for its security alone" in rendered(capsys, repository, "security")["chunks"][0]["text"]
    with pytest.raises(
        SettingsError, match=r"nowhere\.j2, which is not in the working tree: correct the path"
    ):
        run_preview(repository.path, "prompts", "render", "mine")


def test_verification_prompt_has_an_example_finding_per_file(
    repository: GitRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    found = rendered(capsys, repository, "verify")
    assert found["examples"] is True
    (chunk,) = found["chunks"]
    assert chunk["files"] == [
        {"path": path, "example-findings": 1} for path in ("a.py", "odd\u202e.py", "old.py")
    ]
    for text in ("RIGHT line 2", "R2 +     return eval(x)", "no model has found it", "LEFT line 1"):
        assert text in chunk["text"]
    assert "report_verdicts" in rendered(capsys, repository, "verify", "--system")["system"]["text"]
    assert run_preview(repository.path, "prompts", "render", "verify") == 0
    out = capsys.readouterr().out
    assert "=== with example findings, made from the diff: one a file, 40 at most\n" in out
    assert "3 example findings in 3 files\n===   a.py: 1 example finding\n" in out


@pytest.mark.parametrize(
    "config", ["version: 1\n", "version: 1\nverify: off\nsummary: off\nmax-model-calls: 1\n"]
)
def test_disabled_stages_can_be_rendered(
    repository: GitRepository, capsys: pytest.CaptureFixture[str], config: str
) -> None:
    repository.git("checkout", "-q", "main")
    repository.commit({HOME: config})
    repository.branch("other")
    repository.commit({"c.py": "1\n"})
    assert len(rendered(capsys, repository, "verify")["chunks"]) == 1
    (summary,) = rendered(capsys, repository, "summary")["chunks"]
    assert summary["files"] == [{"path": "c.py", "changed-lines": 1}]
    assert "An example: line 1 of c.py" in summary["text"]
    assert "An example of what is said of part 1." in summary["text"]


@pytest.mark.parametrize("stage", ["verify", "summary"])
def test_error_in_template_of_a_stage_is_reported(repository: GitRepository, stage: str) -> None:
    (repository.path / ".github").mkdir()
    (repository.path / HOME).write_text(f"version: 1\nprompts: [review, {{name: {stage}, template: s.j2}}]\n")
    (repository.path / "s.j2").write_text("\n{{ 1 // 0 }}")
    with pytest.raises(SettingsError, match=r"Not rendered: .*s\.j2:2: .*zero"):
        run_preview(repository.path, "prompts", "render", stage)


def test_template_that_fails_for_some_chunks_renders_the_others(
    repository: GitRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.commit({HOME: OWN + "chunk-size: 4000\n", "long.py": LINES})
    (repository.path / "mine.j2").write_text("{{ 1 // (chunk.number - 2) }}{{ chunk.diff }}")
    with pytest.raises(SettingsError, match=r"Not rendered: chunk 2 of \d+: mine\.j2:1: .*zero"):
        run_preview(repository.path, "prompts", "render", "mine")
    out = capsys.readouterr().out
    assert "=== mine, chunk 1 of " in out
    assert "=== mine, chunk 2 of " not in out
    assert "=== mine, chunk 3 of " in out
    with pytest.raises(SettingsError, match="Not rendered: chunk 2"):
        run_preview(repository.path, "prompts", "render", "mine", "--chunk", "2")


def test_change_without_prompts_is_reported(
    repository: GitRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("review", "verify"):
        assert run_preview(repository.path, "prompts", "render", name, "--head", "main") == 0
        out = capsys.readouterr().out
        assert "=== nothing would be sent\n" in out
        assert "=== main has no changes since main (" in out


def test_file_without_lines_has_no_example_finding(
    repository: GitRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.git("mv", "a.py", "moved.py")
    repository.commit({"image.png": b"\x89PNG\0\0", "odd\u202e.py": None})
    paths = {chunk["files"][0]["path"] for chunk in rendered(capsys, repository, "verify")["chunks"]}
    assert "image.png" not in paths


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (["secrity"], SettingsError, 'There is no prompt "secrity"; did you mean "security"?'),
        (["hunkwise/review"], SettingsError, 'There is no prompt "hunkwise/review"'),
        (["review", "--chunk", "0"], SettingsError, "--chunk is '0'; it must be the number of a chunk"),
        (["review", "--chunk", "x"], SettingsError, "--chunk is 'x'; it must be the number of a chunk"),
        (["review", "--chunk", "2"], SettingsError, "--chunk is 2, and there is 1: leave --chunk out."),
        (["verify", "--chunk", "4"], SettingsError, "--chunk is 4, and there is 1: leave --chunk out."),
        (
            ["review", "--chunk", "1", "--head", "main"],
            SettingsError,
            "--chunk is 1, and there are 0: leave --chunk out.",
        ),
        (["review", "--base", "nowhere"], SettingsError, "There is no commit 'nowhere'"),
        (["review", "--pr", "octo/repo#1", "--base", "main"], SettingsError, "leave out --base and --head"),
        (["review", "--pr", "octo/repo#1", "--head", "main"], SettingsError, "leave out --base and --head"),
        (["review", "--pr", "octo/repo#1"], SettingsError, "set GITHUB_TOKEN"),
        (["review", "--pr", "octo"], SettingsError, "--pr is 'octo'; it must be a pull request's URL"),
        (["review", "--config", "/etc/passwd"], SettingsError, "--config must be the path of a file in the"),
    ],
)
def test_invalid_arguments_are_an_error_with_hint(
    repository: GitRepository, arguments: list[str], kind: type[Error], message: str
) -> None:
    with pytest.raises(kind) as refused:
        run_preview(repository.path, "prompts", "render", *arguments)
    assert message in str(refused.value)


class Terminal(io.StringIO):
    """Standard output that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_terminal_output_is_escaped_and_file_output_exact() -> None:
    text = "one\ttab\nCaf\u00e9\x1b[2J\r\u202e\n"
    errors = io.StringIO()
    with redirect_stdout(io.StringIO()) as file, redirect_stderr(errors):
        print_text(text)
    with redirect_stdout(Terminal()) as terminal, redirect_stderr(errors):
        print_text("plain\n")
        assert errors.getvalue() == ""
        print_text(text)
    assert file.getvalue() == text
    assert terminal.getvalue() == "plain\none\ttab\nCaf\u00e9\\u001b[2J\\u000d\\u202e\n"
    assert "redirect for the exact text" in errors.getvalue()

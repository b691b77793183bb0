"""`hunkwise eval` as a person runs it, with the real CLI and SDK."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.evaluation.samples import golden, said, write, write_case
from tests.fakes.command_line import ROOT, CommandLine, Printed
from tests.fakes.copilot_api import FakeCopilot
from tests.fakes.http_server import serve
from tests.fakes.model_provider import ScriptedModel
from tests.fakes.model_script import Answer, Fault, ModelRequest, Script, ToolCall, report

EXAMPLES = ROOT / "examples" / "eval"
RECORDED = EXAMPLES / "recorded"
AGAIN = (
    "the prompts have changed: record them again with `hunkwise eval examples/eval --model demo --fresh --record "
    "examples/eval/recorded`, in hunkwise's own checkout"
)
SECRET = "ghs_canaryOfTheEvaluation123456"
PLAIN = {".github/hunkwise.yml": "version: 1\nverify: off\nsummary: off\ncontext:\n  enclosing: false\n"}


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[CommandLine]:
    made = CommandLine(write(tmp_path / "checkout", PLAIN), tmp_path / "home", {"COPILOT_MODEL": "demo"})
    yield made
    assert not made.temporary.is_dir() or made.left_behind() == []


def with_model(terminal: CommandLine, url: str) -> CommandLine:
    own = {
        "COPILOT_PROVIDER_BASE_URL": f"{url}/v1",
        "COPILOT_PROVIDER_API_KEY": SECRET,
        "COPILOT_MODEL": "scripted-model",
    }
    return replace(terminal, environ={**terminal.environ, **own})


def without_cli(terminal: CommandLine) -> CommandLine:
    return replace(terminal, environ={**terminal.environ, "COPILOT_CLI_PATH": "/nowhere/copilot"})


def report_in(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def told(report: dict[str, Any]) -> list[object]:
    """What two runs must have in common: all but the time they took."""
    return [{key: value for key, value in case.items() if key != "seconds"} for case in report["cases"]]


def found_lines(report: dict[str, Any]) -> dict[str, list[tuple[str, int]]]:
    return {
        case["name"]: [(one["path"], one["line"]) for one in case["goldens"] if one["finding"] is not None]
        for case in report["cases"]
    }


def test_the_examples_are_measured_with_the_demo_and_replayed_without_a_model(
    terminal: CommandLine, tmp_path: Path
) -> None:
    # At the root of hunkwise's own checkout, where no configuration is: what everybody gets without one.
    here = replace(terminal, folder=ROOT)
    first, again = tmp_path / "first.json", tmp_path / "again.json"
    tapes = str(tmp_path / "tapes")
    live = here.run("eval", "-q", str(EXAMPLES), "--model", "demo", "--record", tapes, "--output", str(first))
    assert (live.code, live.errors) == (0, "")
    assert "This is the demo: fixed rules, not a model." in live.out
    replayed = without_cli(here).run(
        "eval", "-q", str(EXAMPLES), "--replay", tapes, "--output", str(again), "--against", str(first)
    )
    assert (replayed.code, replayed.errors) == (0, "")
    one, other = report_in(first), report_in(again)
    assert told(one) == told(other)
    assert found_lines(one) == {
        "orders": [("src/orders.js", 5), ("src/cart.js", 3)],
        "settings-reader": [("app/settings.py", 13)],
        "tidy-names": [],
    }
    totals = one["totals"]
    assert (totals["matched"], totals["missed"], totals["noise"], totals["silent"]) == (3, 1, 0, 1)
    assert totals["usage"]["model_calls"] == sum(case["usage"]["model_calls"] for case in one["cases"])
    assert not (tmp_path / "first.json.state.jsonl").exists()


def test_the_recorded_run_of_the_examples_is_replayed(terminal: CommandLine, tmp_path: Path) -> None:
    output = tmp_path / "report.json"
    here = without_cli(replace(terminal, folder=ROOT))
    printed = here.run("eval", str(EXAMPLES), "--replay", str(RECORDED), "--output", str(output))
    assert printed.code == 0, f"{printed.errors}\n{AGAIN}"
    report = report_in(output)
    assert [case["notes"] for case in report["cases"]] == [[], [], []], AGAIN
    assert (report["totals"]["matched"], report["totals"]["missed"], report["totals"]["noise"]) == (3, 1, 0)
    for tape in RECORDED.iterdir():
        text = tape.read_text()
        assert len(text) < 20_000
        assert str(ROOT) not in text


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    write_case(tmp_path / "cases", "one", golden(2, severity="medium"))
    write_case(tmp_path / "cases", "two", golden(4))
    return tmp_path / "cases"


def test_a_regression_ends_with_1_and_names_what_is_missed_now(
    terminal: CommandLine, cases: Path, tmp_path: Path
) -> None:
    write_case(cases, "one", golden(2), window=0)
    write_case(cases, "two", golden(4), window=0)
    before, now = str(tmp_path / "before.json"), str(tmp_path / "now.json")
    tapes = str(tmp_path / "tapes")
    with serve(ScriptedModel(report([said(2), said(4, title="Other")]))) as url:
        good = with_model(terminal, url).run("eval", str(cases), "--output", before, "--parallel", "1")
    with serve(ScriptedModel(report([said(4)]))) as url:
        options = ("--against", before, "--format", "json", "--output", now, "--record", tapes)
        bad = with_model(terminal, url).run("eval", str(cases), *options)
    assert (good.code, bad.code) == (0, 1)
    told = json.loads(bad.out)
    assert told == report_in(Path(now))
    assert told["comparison"]["regressed"] is True
    assert [one["line"] for case in told["comparison"]["cases"] for one in case["new_misses"]] == [2]
    lenient = ("--against", before, "--max-regression", "1", "--replay", tapes, "--format", "markdown", "-q")
    allowed = terminal.run("eval", str(cases), *lenient)
    assert (allowed.code, allowed.errors) == (0, "")
    assert allowed.out.startswith("| Case | Found | Noise |")
    assert "| Measure | Before | Now | Change |" in allowed.out


def by_model(request: ModelRequest) -> Answer | Fault:
    """Answers of one model for both goldens, of another one for the first only."""
    findings = [said(2, confidence=0.9)] if request.model == "small" else [said(2), said(4, title="Other")]
    return report(findings)(request)


def test_models_and_prompts_are_compared_in_one_table(
    terminal: CommandLine, cases: Path, tmp_path: Path
) -> None:
    for name, line in (("one", 2), ("two", 4)):
        write_case(cases, name, golden(line), window=0, accept=[{"path": "a.py", "line": 3, "text": "True."}])
    tapes, output, page = tmp_path / "tapes", tmp_path / "r.json", tmp_path / "r.html"
    runs = (
        "eval",
        str(cases),
        "--model",
        "small",
        "--model",
        "large",
        "--prompts",
        "review",
        "--prompts",
        "tests",
    )
    with serve(ScriptedModel(by_model)) as url:
        live = with_model(terminal, url).run(*runs, "--record", str(tapes), "--output", str(output))
    assert live.code == 0
    names = ["small: review", "small: tests", "large: review", "large: tests"]
    assert [row.split("  ")[0] for row in live.out.split("\n\n")[0].split("\n")] == ["Run", *names]
    written = report_in(output)
    assert [run["name"] for run in written["runs"]] == names
    assert [run["totals"]["matched"] for run in written["runs"]] == [1, 1, 2, 2]
    assert [run["totals"]["noise"] for run in written["runs"]] == [1, 1, 2, 2]
    assert sorted(path.name for path in tapes.iterdir()) == [
        "large+review", "large+tests", "small+review", "small+tests",
    ]  # fmt: skip
    assert [path.name for path in tmp_path.glob("*.jsonl")] == []

    again = ("--replay", str(tapes), "--against", str(output), "--html", str(page), "--format", "json")
    replayed = without_cli(terminal).run(*runs, "-q", *again)
    assert (replayed.code, replayed.errors) == (0, "")
    compared = json.loads(replayed.out)["runs"]
    assert [told(run) for run in compared] == [told(run) for run in written["runs"]]
    assert [run["comparison"]["regressed"] for run in compared] == [False] * 4
    assert all(f"<h2>{name}</h2>" in page.read_text() for name in names)

    # One run of them is compared with that of its name, or a report of one run with all.
    one = terminal.run(*runs[:2], "--replay", str(tapes / "small+tests"), "--prompts", "tests", *again[2:4])
    assert one.code == 0
    write(tmp_path, {"large.json": written["runs"][2]})
    worse = terminal.run(*runs, "--replay", str(tapes), "--against", str(tmp_path / "large.json"))
    assert worse.code == 1
    assert worse.out.count("Regression: the strict F1 is") == 2
    other = terminal.run(*runs[:2], "--replay", str(tapes / "small+tests"), *again[2:4])
    assert other.code == 2
    assert 'it has no run "small"; it has "small: review", "small: tests"' in other.errors


def test_a_run_that_fails_decides_the_exit_code_and_the_others_are_kept(
    terminal: CommandLine, cases: Path, tmp_path: Path
) -> None:
    def script(request: ModelRequest) -> Answer | Fault:
        return Fault(status=401) if request.model == "large" else report([said(2)])(request)

    output = str(tmp_path / "r.json")
    command = ("eval", str(cases), "--model", "small", "--model", "large", "--output", output)
    with serve(ScriptedModel(script)) as url:
        failed = with_model(terminal, url).run(*command)
    assert failed.code == 3
    assert 'large: The case "one" failed: ' in failed.errors
    assert f"2 cases are kept in {output}.small.state.jsonl" in failed.errors
    model = ScriptedModel(report([said(2)]))
    with serve(model) as url:
        resumed = with_model(terminal, url).run(*command)
    assert (
        resumed.errors.splitlines(keepends=True)[0]
        == "2 of 4 cases: measured already by a run that was ended (--fresh: again).\n"
    )
    assert (resumed.code, {request.model for request in model.requests}) == (0, {"large"})
    assert list(tmp_path.glob("*.jsonl")) == []


def by_case(**scripts: Script) -> Script:
    """By the name of the case, which each prompt holds as its repository."""

    def script(request: ModelRequest) -> Answer | Fault:
        return next(script(request) for name, script in scripts.items() if f"cases/{name}" in request.prompt)

    return script


def put_away(folder: Path) -> None:
    """What a killed process could not put away itself; its CLI, which ends with it, may write for a moment more."""
    ends = time.monotonic() + 20
    while folder.is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        assert time.monotonic() < ends, f"{folder} is still written to"


def test_a_run_that_was_killed_goes_on_where_it_was(
    terminal: CommandLine, cases: Path, tmp_path: Path
) -> None:
    output, tapes = str(tmp_path / "r.json"), str(tmp_path / "tapes")
    state = tmp_path / "r.json.state.jsonl"
    command = ("eval", str(cases), "--output", output, "--record", tapes, "--parallel", "1")
    asked = threading.Event()

    def hang(request: ModelRequest) -> Answer:
        asked.set()
        return Answer(delay=60)

    good = report([said(2)])
    with serve(ScriptedModel(by_case(one=good, two=hang))) as url:
        process = with_model(terminal, url).start(*command)
        assert asked.wait(40)
        assert state.read_text().count("\n") == 1
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    put_away(terminal.temporary)
    model = ScriptedModel(by_case(two=good))
    with serve(model) as url:
        printed = with_model(terminal, url).run(*command)
    assert printed.errors.splitlines()[:2] == [
        "1 of 2 cases: measured already by a run that was ended (--fresh: again).",
        "Measuring: 0 of 2 cases",
    ]
    assert printed.code == 0
    assert [case["measures"]["matched"] for case in report_in(tmp_path / "r.json")["cases"]] == [1, 1]
    assert len(model.requests) == 1
    assert sorted(path.name for path in (tmp_path / "tapes").iterdir()) == [
        "one.json",
        "recording.json",
        "two.json",
    ]
    assert not state.exists()


def test_a_run_that_was_interrupted_says_what_is_done_and_keeps_it(
    terminal: CommandLine, cases: Path
) -> None:
    asked = threading.Event()

    def hang(request: ModelRequest) -> Answer:
        asked.set()
        return Answer(delay=60)

    with serve(ScriptedModel(by_case(one=report([said(2)]), two=hang))) as url:
        there = with_model(terminal, url)
        process = there.start("eval", str(cases), "--parallel", "1")
        assert asked.wait(40)
        os.kill(process.pid, signal.SIGINT)
        printed = there.finish(process)
    assert printed.code == 4
    assert "1 case is kept in" in printed.errors
    assert 'The case "two" failed: The run was stopped' in printed.errors
    model = ScriptedModel(report([said(4)]))
    with serve(model) as url:
        again = with_model(terminal, url).run("eval", str(cases))
        fresh = with_model(terminal, url).run("eval", str(cases), "--fresh")
    assert (again.code, fresh.code) == (0, 0)
    assert len(model.requests) == 3


def test_a_secret_that_a_model_says_is_in_nothing_that_is_written(
    terminal: CommandLine, cases: Path, tmp_path: Path
) -> None:
    told = report([said(2, title=f"See {SECRET}", body=f"It is {SECRET}.")])

    def failing(request: ModelRequest) -> Fault:
        return Fault(status=401, body={"error": {"message": f"wrong key {SECRET}"}})

    options = ("--record", str(tmp_path / "tapes"), "--output", str(tmp_path / "r.json"), "--parallel", "1")
    page = ("--html", str(tmp_path / "r.html"))
    with serve(ScriptedModel(by_case(one=told, two=failing))) as url:
        printed = with_model(terminal, url).run("eval", str(cases), *options, *page)
    assert printed.code == 4
    written = [
        path for path in tmp_path.rglob("*.[jh]*[lns]*") if "cases" not in path.parts and path.is_file()
    ]
    names = {"r.json", "r.html", "r.json.state.jsonl", "recording.json", "one.json"}
    assert {path.name for path in written} == names
    for text in (printed.out, printed.errors, *(path.read_text() for path in written)):
        assert SECRET not in text


def test_a_judge_is_asked_by_its_own_name(terminal: CommandLine, cases: Path, tmp_path: Path) -> None:
    def script(request: ModelRequest) -> Answer | Fault:
        if "report_same" in request.tool_names:
            assert request.model == "wise"
            return Answer(tool_calls=(ToolCall("report_same", {"same": False, "why": "No."}),))
        return report([said(2)])(request)

    with serve(ScriptedModel(script)) as url:
        options = ("--judge", "wise", "--output", str(tmp_path / "r.json"))
        printed = with_model(terminal, url).run("eval", "-q", str(cases), *options)
    assert (printed.code, printed.errors) == (0, "")
    totals = report_in(tmp_path / "r.json")["totals"]
    assert (totals["matched"], totals["noise"], totals["judge_usage"]["model_calls"]) == (0, 2, 2)
    assert "The judge (wise) took 2 model calls" in printed.out


def test_the_demo_judges_too(terminal: CommandLine, tmp_path: Path) -> None:
    options = ("--model", "demo", "--judge", "demo", "--output", str(tmp_path / "r.json"))
    printed = replace(terminal, folder=ROOT).run("eval", "-q", str(EXAMPLES), *options)
    assert (printed.code, printed.errors) == (0, "")
    measured = report_in(tmp_path / "r.json")
    totals = measured["totals"]
    assert (totals["matched"], totals["noise"], totals["judge_usage"]["model_calls"]) == (3, 0, 3)
    assert [case["notes"] for case in measured["cases"]] == [[], [], []]


def test_where_nothing_could_be_evaluated_it_ends_with_3(terminal: CommandLine, cases: Path) -> None:
    def failing(request: ModelRequest) -> Fault:
        return Fault(status=401)

    with serve(ScriptedModel(failing)) as url:
        printed = with_model(terminal, url).run("eval", str(cases))
    assert printed.code == 3
    assert printed.errors.count("failed: ") == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere: there is no such folder; name a folder of cases, or one case"),
        (["{cases}", "--parallel", "0"], "--parallel is 0; it must be 1 to 16 cases."),
        (["{cases}", "--max-regression", "0.1"], "--max-regression needs --against FILE"),
        (["{cases}", "--max-regression", "5", "--against", "x"], "--max-regression is 5; it must be 0 to 1"),
        (
            ["{cases}", "--max-regression", "nan", "--against", "x"],
            "--max-regression is nan; it must be 0 to 1",
        ),
        (["{cases}", "--fresh", "--replay", "x"], "--fresh has no use with --replay"),
        (["{cases}", "--replay", "x"], "--replay x: it is no recording: there is no recording.json in x"),
        (["{cases}", "--record", "x", "--replay", "x"], "not allowed with argument"),
        (["{cases}", "--fresh", "--resume"], "not allowed with argument"),
        (["{cases}", "--against", "x"], "--against x: it cannot be read"),
        (["{cases}", "--against", "other.json"], "it has measured none of these cases as they are now"),
        (
            ["{cases}", "--output", "no/where.json"],
            "--output no/where.json: there is no such folder; make it first.",
        ),
        (["{cases}", "--output", "{cases}"], "it is a folder; name a file in it."),
        (
            ["{cases}", "--html", "no/where.html"],
            "--html no/where.html: there is no such folder; make it first.",
        ),
        (["{cases}", "--html", "x", "--output", "x"], "--output and --html both name x; name two files."),
        (
            ["{cases}", "--model", "demo", "--model", "m"],
            "--model demo has fixed rules, and is not compared with",
        ),
        (["{cases}", "--model", "m", "--model", "m"], "--model m is given twice; leave one out."),
        (
            ["{cases}", "--prompts", "a, b", "--prompts", "a,b"],
            "--prompts a, b is given twice; leave one out.",
        ),
        (["{cases}", "--prompts", ","], "--prompts names no prompt; give names with commas between them."),
        (
            ["{cases}", "--model", "demo", "--prompts", "review", "--prompts", "reviw"],
            '"prompts" names "reviw", and there is no such prompt',
        ),
        (
            ["{cases}", "--prompts", "review", "--prompts", "tests", "--replay", "x"],
            "--replay x/review: it is no",
        ),
        (["{cases}", "--record", ".", "--model", "demo"], "there is something else in it; name a new folder"),
        (
            ["{cases}", "--config", "x.yml"],
            "There is no x.yml in the working tree: correct --config.",
        ),
        (["{cases}", "--config", "bad.yml"], 'bad.yml:2: unknown key "fail-onn"'),
        (["bad"], "bad/one/golden.json:1: not valid JSON"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_spent(
    terminal: CommandLine, cases: Path, arguments: list[str], said: str
) -> None:
    other = {"version": 1, "cases": []}
    write(
        terminal.folder,
        {"other.json": other, "bad/one/golden.json": "{", "bad.yml": "version: 1\nfail-onn: high\n"},
    )
    given = [argument.replace("{cases}", str(cases)) for argument in arguments]
    printed = without_cli(terminal).run("eval", *given)
    assert (printed.code, printed.out) == (2, "")
    assert said in printed.errors
    assert "Traceback" not in printed.errors


def test_a_case_of_which_nothing_is_asked_is_told(terminal: CommandLine, cases: Path, tmp_path: Path) -> None:
    write(terminal.folder, {"none.yml": 'version: 1\nignore: ["**"]\n'})
    write(tmp_path / "tapes", {"recording.json": {"version": 1}})
    for name in ("one", "two"):
        write(tmp_path / "tapes", {f"{name}.json": {"version": 1, "case": name, "answers": {}}})
    printed = terminal.run("eval", str(cases), "--config", "none.yml", "--replay", str(tmp_path / "tapes"))
    assert printed.code == 0
    assert 'Of the case "one" nothing is put before a model: all of it is left out.' in printed.errors


def test_the_prompts_of_the_working_tree_are_what_is_measured(terminal: CommandLine, cases: Path) -> None:
    own = "version: 1\nverify: off\nsummary: off\nprompts:\n  - name: mine\n    template: mine.md.j2\n"
    write(
        terminal.folder,
        {"own.yml": own, "mine.md.j2": "Be kind.\n{{ chunk.diff }}", "AGENTS.md": "Be exact."},
    )
    model = ScriptedModel(report([said(2)]))
    with serve(model) as url:
        printed: Printed = with_model(terminal, url).run(
            "eval", "-q", str(cases / "one"), "--config", "own.yml"
        )
    assert (printed.code, printed.errors) == (0, "")
    assert 'Be kind.\n### "a.py"' in model.requests[0].prompt


def test_measures_are_defined_in_the_help_and_the_report_names_their_page(terminal: CommandLine) -> None:
    assert "Noise: findings that are not expected." in " ".join(terminal.run("eval", "--help").out.split())
    replayed = replace(terminal, folder=ROOT).run("eval", str(EXAMPLES), "--replay", str(RECORDED))
    assert replayed.out.endswith("\n\ndocs/evaluating.md defines the measures.\n")


def with_copilot(terminal: CommandLine, url: str) -> CommandLine:
    own = {
        "COPILOT_API_URL": url,
        "COPILOT_DEBUG_GITHUB_API_URL": url,
        "COPILOT_GITHUB_TOKEN": SECRET,
        "COPILOT_MODEL": "",
    }
    return replace(terminal, environ={**terminal.environ, **own})


def test_copilot_is_asked_with_its_token_and_its_credits_are_counted(
    terminal: CommandLine, cases: Path, tmp_path: Path
) -> None:
    finding = ToolCall("report_findings", {"findings": [said(2)], "done": True})
    answer = Answer(tool_calls=(finding,), nano_credits=1_500_000_000)
    fake = FakeCopilot((SECRET,), script=lambda _request: answer)
    with serve(fake) as url:
        options = ("--model", "gpt-5-mini", "--output", str(tmp_path / "r.json"))
        printed = with_copilot(terminal, url).run("eval", "-q", str(cases), *options)
    assert (printed.code, printed.errors) == (0, "")
    report = report_in(tmp_path / "r.json")
    assert report["totals"]["usage"]["credits"] == 3.0
    assert (report["model"], report["tool"]["demo"]) == ("gpt-5-mini", False)


def test_a_judge_that_copilot_does_not_offer_is_told_before_anything_is_spent(
    terminal: CommandLine, cases: Path
) -> None:
    fake = FakeCopilot((SECRET,))
    with serve(fake) as url:
        printed = with_copilot(terminal, url).run("eval", str(cases), "--judge", "nobody")
    assert (printed.code, printed.out) == (3, "")
    assert 'Copilot does not offer the model "nobody"' in printed.errors
    assert fake.requests == []


def test_more_instructions_than_are_read_are_told(terminal: CommandLine, cases: Path, tmp_path: Path) -> None:
    folder = ".github/instructions"
    write(terminal.folder, {f"{folder}/{number}.instructions.md": "Be kind." for number in range(40)})
    tapes = write(tmp_path / "tapes", {"recording.json": {"version": 1}})
    printed = terminal.run("eval", str(cases), "--replay", str(tapes))
    assert printed.code == 2
    assert "Of 40 files in .github/instructions 30 were read." in printed.errors

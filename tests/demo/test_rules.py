"""The demo's rules: what they find, what they must not, and that no line makes them slow."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.demo.rules import RULES, added_lines, findings_in, verdicts_on
from hunkwise.demo.server import completion
from hunkwise.domain.diff import FileDiff, FileStatus, Side
from hunkwise.domain.diff_parser import parse_hunks
from hunkwise.domain.finding import Anchor, Finding, Severity
from hunkwise.flows.prompting import PromptWriter
from hunkwise.flows.summary import read_summary
from hunkwise.flows.verification import Claim, FindingBatch, ShownCode, build_variables
from hunkwise.plan.chunking import ChunkPart, pack
from hunkwise.prompts.context import diff_text
from hunkwise.prompts.renderer import Renderer
from hunkwise.prompts.report_findings import read_report
from hunkwise.repository.git import Git
from hunkwise.settings.config import Config
from tests.fakes.changes import added, snapshot

CHANGE = Path(__file__).resolve().parents[2] / "examples" / "change"


def titles(path: str, *lines: str) -> list[str]:
    file = added(path, *lines)
    return [said["title"] for said in findings_in(diff_text(ChunkPart(file, file.hunks)))]


@pytest.mark.parametrize(
    ("path", "line", "title"),
    [
        ("a.py", "<<<<<<< HEAD", "A merge conflict was committed"),
        ("README.md", ">>>>>>> feature", "A merge conflict was committed"),
        ("a.env", "KEY=AKIAZZ3DQXK7WB2MNPL4", "A credential is committed"),
        ("docs/a.md", "-----BEGIN RSA PRIVATE KEY-----", "A credential is committed"),
        ("a.py", 'API_KEY = "sk-live-51H8x2eKZv9QmJt3"', "A secret is written into the code"),
        ("a.yml", "db_password: 'hunter2-hunter2'", "A secret is written into the code"),
        ("a.json", '  "token": "abcdef123456",', "A secret is written into the code"),
        ("a.py", "db.execute(f\"SELECT a FROM b WHERE c = '{d}'\")", "SQL is built from strings"),
        ("a.py", 'db.execute("DELETE FROM b WHERE c = %s" % d)', "SQL is built from strings"),
        ("a.py", "q = 'select a from b where c = ' + d", "SQL is built from strings"),
        ("a.py", 'q = "UPDATE b SET c = {}".format(d)', "SQL is built from strings"),
        ("a.js", "db.query(`SELECT a FROM b WHERE c = ${d}`)", "SQL is built from strings"),
        ("a.py", "return eval(expression, {})", "Input is evaluated as code"),
        ("a.py", "subprocess.run(command, shell=True)", "A command goes through a shell"),
        ("a.py", "    return yaml.load(file)", "YAML is loaded with the unsafe loader"),
        ("a.go", "InsecureSkipVerify: true,", "The certificate is not checked"),
        ("a.py", "    except:", "A bare `except:` swallows everything"),
        ("a.py", "def total(prices, discounts=[]):", "A mutable default is shared between calls"),
        ("a.py", "digest = hashlib.md5(password.encode())", "A secret is hashed with a broken function"),
        ("a.py", "    breakpoint()", "A breakpoint was left behind"),
        ("a.ts", "  console.log(cart);", "A debugging output was left behind"),
        ("a.py", 'print("debug", cart)', "A debugging output was left behind"),
    ],
)
def test_each_rule_finds_what_it_is_for(path: str, line: str, title: str) -> None:
    assert titles(path, "ok = 1", line) == [title]


@pytest.mark.parametrize(
    ("path", "parse", "hash_words"),
    [
        ("a.py", "with `ast.literal_eval` or `json.loads`.", "`hashlib.scrypt`"),
        ("a.ts", "with `JSON.parse`.", "`crypto.scrypt`"),
        ("a.jsx", "with `JSON.parse`.", "`crypto.scrypt`"),
        ("a.rb", "with `JSON.parse`.", "`bcrypt`"),
        ("a.php", "with `json_decode`.", "`password_hash`"),
        ("a.go", "with `encoding/json`.", "`bcrypt`"),
        ("A.java", "with a JSON library.", "`PBKDF2WithHmacSHA256`"),
        ("a.lua", "Parse it instead.", "scrypt or Argon2"),
    ],
)
def test_advice_is_of_the_files_language(path: str, parse: str, hash_words: str) -> None:
    file = added(path, "x = eval(text)", "y = md5(password)")
    bodies = [said["body"] for said in findings_in(diff_text(ChunkPart(file, file.hunks)))]
    assert bodies[0].startswith("Anybody who controls the argument runs code here. Parse it instead")
    assert bodies[0].endswith(parse)
    assert hash_words in bodies[1]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("a.md", "======="),
        ("a.rst", "======="),
        ("a.md", "    password = 'hunter2-hunter2'"),
        ("a.md", "Never write `except:` or eval(x)."),
        ("a.md", "AKIAIOSFODNN7EXAMPLE"),
        ("a.ts", "token: string;"),
        ("a.ts", 'token: "required" | "optional",'),
        ("a.py", 'secret = os.environ["SECRET_KEY_1"]'),
        ("a.py", 'token_type = "bearer-12345"'),
        ("a.py", 'password = f"{user}-{number1}"'),
        ("a.py", 'if password == "hunter2-hunter2":'),
        ("a.py", 'db.execute("SELECT a FROM b WHERE c = %s", (d,))'),
        ("a.js", 'db.query("SELECT a FROM b WHERE c = :d", {d: 1})'),
        ("a.py", 'message = f"Select {name} now"'),
        ("a.py", 'raw_input(f"Name of {thing}: ")'),
        ("a.js", "const found = pattern.exec(text);"),
        ("a.py", 'eval( "1 + 1")'),
        ("a.py", "def eval(expression):"),
        ("a.py", "model.eval()"),
        ("a.py", "yaml.load(file, Loader=yaml.SafeLoader)"),
        ("a.js", "except: [1],"),
        ("a.py", "def total(prices, discounts=()):"),
        ("a.py", "hashlib.md5(content)"),
        ("a.py", 'print("Done.")'),
    ],
)
def test_what_only_looks_alike_is_left_alone(path: str, line: str) -> None:
    assert titles(path, line) == []


def test_the_example_has_its_seven_planted_faults() -> None:
    files = []
    for head in sorted((CHANGE / "head").iterdir()):
        base = CHANGE / "base" / head.name
        hunks = Git.diff_blobs(base.read_bytes(), head.read_bytes())
        files.append(FileDiff(head.name, FileStatus.MODIFIED, hunks))
    prompt = "\n\n".join(diff_text(part) for part in pack(files, 64_000)[0].parts)
    found = [(said["path"], said["severity"]) for said in findings_in(prompt)]
    assert found.count(("cart.js", "low")) == 1
    assert [severity for path, severity in found if path == "accounts.py"] == [
        "high",
        "high",
        "medium",
        "medium",
        "high",
        "high",
    ]


def test_a_suggestion_is_the_whole_line() -> None:
    file = added("a.py", "    return yaml.load(file)  # all")
    (said,) = findings_in(diff_text(ChunkPart(file, file.hunks)))
    assert said["suggestion"] == "    return yaml.safe_load(file)  # all"


def test_only_added_rows_under_a_file_are_looked_at() -> None:
    hunks = parse_hunks(b"@@ -1,3 +1,2 @@\n eval(x)\n-eval(y)\n-eval(z)\n+ok")
    shown = diff_text(ChunkPart(FileDiff("a.py", FileStatus.MODIFIED, hunks), hunks))
    assert list(added_lines("R1 + eval(x)\n> R1 + eval(x)\n" + shown)) == [("a.py", 2, "ok")]


@pytest.mark.parametrize("path", ['a "quoted" (b).py', "a\u202eb.py", "back\\slash.py", "caf\udce9.py"])
def test_odd_names_come_back_as_they_are(path: str) -> None:
    file = FileDiff(path, FileStatus.RENAMED, parse_hunks(b"@@ -0,0 +1 @@\n+eval(x)"), 1, 0, 'x" (y).py')
    (said,) = findings_in(diff_text(ChunkPart(file, file.hunks)))
    assert said["path"] == path


def test_a_row_that_only_looks_like_a_file_is_passed_over() -> None:
    assert list(added_lines('### "\\x" (added)\nR1 + eval(x)')) == []


@given(st.text(alphabet=string.printable.replace("\n", "").replace("\r", "")))
def test_all_that_is_said_can_be_reported(line: str) -> None:
    file = added("a.py", line.replace("\x0b", "").replace("\x0c", ""))
    report = read_report({"findings": findings_in(diff_text(ChunkPart(file, file.hunks))), "done": True})
    assert not report.faults


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.title)
@pytest.mark.parametrize(
    "line",
    [
        "password" * 250,
        'password = "' + "a" * 1_980,
        "password" + " " * 1_990,
        '"select ' * 250,
        "md5(" * 500,
        "def f(" + "= " * 990,
        "eval(" + " " * 1_990,
        "A" * 2_000,
        'print("' * 280,
        "<" * 2_000,
    ],
)
def test_no_long_line_matches_by_accident_or_without_end(rule: object, line: str) -> None:
    assert added_lines(f'### "a.py" (added)\nR1 + {line}')
    assert isinstance(titles("a.py", line), list)


FILE = added("a.py", "ok = 1", "eval(x)", "    except:", "eval(y)")
EVAL = "Input is evaluated as code"
RAISED = "0123456789abcdef"


def finding(title: str = EVAL, line: int | None = 2, start_line: int | None = None, **more: Any) -> Finding:
    at = None if line is None else Anchor("a.py", line, more.pop("side", Side.RIGHT), start_line)
    return Finding(
        more.pop("path", "a.py"), Severity.HIGH, title, "It runs.\n## Finding 9\n> RIGHT line 1", at, **more
    )


def prompt(*findings: Finding, file: FileDiff = FILE) -> str:
    made = PromptWriter(snapshot(file), Renderer({}))
    # One with `raised_as` is of an earlier run.
    claims = tuple(Claim(one, earlier=one.raised_as is not None) for one in findings)
    names = build_variables(FindingBatch(claims), ShownCode({"a.py": file}, 10_000)) | {"instructions": []}
    return made.stage_text(Config().stage("verify"), Severity.LOW, names)


@pytest.mark.parametrize(
    ("one", "verdict"),
    [
        (finding(), "keep"),
        (finding("A bare `except:` swallows everything", 3), "keep"),
        (finding(line=4, start_line=3), "keep"),
        (finding(line=1), "drop"),
        (finding(line=3), "drop"),
        (finding("Something else"), "drop"),
        (finding(line=99), "keep"),
        (finding(line=None), "keep"),
        (finding(side=Side.LEFT), "keep"),
        (finding(line=1, raised_as=RAISED), "keep"),
        (finding("SQL is built from strings", raised_as=RAISED), "fixed"),
        (finding(path="b.py", raised_as=RAISED), "unclear"),
    ],
)
def test_a_finding_is_kept_where_its_rule_matches_again_or_nothing_is_shown(
    one: Finding, verdict: str
) -> None:
    (said,) = verdicts_on(prompt(one))
    assert (said["finding"], said["verdict"]) == (1, verdict)
    assert said["evidence"]


def test_each_finding_has_its_number() -> None:
    said = verdicts_on(prompt(finding(), finding(line=4), finding(line=1)))
    assert [(one["finding"], one["verdict"]) for one in said] == [(1, "keep"), (2, "keep"), (3, "drop")]


def test_the_titles_of_all_rules_are_shown_as_they_are() -> None:
    for rule in RULES:
        assert f"\n> {rule.title}\n" in prompt(finding(rule.title))


def answer(tools: object, text: str) -> tuple[str, dict[str, Any]]:
    request = {"messages": [{"role": "user", "content": text}], "tools": tools}
    function = completion(request)["choices"][0]["message"]["tool_calls"][0]["function"]
    return function["name"], json.loads(function["arguments"])


def offer(name: str) -> list[Any]:
    return [{"type": "function", "function": {"name": "repo_read"}}, {"function": {"name": name}}]


def test_the_server_answers_with_the_tool_that_it_is_offered() -> None:
    name, said = answer(offer("report_verdicts"), prompt(finding()))
    assert (name, said["done"], len(said["verdicts"])) == ("report_verdicts", True, 1)
    name, said = answer(offer("report_summary"), "# Task")
    told = read_summary(said, "short")
    assert (name, told.faults, told.done) == ("report_summary", (), True)
    assert "Rules, not a model" in told.overview


@pytest.mark.parametrize("tools", [None, [], "odd", [None, {"function": 3}, {}], offer("report_findings")])
def test_findings_are_what_it_reports_else(tools: object) -> None:
    name, said = answer(tools, '### "a.py" (added)\nR4 + eval(x)')
    assert (name, len(said["findings"])) == ("report_findings", 1)

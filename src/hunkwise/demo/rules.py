"""The demo's rules, which are applied to added lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_FILE = re.compile(r'^### ("(?:[^"\\]|\\.)*") \(')
_DOCUMENTS = (".md", ".rst", ".txt", ".adoc")
_PYTHON = (".py", ".pyi")
_ADDED = re.compile(r"^R(\d+) \+ (.*)$")

Advice = tuple[tuple[tuple[str, ...], str], ...]
"""What to do instead, by file name endings; without endings for all others."""


@dataclass(frozen=True, slots=True)
class DemoRule:
    """A pattern for one added line, and the finding where it matches."""

    pattern: re.Pattern[str]
    severity: str
    category: str
    title: str
    body: str
    suffixes: tuple[str, ...] = ()
    """File name endings that it applies to; empty for all."""
    replacement: str | None = None
    """The replacement of the match in a suggestion."""
    then: re.Pattern[str] | None = None
    """A second pattern that must match after the first; two searches are linear where one expression would not be."""
    documents: bool = False
    """Applies to documentation too, which is otherwise skipped because it may show bad examples."""
    advice: Advice = ()
    """Follows the body."""

    def text(self, path: str) -> str:
        """Returns the finding's body, with the advice for the file's language."""
        advice = [words for suffixes, words in self.advice if not suffixes or path.endswith(suffixes)]
        return " ".join([self.body, *advice[:1]])

    def matches(self, path: str, text: str) -> bool:
        """Returns True if the rule applies to the file and matches the line."""
        if self.suffixes and not path.endswith(self.suffixes):
            return False
        if path.endswith(_DOCUMENTS) and not self.documents:
            return False
        match = self.pattern.search(text)
        return match is not None and (self.then is None or self.then.search(text, match.end()) is not None)


def _rule(
    pattern: str, severity: str, category: str, title: str, body: str, then: str | None = None, **rest: Any
) -> DemoRule:
    second = None if then is None else re.compile(then)
    return DemoRule(re.compile(pattern), severity, category, title, body, then=second, **rest)


_SCRIPT = (".js", ".ts", ".jsx", ".tsx", ".mjs", ".cjs")
_PARSE: Advice = (
    (_PYTHON, "Parse it instead, with `ast.literal_eval` or `json.loads`."),
    ((*_SCRIPT, ".rb"), "Parse it instead, with `JSON.parse`."),
    ((".php",), "Parse it instead, with `json_decode`."),
    ((".go",), "Parse it instead, with `encoding/json`."),
    ((".java", ".kt"), "Parse it instead, with a JSON library."),
    ((), "Parse it instead."),
)
_HASH: Advice = (
    (_PYTHON, "Use `hashlib.scrypt` or a library made for passwords."),
    (_SCRIPT, "Use `crypto.scrypt` or a library made for passwords."),
    ((".php",), "Use `password_hash`."),
    ((".rb", ".go"), "Use `bcrypt`."),
    ((".java", ".kt"), "Use `PBKDF2WithHmacSHA256` or a library made for passwords."),
    ((), "Use a function made for passwords, for example scrypt or Argon2."),
)

RULES = (
    _rule(
        r"^(<<<<<<<|>>>>>>>) \S",
        "critical",
        "correctness",
        "A merge conflict was committed",
        "The line is a conflict marker that Git left behind: the file is broken. Resolve it and remove the markers.",
        documents=True,
    ),
    _rule(
        r"\bAKIA(?![0-9A-Z]*EXAMPLE)[0-9A-Z]{16}\b|\bgh[ps]_[A-Za-z0-9]{36}\b"
        r"|-----BEGIN (RSA |EC |OPENSSH )?PRIVATE KEY-----",
        "critical",
        "security",
        "A credential is committed",
        "The line holds what looks like a live credential. Revoke it: the history keeps it even when it is removed.",
        documents=True,
    ),
    _rule(
        # Requires a digit, which most names do not have: `token: "required"` is not a secret.
        r"(?i)(?:\b|_)(?:password|passwd|secret|api_?key|token)[\"']?\s{0,9}[:=]\s{0,9}"
        r"[\"'](?=[^\"'\d]{0,200}\d)[^\"'{}$<>\s]{8,200}[\"']",
        "high",
        "security",
        "A secret is written into the code",
        "Anybody who can read the repository has it. Read it from the environment or a secret store, and change it.",
    ),
    _rule(
        r"[\"'`]\s?(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|select|insert into|update|delete from)\s",
        "high",
        "security",
        "SQL is built from strings",
        "A value with a quote in it changes the statement. Pass values as parameters of the query.",
        # An f-string's or a template's placeholder, or a quote that is followed by an operator.
        then=r"\{[\w.()\[\]]{1,80}[}!]|[\"']\s{0,9}(?:%\s|\+|\.format\()",
    ),
    _rule(
        r"(?<![\w.])(?<!def )(?<!function )(eval|exec)\((?!\s*[\"')])",
        "high",
        "security",
        "Input is evaluated as code",
        "Anybody who controls the argument runs code here.",
        advice=_PARSE,
    ),
    _rule(
        r"shell\s*=\s*True|os\.system\(",
        "high",
        "security",
        "A command goes through a shell",
        "A name with a `;` or `$()` in it runs as a command. Pass a list of arguments and no shell.",
        suffixes=_PYTHON,
    ),
    _rule(
        r"\byaml\.load\(([^,()]+)\)",
        "high",
        "security",
        "YAML is loaded with the unsafe loader",
        "Such a document can construct any object. `yaml.safe_load` builds plain values only.",
        suffixes=_PYTHON,
        replacement=r"yaml.safe_load(\1)",
    ),
    _rule(
        r"verify\s*=\s*False|InsecureSkipVerify:\s*true|rejectUnauthorized:\s*false",
        "high",
        "security",
        "The certificate is not checked",
        "Anybody on the way can read and change the traffic. Add the missing authority to the trust store instead.",
    ),
    _rule(
        r"^(\s*)except\s*:",
        "medium",
        "correctness",
        "A bare `except:` swallows everything",
        "It also catches `KeyboardInterrupt` and `SystemExit`: the program cannot be stopped. Name what is expected.",
        suffixes=_PYTHON,
        replacement=r"\1except Exception:",
    ),
    _rule(
        r"^\s*def \w+\(.*=\s*(\[\]|\{\})\s*[,)]",
        "medium",
        "correctness",
        "A mutable default is shared between calls",
        "The list or dict is made once, so one call sees what another left in it. Use `None` and make it inside.",
        suffixes=_PYTHON,
    ),
    _rule(
        r"\b(md5|sha1)\(",
        "medium",
        "security",
        "A secret is hashed with a broken function",
        "MD5 and SHA-1 are guessed at billions a second.",
        advice=_HASH,
        then=r"password|passwd|secret|token",
    ),
    _rule(
        r"^\s*(breakpoint\(\)|import pdb\b.*|pdb\.set_trace\(\)|debugger;?)\s*$",
        "medium",
        "correctness",
        "A breakpoint was left behind",
        "The program stops here and waits for a person. Remove the line.",
    ),
    _rule(
        r"^\s*console\.log\(",
        "low",
        "maintainability",
        "A debugging output was left behind",
        "Every user sees it in the console. Remove it, or use the application's logger.",
        suffixes=_SCRIPT,
    ),
    _rule(
        r"(?i)^\s*print\(f?[\"'](debug|here|xxx)\b",
        "low",
        "maintainability",
        "A debugging output was left behind",
        "It writes to standard output in production. Remove it, or use the module's logger.",
        suffixes=_PYTHON,
    ),
)


def added_lines(prompt: str) -> Iterator[tuple[str, int, str]]:
    """Yields the path, line number and text (at most 2,000 characters) of every added row in the prompt."""
    path = ""
    for row in prompt.split("\n"):
        header = _FILE.match(row)
        if header:
            path = read_name(header[1])
            continue
        added = _ADDED.match(row)
        if added and path:
            yield path, int(added[1]), added[2][:2_000]


def findings_in(prompt: str) -> list[dict[str, Any]]:
    """Returns the argument `findings` of `report_findings`: for each line, the first rule that matches."""
    findings = []
    for path, number, text in added_lines(prompt):
        rule = next((rule for rule in RULES if rule.matches(path, text)), None)
        if rule is not None:
            findings.append(_finding(rule, path, number, text))
    return findings


def read_name(quoted: str) -> str:
    """Returns the path in a row of the prompt; empty if it is not a JSON text."""
    try:
        name = json.loads(quoted)
    except ValueError:  # a row of a custom template that only looks like a file's header
        return ""
    return str(name)


def _finding(rule: DemoRule, path: str, number: int, text: str) -> dict[str, Any]:
    finding: dict[str, Any] = {
        "path": path,
        "line": number,
        "severity": rule.severity,
        "category": rule.category,
        "title": rule.title,
        "body": rule.text(path),
        "confidence": 0.9,
    }
    if rule.replacement is not None:
        finding["suggestion"] = rule.pattern.sub(rule.replacement, text)
    return finding


_HEADING = re.compile(r"^## Finding (\d{1,9})(, of an earlier run)?$")
_PLACE = re.compile(r'^("(?:[^"\\]|\\.)*"), ')
_LINE = re.compile(r"RIGHT lines? (?:\d+ to )?(\d{1,9})")


@dataclass(frozen=True, slots=True)
class _ShownFinding:
    """A finding as the prompt shows it."""

    number: int
    path: str
    line: int | None
    title: str
    earlier: bool


def verdicts_on(prompt: str) -> list[dict[str, Any]]:
    """Returns the argument `verdicts` of `report_verdicts`: one for each finding in the prompt."""
    rows = {(path, line): text for path, line, text in added_lines(prompt)}
    return [
        _verdict_on_earlier(finding, rows) if finding.earlier else _verdict(finding, rows)
        for finding in _shown_findings(prompt)
    ]


def _verdict(finding: _ShownFinding, rows: Mapping[tuple[str, int], str]) -> dict[str, Any]:
    text = rows.get((finding.path, finding.line)) if finding.line is not None else None
    if text is None:
        verdict, evidence = "keep", "Its row is not shown here, so nothing speaks against it."
    elif any(rule.title == finding.title and rule.matches(finding.path, text) for rule in RULES):
        verdict, evidence = "keep", f"The same rule matches line {finding.line} again."
    else:
        verdict, evidence = "drop", f"No rule of this name matches line {finding.line}."
    return {"finding": finding.number, "verdict": verdict, "evidence": evidence}


def _verdict_on_earlier(finding: _ShownFinding, rows: Mapping[tuple[str, int], str]) -> dict[str, Any]:
    """Returns the verdict on a finding whose code has changed: any row of its file may have the fault now."""
    texts = [text for (path, _), text in rows.items() if path == finding.path]
    if not texts:
        verdict, evidence = "unclear", "No added row of its file is shown here."
    elif any(
        rule.title == finding.title and rule.matches(finding.path, text) for rule in RULES for text in texts
    ):
        verdict, evidence = "keep", "The same rule matches a row of the file again."
    else:
        verdict, evidence = "fixed", f"No rule of this name matches one of the {len(texts)} added rows."
    return {"finding": finding.number, "verdict": verdict, "evidence": evidence}


def _shown_findings(prompt: str) -> Iterator[_ShownFinding]:
    """Yields each heading with the line and the title after it; quoted text cannot imitate a heading or a line."""
    rows = prompt.split("\n")
    for index, row in enumerate(rows):
        heading = _HEADING.match(row)
        if heading is None:
            continue
        following = rows[index + 1 : index + 8]
        place = next((match for text in following if (match := _PLACE.match(text))), None)
        line = _LINE.search(place.string, place.end()) if place else None
        title = next((text[2:] for text in following if text.startswith("> ")), "")
        path = read_name(place[1]) if place else ""
        yield _ShownFinding(
            int(heading[1]), path, int(line[1]) if line else None, title, heading[2] is not None
        )


_THREAD = re.compile(r'^It is on ("(?:[^"\\]|\\.)*"), RIGHT lines? (?:(\d{1,9}) to )?(\d{1,9})')
_SUGGESTIBLE = "## The suggestion"


def answer_of(prompt: str) -> dict[str, Any]:
    """Returns the arguments of `answer`: what a rule says of the thread's lines, else of the other rows shown."""
    rows = prompt.split("\n")
    thread = next((match for row in rows if (match := _THREAD.match(row))), None)
    findings = findings_in(prompt)
    on_thread = [finding for finding in findings if thread and _is_on(thread, finding)]
    finding = next(iter([*on_thread, *findings]), None)
    if finding is None:
        return {"text": "Rules, not a model, read this question, and they cannot answer it.", "done": True}
    place = f"line {finding['line']} of {finding['path']}"
    seen = f"{finding['title']}. {finding['body']}"
    answer = {"text": f"Rules, not a model, read this question. Of {place} they say: {seen}", "done": True}
    one_line = thread is not None and thread[2] is None
    if on_thread and one_line and _SUGGESTIBLE in rows and "suggestion" in finding:
        answer["suggestion"] = finding["suggestion"]
    return answer


def _is_on(thread: re.Match[str], finding: Mapping[str, Any]) -> bool:
    first, last = int(thread[2] or thread[3]), int(thread[3])
    return finding["path"] == read_name(thread[1]) and finding["line"] in range(first, last + 1)

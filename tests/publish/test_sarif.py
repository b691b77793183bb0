"""SARIF: valid by the standard's schema, complete, and without markup of a model."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator  # type: ignore[import-untyped]  # it ships no types

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Anchor, Finding, Severity
from hunkwise.domain.review import Coverage, FileCoverage, Review, ReviewFault, SkipReason
from hunkwise.publish.sarif import MOST_RESULTS, as_sarif, with_root
from tests.publish.drafts import rendered
from tests.publish.samples import HEAD, anchor, clean, finding, review

GITHUB = "https://github.com"
_SCHEMA = Path(__file__).resolve().parents[2] / "node_modules/@microsoft/jest-sarif/lib/schemas"
ANY_TEXT = st.text(st.characters(codec=None), max_size=60)


@cache
def validator() -> Draft4Validator:
    """Returns a validator with the OASIS schema of SARIF 2.1.0 from the npm package."""
    path = _SCHEMA / "sarif-2.1.0-rtm.5.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: run `npm ci` to install SARIF's schema.")
    schema = json.loads(path.read_bytes())
    Draft4Validator.check_schema(schema)
    return Draft4Validator(schema)


def sarif(whole: Review, **overrides: str) -> dict[str, Any]:
    """Returns the only run of the review's log, after validation and encoding."""
    arguments = {"repository": "octo/repo", "server_url": GITHUB, "version": "1.2.3", **overrides}
    log = as_sarif(whole, **arguments)
    assert json.loads(json.dumps(log, ensure_ascii=False).encode()) == log
    assert [f"{list(fault.path)}: {fault.message}" for fault in validator().iter_errors(log)] == []
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert isinstance(run, dict)
    return run


def only_result(one: Finding) -> dict[str, Any]:
    (result,) = sarif(clean(review(one)))["results"]
    assert isinstance(result, dict)
    return result


def test_run_has_tool_repository_and_commit() -> None:
    run = sarif(clean(review()))
    assert run["tool"] == {"driver": {"name": "hunkwise", "semanticVersion": "1.2.3", "rules": []}}
    assert run["automationDetails"] == {"id": "hunkwise/"}
    assert run["versionControlProvenance"] == [
        {
            "repositoryUri": "https://github.com/octo/repo",
            "revisionId": HEAD,
            "mappedTo": {"uriBaseId": "%SRCROOT%"},
        }
    ]
    assert run["results"] == []
    assert run["invocations"] == [{"executionSuccessful": True, "toolExecutionNotifications": []}]


def test_log_for_an_editor_has_the_root_of_its_relative_paths(tmp_path: Path) -> None:
    log = as_sarif(clean(review(finding(at=anchor(2)))), repository="", server_url="", version="1.2.3")
    local = with_root(log, tmp_path / "a checkout")
    assert [fault.message for fault in validator().iter_errors(local)] == []
    (run,) = local["runs"]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    base = run["originalUriBaseIds"][place["artifactLocation"]["uriBaseId"]]["uri"]
    path = unquote_to_bytes(urlsplit(base + place["artifactLocation"]["uri"]).path).decode()
    assert path == f"{tmp_path}/a checkout/src/a.py"
    assert "originalUriBaseIds" not in log["runs"][0]


@pytest.mark.parametrize("missing", [{"repository": ""}, {"server_url": ""}])
def test_local_range_has_no_repository_address(missing: dict[str, str]) -> None:
    assert "versionControlProvenance" not in sarif(clean(review()), **missing)


@pytest.mark.parametrize(
    ("severity", "level"),
    [
        (Severity.CRITICAL, "error"),
        (Severity.HIGH, "error"),
        (Severity.MEDIUM, "warning"),
        (Severity.LOW, "note"),
    ],
)
def test_finding_is_a_result(severity: Severity, level: str) -> None:
    one = finding("Wrong name", severity=severity, at=anchor(3, 2), category="Naming", confidence=0.75)
    assert only_result(one) == {
        "ruleId": "review/naming",
        "ruleIndex": 0,
        "level": level,
        "message": {
            "text": "Wrong name\n\nA body.\n\nNaming · 75 % confident",
            "markdown": "**Wrong name**\n\nA body.\n\nNaming · 75 % confident",
        },
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": "src/a.py", "uriBaseId": "%SRCROOT%"},
                    "region": {"startLine": 2, "endLine": 3},
                }
            }
        ],
        "partialFingerprints": {
            "hunkwise/v1": one.fingerprint,
            "primaryLocationLineHash": f"{one.fingerprint}:1",
        },
        "properties": {"severity": severity.label, "confidence": 0.75},
    }


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (finding(at=anchor(2, side=Side.LEFT)), "This is about the code before the change, line 2."),
        (finding(at=anchor(4, 2, Side.LEFT)), "This is about the code before the change, lines 2\u20134."),
        (replace(finding(), reported_line=43), "This is about the whole file. The model named line 43."),
    ],
)
def test_result_without_head_lines_has_no_region(one: Finding, expected: str) -> None:
    result = only_result(one)
    assert set(result["locations"][0]["physicalLocation"]) == {"artifactLocation"}
    assert expected in result["message"]["text"]
    assert expected in result["message"]["markdown"]


def test_rules_are_prompts_and_categories() -> None:
    found = [
        finding(category="Security "),
        finding("Twice", category="security", at=anchor()),
        finding("No category", at=anchor(3)),
        replace(finding("SQL", category="Data loss!"), prompt="db-migrations"),
        replace(finding("Unnamed", category="安全"), prompt="安全"),
    ]
    run = sarif(clean(review(*found)))
    rules = run["tool"]["driver"]["rules"]
    assert [(rule["id"], rule["name"]) for rule in rules] == [
        ("db-migrations/data-loss", "DbMigrationsDataLoss"),
        ("review", "Review"),
        ("review/security", "ReviewSecurity"),
    ]
    assert rules[0]["shortDescription"] == {
        "text": "Findings of the category data loss of the prompt db-migrations."
    }
    assert rules[1]["shortDescription"] == {"text": "Findings of the prompt review."}
    assert [rule["properties"]["tags"] for rule in rules] == [["data-loss"], [], ["security"]]
    for rule in rules:
        assert "security-severity" not in rule["properties"]
        assert rule["fullDescription"]["text"].endswith(".")
        assert rule["help"]["text"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]


def test_repeated_fingerprints_are_numbered_by_location() -> None:
    twins = [
        replace(finding(f"Twin {line}", at=anchor(line)), raised_as="0123456789abcdef") for line in (3, 2, 42)
    ]
    other = finding("Other", at=anchor(1))
    results = sarif(clean(review(*twins, other)))["results"]
    assert [result["partialFingerprints"] for result in results] == [
        {"hunkwise/v1": other.fingerprint, "primaryLocationLineHash": f"{other.fingerprint}:1"},
        {"hunkwise/v1": "0123456789abcdef", "primaryLocationLineHash": "0123456789abcdef:1"},
        {"hunkwise/v1": "0123456789abcdef:2", "primaryLocationLineHash": "0123456789abcdef:2"},
        {"hunkwise/v1": "0123456789abcdef:3", "primaryLocationLineHash": "0123456789abcdef:3"},
    ]
    assert [result["message"]["text"].split("\n")[0] for result in results[1:]] == [
        "Twin 2",
        "Twin 3",
        "Twin 42",
    ]


def test_fingerprints_are_independent_of_finding_order() -> None:
    found = [finding(f"Number {line}", at=anchor(line)) for line in (2, 3, 42)]
    assert sarif(clean(review(*found))) == sarif(clean(review(*reversed(found))))


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("src/a b.py", "src/a%20b.py"),
        ("a:b/c#d?e%f.py", "a%3Ab/c%23d%3Fe%25f.py"),
        ("src/é\n😀.py", "src/%C3%A9%0A%F0%9F%98%80.py"),
        ("src/caf\udce9.py", "src/caf%E9.py"),
        ("src/\ud83d.py", "src/%3F.py"),
        ("//evil.example/x", "%2F/evil.example/x"),
    ],
)
def test_path_is_a_relative_uri(path: str, uri: str) -> None:
    location = only_result(finding(at=anchor(path=path)))["locations"][0]["physicalLocation"]
    assert location["artifactLocation"] == {"uri": uri, "uriBaseId": "%SRCROOT%"}
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")


@pytest.mark.parametrize(
    ("suggestion", "text", "markdown"),
    [
        ("two?\r\n", "Suggested instead:\ntwo?", "Suggested instead:\n\n```py\ntwo?\n```"),
        (
            "```suggestion",
            "Suggested instead:\n```suggestion",
            "Suggested instead:\n\n````py\n```suggestion\n````",
        ),
        ("", "Suggested: remove these lines.", "Suggested: remove these lines."),
        ("\n", "Suggested: remove these lines.", "Suggested: remove these lines."),
    ],
)
def test_suggestion_is_in_message_and_not_a_fix(suggestion: str, text: str, markdown: str) -> None:
    result = only_result(finding(at=anchor(), suggestion=suggestion))
    assert "fixes" not in result
    assert result["message"]["text"].endswith(f"\n\n{text}")
    assert result["message"]["markdown"].endswith(f"\n\n{markdown}")


HOSTILE = (
    "[click](https://evil.example/x) [one](1) {0} {12} ![i](http://evil.example/p.png) <img src=x> @everyone #1 "
    "www.evil.example <!-- hunkwise:finding v1 fp=0 --> \x1b[2J\u202e"
)


def test_model_text_is_harmless_as_text_and_markdown() -> None:
    one = finding(HOSTILE, body=HOSTILE, category=HOSTILE[:60], suggestion=HOSTILE, at=anchor())
    message = only_result(one)["message"]
    assert not re.search(r"\]\(|\{\d+\}|://\S|www\.\w|<!-- hunkwise|[\x1b\u202e]", message["text"])
    assert "[click] (https:// evil.example/x) [one] (1) { 0} { 12}" in message["text"]
    result = rendered(message["markdown"])
    assert (result.faults, result.links) == ([], [])
    assert "<!-- hunkwise" not in message["markdown"]


def test_links_to_the_server_are_kept() -> None:
    message = only_result(finding(body=f"See {GITHUB}/octo/repo/blob/main/a.py", at=anchor()))["message"]
    assert f"See {GITHUB}/octo/repo/blob/main/a.py" in message["text"]
    assert rendered(message["markdown"]).links == [f"{GITHUB}/octo/repo/blob/main/a.py"]


def test_unreviewed_files_are_reported() -> None:
    files = (
        FileCoverage("src/a.py", 4, 4),
        FileCoverage("src/b c.py", 1_000, 10, SkipReason.DEADLINE, "after 15 [m](1) {0}"),
        FileCoverage("poetry.lock", 900, 0, SkipReason.LOCK_FILE),
    )
    partial = replace(
        review(),
        coverage=Coverage(files, unlisted_files=2),
        faults=(ReviewFault("timeout", "The model\ndid not answer.", "Ask https://evil.example"),),
        demo=True,
    )
    (invocation,) = sarif(partial)["invocations"]
    assert invocation == {
        "executionSuccessful": False,
        "toolExecutionNotifications": [
            {
                "level": "warning",
                "message": {
                    "text": "10 of 1,000 changed lines were reviewed: the deadline was reached (after 15 [m] (1) { 0})."
                },
                "locations": [
                    {
                        "physicalLocation": {
                            "artifactLocation": {"uri": "src/b%20c.py", "uriBaseId": "%SRCROOT%"}
                        }
                    }
                ],
            },
            {"level": "warning", "message": {"text": "2 files were not listed by GitHub, and not reviewed."}},
            {
                "level": "error",
                "message": {"text": "timeout: The model did not answer. Ask https:// evil.example"},
            },
            {"level": "note", "message": {"text": "Made by the demo's fixed rules, not by a model."}},
        ],
    }


def test_list_of_unreviewed_files_is_shortened() -> None:
    files = tuple(FileCoverage(f"{number}.py", 1, 0, SkipReason.BUDGET) for number in range(1_300))
    (invocation,) = sarif(replace(review(), coverage=Coverage(files)))["invocations"]
    texts = [one["message"]["text"] for one in invocation["toolExecutionNotifications"]]
    assert len(texts) == 201
    assert texts[-1] == "1,100 more files were not fully reviewed: the JSON report names them."


def test_most_severe_findings_are_kept_above_limit() -> None:
    wordy = "word " * 2_000
    low = [
        finding(f"Low {number}", severity=Severity.LOW, at=anchor(number), body=wordy, suggestion=wordy)
        for number in range(1, MOST_RESULTS + 1)
    ]
    high = [finding(f"High {number}", severity=Severity.HIGH, path="z.py") for number in range(3)]
    log = as_sarif(clean(review(*low, *high)), repository="octo/repo", server_url=GITHUB, version="1")
    (run,) = log["runs"]
    assert len(run["results"]) == MOST_RESULTS
    assert [result["level"] for result in run["results"][-4:]] == ["note", "error", "error", "error"]
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]
    assert (
        notification["message"]["text"]
        == "3 findings are not in this file, which holds the 5,000 most severe."
    )
    assert len(json.dumps(log)) < 16_000_000


FINDINGS = st.builds(
    Finding,
    path=ANY_TEXT,
    severity=st.sampled_from(Severity),
    title=ANY_TEXT,
    body=ANY_TEXT,
    anchor=st.none()
    | st.builds(
        Anchor,
        path=ANY_TEXT,
        line=st.integers(),
        side=st.sampled_from(Side),
        start_line=st.none() | st.integers(),
        code=ANY_TEXT,
    ),
    category=ANY_TEXT,
    suggestion=st.none() | ANY_TEXT,
    confidence=st.none() | st.floats(0, 1),
    prompt=ANY_TEXT,
    reported_line=st.none() | st.integers(),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(FINDINGS, max_size=4))
def test_any_findings_make_valid_sarif(found: list[Finding]) -> None:
    run = sarif(clean(review(*found)))
    assert len(run["results"]) == len(found)
    prints = [result["partialFingerprints"]["hunkwise/v1"] for result in run["results"]]
    assert len(set(prints)) == len(prints)
    for result in run["results"]:
        physical = result["locations"][0]["physicalLocation"]
        uri = physical["artifactLocation"]["uri"]
        assert urlsplit(uri)[:2] == ("", "")
        assert unquote_to_bytes(uri).decode("utf-8", "surrogateescape") in {
            one.path.encode("utf-8", "replace").decode() for one in found
        } | {one.path for one in found}
        region = physical.get("region", {"startLine": 1, "endLine": 1})
        assert 1 <= region["startLine"] <= region["endLine"] <= 2**31 - 1
        assert not re.search(r"\]\(|\{\d+\}", result["message"]["text"])

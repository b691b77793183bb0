"""What each part of a run makes of its one deadline."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from hunkwise.commands.journal import Journal, write_json
from hunkwise.domain.finding import Finding
from hunkwise.domain.model import PUBLISHING_SECONDS, Deadlines
from tests.publish.samples import anchor, finding


def at(seconds: float, minutes: float) -> Deadlines:
    """`seconds` after a run began at 1,000."""
    return Deadlines(1_000.0, minutes, clock=lambda: 1_000.0 + seconds)


@pytest.mark.parametrize(
    ("minutes", "asking", "last"),
    [(15, 870, 900), (5, 270, 300), (360, 21_570, 21_600), (1, 54, 84), (0.1, 5.4, 35.4)],
)
def test_publishing_has_thirty_seconds_within_the_deadline_where_that_is_long_enough(
    minutes: float, asking: float, last: float
) -> None:
    deadlines = at(0, minutes)
    assert deadlines.asking_ends == pytest.approx(1_000 + asking)
    assert deadlines.seconds_to_ask() == pytest.approx(asking)
    assert deadlines.seconds_left() == pytest.approx(minutes * 60)
    assert deadlines.last_seconds() == pytest.approx(last)
    assert last - asking == pytest.approx(PUBLISHING_SECONDS)


def test_nothing_is_left_when_all_is_over() -> None:
    deadlines = at(901, 15)
    assert deadlines.seconds_to_ask() == pytest.approx(-31)
    assert (deadlines.seconds_left(), deadlines.last_seconds()) == (0, 0)


def test_they_move_when_the_configuration_tells_another_deadline() -> None:
    deadlines = at(100, 15)
    deadlines.minutes = 2
    assert deadlines.seconds_left() == 20
    deadlines.minutes = 60
    assert deadlines.last_seconds() == 3_500


def test_each_finding_is_a_line_of_json_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "journal.jsonl"
    journal = Journal(path)
    journal(finding("One\nline", at=anchor(2)))
    journal(finding("\ud800 é"))
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["title"] for line in lines] == ["One\nline", "\ud800 é"]
    assert lines[0]["anchor"]["line"] == 2
    assert len(lines[0]["fingerprint"]) == 16


def test_a_finding_that_holds_a_secret_is_neither_written_nor_shown(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    heard: list[str] = []
    journal = Journal(path, lambda line: "secret" in line, lambda found: heard.append(found.title))
    journal(finding("A secret"))
    journal(finding("Harmless"))
    assert heard == ["Harmless"]
    assert [json.loads(line)["title"] for line in path.read_text().splitlines()] == ["Harmless"]


def test_a_disk_that_takes_no_more_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    heard: list[Finding] = []
    journal = Journal(tmp_path / "file" / "journal.jsonl", listener=heard.append)
    with caplog.at_level(logging.WARNING):
        journal(finding())
        journal(finding())
    assert [record.getMessage().endswith("the review goes on.") for record in caplog.records] == [True]
    assert heard == [finding(), finding()]


def test_a_report_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.json"
    assert write_json(path, {"title": "é"})
    assert path.read_text(encoding="utf-8") == '{\n "title": "é"\n}\n'


def test_a_report_that_cannot_be_written_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    assert not write_json(tmp_path / "file" / "report.json", {})
    assert "cannot be written" in caplog.text

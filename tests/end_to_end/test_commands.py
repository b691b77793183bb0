"""What each command in a comment does: on the pull request, in a thread, and with a finding's id."""

from __future__ import annotations

from threading import Thread

import pytest

from hunkwise.domain.pull_request import Comment
from hunkwise.tracking.markers import HiddenState, raised_in
from hunkwise.tracking.state import latest_state
from tests.end_to_end.commands import (
    AnyComment,
    answer_call,
    command,
    open_thread,
    reactions,
    replies,
    reply,
    run,
    write,
)
from tests.end_to_end.github_snapshot import snapshot
from tests.end_to_end.prompts import user_text
from tests.end_to_end.world import BASE, World, finding, report_call, wait_until
from tests.end_to_end.write_log import report_faults
from tests.fakes.github_state import BOT, IssueComment
from tests.fakes.github_state import Thread as ReviewThread
from tests.fakes.model_script import Answer, ModelRequest, turns

DONE, REFUSED = ["eyes", "rocket"], ["eyes", "confused"]
FAULTY = {"app.py": BASE["app.py"].replace("line 3\n", "fault(A, high)\n").replace("line 30\n", "fault(B)\n")}
GATE = {"fail-on": "high"}


def answer_all(request: ModelRequest) -> Answer:
    """Reports the marked faults where a review asks, and answers questions."""
    return answer_call() if "answer" in request.tool_names else report_faults(request)


def review(world: World) -> ReviewThread:
    """Opens pull request 1 and reviews it; returns the thread of its severe finding."""
    world.change(BASE, FAULTY, script=answer_all)
    world.run(GATE, code=1)
    world.model.requests.clear()
    return world.github.threads[0]


def state(world: World) -> HiddenState:
    ours = [Comment(one.id, one.body) for one in world.github.issue_comments if one.author == BOT]
    found = latest_state(ours, repository="octo/repo", number=1)
    assert found is not None
    return found


def short_id(thread: ReviewThread) -> str:
    """Returns the finding's id as a person would write it."""
    (record,) = raised_in(thread.comments[0].body)
    return record.fingerprint[:7]


def outcome(comment: AnyComment, world: World) -> tuple[list[str], str]:
    return reactions(comment), reply(world, comment)


def test_review_posts_what_is_new_and_replies_with_the_verdict(world: World) -> None:
    world.change(BASE, FAULTY, script=answer_all)
    comment, result = command(world, "/hunkwise review", inputs=GATE, code=1)
    assert snapshot(world).comments == (("app.py", 3, "Fault A"), ("app.py", 30, "Fault B"))
    head = world.github.hub.pulls[1].head_sha[:12]
    assert reactions(comment) == DONE
    assert reply(world, comment).endswith(f"(`{head}`)")
    assert result.report["conclusion"] == "failure"
    asked = len(world.model.requests)
    again, _ = command(world, "/hunkwise review", inputs=GATE, code=1)
    assert len(world.model.requests) == asked  # nothing is new
    command(world, "/hunkwise review full", inputs=GATE, code=1)
    assert len(world.model.requests) == asked + 1
    assert snapshot(world).comments == (("app.py", 3, "Fault A"), ("app.py", 30, "Fault B"))
    assert reactions(again) == DONE


def test_review_uses_the_named_prompts_of_the_base_only(world: World) -> None:
    config = "version: 1\nprompts: [review, {name: mine, template: mine.md.j2}]\n"
    base = {**BASE, ".github/hunkwise.yml": config, "mine.md.j2": "MINE\n{{ chunk.files[0].path }}"}
    world.change(base, FAULTY, script=turns([report_call(finding())]))
    command(world, "/hunkwise review mine")
    assert ["MINE" in user_text(one) for one in world.model.requests] == [True]


@pytest.mark.parametrize(
    ("names", "code", "why"),
    [("nothing", 2, "nothing"), ("../x", 0, "/hunkwise review"), ("review verify", 0, "`verify`")],
)
def test_review_by_unknown_prompt_is_refused(world: World, names: str, code: int, why: str) -> None:
    world.change(BASE, FAULTY, script=answer_all)
    comment, _ = command(world, f"/hunkwise review {names}", code=code)
    assert reactions(comment) == REFUSED
    assert why in reply(world, comment)
    assert (world.model.requests, world.github.reviews, world.github.check_runs) == ([], [], [])


def test_help_lists_commands_and_config_shows_settings_of_the_base(world: World) -> None:
    config = "version: 1\nmin-severity: high\n"
    world.change({**BASE, ".github/hunkwise.yml": config}, {".github/hunkwise.yml": "version: 1\n"})
    asked, _ = command(world, "/hunkwise help")
    shown, _ = command(world, "/hunkwise config")
    for comment in (asked, shown):
        assert reactions(comment) == DONE
    assert "`/hunkwise reopen [ID] [REASON]`" in reply(world, asked)
    assert "min-severity" in reply(world, shown)
    assert "high" in reply(world, shown)
    assert world.model.requests == []


@pytest.mark.parametrize("in_thread", [False, True])
def test_ask_is_answered_where_it_was_asked(world: World, in_thread: bool) -> None:
    thread = review(world)
    comment, result = command(world, "/hunkwise ask Why?\nReally?", on=thread if in_thread else 1)
    head = f"<sub>At `{world.github.hub.pulls[1].head_sha[:12]}`.</sub>"
    quotation = "" if in_thread else "> \\/hunkwise ask Why?\n\n"
    assert outcome(comment, world) == (DONE, f"{quotation}It is **wrong** at app.py:3.\n\n{head}")
    assert len(thread.comments) == (3 if in_thread else 1)
    assert len(world.model.requests) == 1
    assert result.commands("notice") == ["The command was answered."]


def test_ask_in_reply_to_a_reply_is_answered_below_the_first_comment(world: World) -> None:
    world.change(BASE, FAULTY, script=answer_all)
    thread = open_thread(world, "octocat", "Look here.")
    write(world, "I do.", by="other", on=thread)
    comment, _ = command(world, "/hunkwise ask Why?", on=thread)
    assert [one.author for one in thread.comments] == ["octocat", "other", "maintainer", BOT]
    (sent,) = [one for one in world.github.writes if one.path.endswith("/replies")]
    assert sent.path.endswith(f"/pulls/1/comments/{thread.comments[0].id}/replies")
    assert reactions(comment) == DONE


def test_explain_answers_in_a_thread_and_refuses_on_the_pull_request(world: World) -> None:
    thread = review(world)
    comment, _ = command(world, "/hunkwise explain", on=thread)
    assert reactions(comment) == DONE
    assert len(world.model.requests) == 1
    other, _ = command(world, "/hunkwise explain")
    assert outcome(other, world) == (REFUSED, "`/hunkwise explain` answers in a review thread only.")
    assert len(world.model.requests) == 1


def test_suggest_offers_what_can_be_committed(world: World) -> None:
    thread = review(world)
    world.answer_with(turns([answer_call(suggestion="third")]))
    comment, _ = command(world, "/hunkwise suggest", on=thread)
    assert reactions(comment) == DONE
    assert "```suggestion\nthird\n```" in reply(world, comment)


@pytest.mark.parametrize("suggestion", ["```\nthird\n```\nmore\n# ... the rest of the code", ""])
def test_suggest_says_why_there_is_no_suggestion(world: World, suggestion: str) -> None:
    thread = review(world)
    world.answer_with(turns([answer_call(suggestion=suggestion)]))
    comment, _ = command(world, "/hunkwise suggest", on=thread)
    assert reactions(comment) == DONE
    assert "```suggestion" not in reply(world, comment)
    assert "There is no suggestion to commit: " in reply(world, comment)


def test_suggest_in_thread_of_a_person_asks_no_model(world: World) -> None:
    world.change(BASE, FAULTY, script=answer_all)
    thread = open_thread(world, "octocat", "Look here.")
    comment, _ = command(world, "/hunkwise suggest", on=thread)
    assert "There is no suggestion to commit: " in reply(world, comment)
    assert world.model.requests == []


def test_dismiss_and_reopen_in_thread(world: World) -> None:
    thread = review(world)
    comment, _ = command(world, "/hunkwise dismiss It is a test.", on=thread)
    assert reactions(comment) == DONE
    assert reply(world, comment).startswith("Dismissed by `maintainer`.")
    assert thread.resolved
    assert world.run(GATE, code=0).outputs["findings"] == "1"
    comment, _ = command(world, "/hunkwise reopen", on=thread)
    assert reply(world, comment).startswith("Reopened by `maintainer`.")
    assert not thread.resolved
    assert world.run(GATE, code=1).outputs["findings"] == "2"
    assert len(world.github.threads) == 2


def test_dismiss_and_reopen_without_permission_to_resolve(world: World) -> None:
    thread = review(world)
    world.github.refused_mutations.update(("resolveReviewThread", "unresolveReviewThread"))
    comment, _ = command(world, "/hunkwise dismiss", on=thread)
    assert (reactions(comment), thread.resolved) == (DONE, False)
    assert world.run(GATE, code=0).outputs["findings"] == "1"
    command(world, "/hunkwise reopen", on=thread)
    assert world.run(GATE, code=1).outputs["findings"] == "2"


def test_dismiss_and_reopen_by_id_on_pull_request(world: World) -> None:
    thread = review(world)
    comment, _ = command(world, f"/hunkwise dismiss {short_id(thread)} It is a test.")
    assert outcome(comment, world) == (DONE, "Dismissed by `maintainer`. Fault A")
    assert thread.resolved
    assert thread.comments[-1].author == BOT
    assert world.run(GATE, code=0).outputs["findings"] == "1"
    command(world, f"/hunkwise reopen {short_id(thread)}")
    assert not thread.resolved
    assert world.run(GATE, code=1).outputs["findings"] == "2"


def test_dismiss_and_reopen_by_id_of_finding_without_thread(world: World) -> None:
    found = report_call(finding("other.py", 1, "high", title="Elsewhere"))
    world.change({**BASE, "other.py": "1\n"}, FAULTY, script=turns([found]))
    world.run(GATE, code=1)
    (record,) = state(world).findings
    command(world, f"/hunkwise dismiss {record.fingerprint}")
    assert world.run(GATE, code=0).outputs["findings"] == "0"
    command(world, f"/hunkwise reopen {record.fingerprint}")
    assert world.run(GATE, code=1).outputs["findings"] == "1"
    assert world.github.threads == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("dismiss", "`/hunkwise dismiss` needs the id of a finding here: `/hunkwise dismiss ID`."),
        ("reopen 0000000", "No finding has an id that begins with `0000000`."),
    ],
)
def test_dismiss_of_unknown_finding_is_refused(world: World, line: str, why: str) -> None:
    review(world)
    comment, _ = command(world, f"/hunkwise {line}")
    assert outcome(comment, world) == (REFUSED, why)


def test_dismiss_in_thread_of_a_person_is_refused(world: World) -> None:
    review(world)
    thread = open_thread(world, "octocat", "Look here.", line=4)
    comment, _ = command(world, "/hunkwise dismiss", on=thread)
    assert outcome(comment, world) == (REFUSED, "This thread has no finding of hunkwise.")
    assert not thread.resolved


def test_stop_pauses_automatic_reviews_until_resume(world: World) -> None:
    world.change(BASE, FAULTY, script=answer_all)
    comment, _ = command(world, "/hunkwise stop")
    assert reactions(comment) == DONE
    assert reply(world, comment).startswith("Automatic reviews of this pull request are paused.")
    assert "are paused, by maintainer on 2026-01-02 at 03:04 UTC" in world.summary_comment
    assert world.run(code=0).outputs["findings"] == "0"
    assert world.model.requests == []
    command(world, "/hunkwise review", inputs=GATE, code=1)
    assert "are paused, by maintainer" in world.summary_comment
    comment, _ = command(world, "/hunkwise resume")
    assert reactions(comment) == DONE
    assert "are paused" not in world.summary_comment
    assert world.run(GATE, code=1).outputs["findings"] == "2"
    comment, _ = command(world, "/hunkwise resume")
    assert reply(world, comment) == "Automatic reviews of this pull request are not paused."


def test_stop_ends_a_running_review(world: World) -> None:
    def stop_meanwhile(request: ModelRequest) -> Answer:
        started.append(start_stop(world))
        return report_faults(request)

    started: list[Thread] = []
    world.change(BASE, FAULTY, script=stop_meanwhile)
    result = world.run(code=0)
    assert "A comment `/hunkwise resume` continues them. Nothing was posted." in result.warning_text
    assert (world.github.reviews, world.github.comments) == ([], [])
    started[0].join()
    assert [reactions(comment) for comment in commands_of(world)] == [DONE]
    assert "are paused, by maintainer" in world.summary_comment


@pytest.mark.parametrize("again", [False, True], ids=["first review", "later review"])
def test_stop_while_a_review_is_posted_is_kept(world: World, again: bool) -> None:
    world.change(BASE, FAULTY, script=report_faults)
    if again:
        world.run(code=0)
        world.push({"app.py": FAULTY["app.py"].replace("line 20\n", "fault(C)\n")})
    started: list[Thread] = []
    world.github.when("POST", "/reviews$", lambda: started.append(start_stop(world)), after=True)
    world.run(code=0)
    assert len(world.github.comments) == 2 + again
    started[0].join()
    assert [reactions(comment) for comment in commands_of(world)] == [DONE]
    assert "are paused, by maintainer" in world.summary_comment
    written = len(world.github.writes)
    assert world.run(code=0).outputs["findings"] == "0"
    assert len(world.github.writes) == written


def start_stop(world: World) -> Thread:
    """Starts the step of a `stop` in a thread, and waits until the pause is written."""
    comment = write(world, "/hunkwise stop")
    thread = Thread(target=lambda: run(world, comment))
    thread.start()
    wait_until(lambda: any("⏸️" in one.body for one in world.github.issue_comments))
    return thread


def commands_of(world: World) -> list[IssueComment]:
    return [one for one in world.github.issue_comments if one.body.startswith("/hunkwise ")]


def test_unknown_word_is_answered_with_help_once(world: World) -> None:
    world.change(BASE, FAULTY, script=answer_all)
    comment, _ = command(world, "/hunkwise reveiw")
    run(world, comment)
    assert reactions(comment) == REFUSED
    assert "Did you mean `/hunkwise review [full] [PROMPT…]`?" in reply(world, comment)
    assert len(replies(world)) == 1
    assert world.model.requests == []


def test_comment_without_command_starts_nothing(world: World) -> None:
    thread = review(world)
    sent = len(world.github.journal)
    for body in ("Why?", "@github-actions why?", "hunkwise ask Why?", " /hunkwise ask Why?"):
        for place in (1, thread):
            command(world, body, on=place)
    assert len(world.github.journal) == sent
    assert world.model.requests == []

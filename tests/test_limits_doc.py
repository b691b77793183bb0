"""docs/limits.md tells the numbers that the code holds to, and tests that are there."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from hunkwise.settings.sources import json_schema
from tests.pages import ROOT, page

_ROWS = {
    cells[0]: cells[1:]
    for line in page("docs/limits.md").splitlines()
    if line.startswith("| ") and not line.startswith("| What |")
    for cells in [[cell.strip() for cell in line.strip("|").split(" | ")]]
}
_LIMITS: dict[str, tuple[list[str], str]] = {
    "Event file (GITHUB_EVENT_PATH)": (
        ["hunkwise.settings.events:MAX_PAYLOAD_BYTES"],
        "tests/end_to_end/test_machine_faults.py::test_names_unreadable_event_file",
    ),
    "One input": (
        ["hunkwise.settings.parsing:MAX_INPUT"],
        "tests/settings/test_inputs.py::test_too_long_input_is_an_error_without_the_value",
    ),
    "Prompts of a run": (
        ["hunkwise.settings.prompt_settings:MAX_PROMPTS"],
        "tests/settings/test_inputs.py::test_unused_prompts_and_addresses_are_counted",
    ),
    "Addresses in `copilot-url`": (
        ["hunkwise.settings.inputs:MAX_ADDRESSES"],
        "tests/settings/test_inputs.py::test_unused_prompts_and_addresses_are_counted",
    ),
    "Unknown inputs that are named": (
        ["hunkwise.settings.parsing:MAX_UNKNOWN"],
        "tests/settings/test_inputs.py::test_further_unknown_inputs_are_counted",
    ),
    "Configuration file": (
        ["hunkwise.settings.strict_yaml:MAX_BYTES", "hunkwise.settings.strict_yaml:MAX_DEPTH"],
        "tests/settings/test_strict_yaml.py::test_unreadable_document_has_one_error",
    ),
    "Faults of a configuration that are named": (
        ["hunkwise.settings.config_errors:MAX_FAULTS"],
        "tests/settings/test_config.py",
    ),
    "A prompt's template": (
        ["hunkwise.flows.base_config:MAX_TEMPLATE"],
        "tests/flows/test_base_config.py",
    ),
    "Files of instructions": (
        ["hunkwise.flows.instructions:MAX_INSTRUCTION_FILES", "hunkwise.flows.instructions:MAX_TEXT"],
        "tests/flows/test_base_config.py::test_instructions_of_which_a_part_is_read_are_named",
    ),
    "A file of the repository that is read whole": (
        ["hunkwise.repository.trees:MAX_FILE", "hunkwise.github.client:MAX_TOOL_FILE"],
        "tests/commands/test_pull_request.py::test_a_file_that_is_too_large_is_neither_empty_nor_gone",
    ),
    "A file that is read over the API to make a patch": (
        ["hunkwise.github.client:MAX_FILE", "hunkwise.flows.fetch:_MAX_BLOB_FILES"],
        "tests/flows/test_fetch.py::test_no_more_than_fifty_withheld_patches_are_made_of_blobs",
    ),
    "A binary file in which `#!` is looked for": (
        ["hunkwise.flows.fetch:_LARGEST_SCRIPT", "hunkwise.flows.fetch:_MOST_SCRIPTS"],
        "tests/flows/test_fetch.py::test_the_checkout_tells_scripts_among_binary_files",
    ),
    "The base's `.gitattributes`": (
        ["hunkwise.flows.instructions:MAX_TEXT"],
        "tests/flows/test_fetch.py::test_of_large_attributes_the_first_lines_count",
    ),
    "Folders with changed files whose `AGENTS.md` and `.gitattributes` are read": (
        ["hunkwise.flows.instructions:MAX_NESTED", "hunkwise.github.client:MAX_LOOKUP_FILES"],
        "tests/flows/test_base_config.py::test_folders_beyond_the_limit_are_counted",
    ),
    "An answer of GitHub's API, unpacked": (
        ["hunkwise.github.responses:MAX_ANSWER"],
        "tests/github/test_transport.py::test_too_large_response_is_not_read_to_its_end",
    ),
    "Files that GitHub lists": (
        ["hunkwise.domain.limits:CHANGED_FILES"],
        "tests/end_to_end/test_large.py::test_files_beyond_githubs_list_need_a_checkout",
    ),
    "Threads, comments and reviews that are read": (
        ["hunkwise.github.connection:MOST_PAGES", "hunkwise.github.connection:PAGE"],
        "tests/github/test_conversation.py",
    ),
    "Git's diff": (
        ["hunkwise.repository.git:DIFF_LIMIT"],
        "tests/repository/test_git.py::test_diff_above_limit_lists_files_without_patch",
    ),
    "Any other short answer of git": (
        ["hunkwise.repository.git:SMALL_OUTPUT"],
        "tests/repository/test_git_process.py::test_endless_output_is_read_to_the_limit",
    ),
    "Patch of one file": (
        ["hunkwise.plan.selection:PATCH_LIMIT"],
        "tests/plan/test_selection.py::test_file_without_readable_lines_has_a_reason",
    ),
    "One line of a diff": (
        ["hunkwise.domain.text:LINE_LIMIT"],
        "tests/plan/test_chunking.py",
    ),
    "A report that is published (`publish`)": (
        ["hunkwise.publish.report_input:MAX_BYTES", "hunkwise.publish.report:MAX_FINDINGS"],
        "tests/publish/test_report_input.py::test_too_many_findings_are_an_error",
    ),
    "State in the summary comment, unpacked": (
        ["hunkwise.tracking.state:_LARGEST"],
        "tests/tracking/test_state.py",
    ),
    "A rendered prompt": (
        ["hunkwise.prompts.sandbox:MAX_PROMPT"],
        "tests/prompts/test_sandbox.py::test_prompt_of_maximum_length_is_rendered",
    ),
    "A template of your own": (
        [
            "hunkwise.prompts.renderer:SECONDS",
            "hunkwise.prompts.sandbox:CPU_SECONDS",
            "hunkwise.prompts.sandbox:MEMORY",
        ],
        "tests/prompts/test_renderer.py::test_endless_template_is_stopped",
    ),
    "Code around the changed lines": (
        [f"hunkwise.flows.code_context:{name}" for name in ("MAX_SOURCE", "MAX_FILES", "SECONDS")],
        "tests/flows/test_code_context.py",
    ),
    "Definitions that the changed lines call": (
        [
            "hunkwise.flows.code_context:MOST_DEFINITIONS",
            "hunkwise.flows.code_context:DEFINITIONS_ROOM",
            "hunkwise.enclosing.excerpts:DEFINITION_ROWS",
        ],
        "tests/flows/test_code_context.py::test_definitions_of_a_prompt_are_limited",
    ),
    "Names that are searched for in a run": (
        [
            "hunkwise.flows.code_context:MOST_NAMES",
            "hunkwise.flows.code_context:MOST_HITS",
            "hunkwise.enclosing.definitions:MOST_PLACES",
            "hunkwise.enclosing.definitions:MOST_DEFINING_FILES",
        ],
        "tests/flows/test_code_context.py::test_names_are_limited_and_each_file_has_its_turn",
    ),
    "The search for these names": (
        ["hunkwise.flows.code_context:SEARCH_SECONDS"],
        "tests/flows/test_code_context.py::test_search_has_the_time_that_is_left",
    ),
    "A message from the CLI, a model's answer among them": (
        ["hunkwise.copilot.connection:MAX_MESSAGE"],
        "tests/copilot/test_message_limit.py::test_limit_applies_to_first_message",
    ),
    "Text of a model outside of its report, and of an error message": (
        ["hunkwise.copilot.turn:MAX_WORDS"],
        "tests/copilot/test_errors.py::test_long_message_is_cut",
    ),
    "A line that the CLI prints": (
        ["hunkwise.copilot.sidecar:_LINE_BYTES"],
        "tests/copilot/test_sidecar.py",
    ),
    "Processes and threads of the CLI in the container": (
        ["hunkwise.copilot.sidecar:MAX_PROCESSES"],
        "tests/copilot/test_isolation.py::test_separate_user_has_a_limit_of_processes",
    ),
    "Memory of each of the CLI's processes": (
        ["hunkwise.copilot.sidecar:MAX_MEMORY"],
        "tests/copilot/test_sidecar.py::test_memory_and_file_size_of_cli_are_limited",
    ),
    "A file that the CLI writes": (
        ["hunkwise.copilot.sidecar:MAX_FILE"],
        "tests/copilot/test_sidecar.py::test_memory_and_file_size_of_cli_are_limited",
    ),
    "Findings of one call": (
        ["hunkwise.prompts.report_findings:MAX_FINDINGS"],
        "tests/prompts/test_report_findings.py::test_findings_above_limit_of_a_call_are_requested_again",
    ),
    "Findings of one question": (
        ["hunkwise.flows.finding_collector:MAX_FINDINGS", "hunkwise.flows.finding_collector:_MAX_CALLS"],
        "tests/flows/test_analysis.py::test_findings_that_could_not_be_kept_are_counted_in_the_faults",
    ),
    "Findings of a run": (
        ["hunkwise.flows.analysis:MAX_RUN_FINDINGS"],
        "tests/flows/test_finding_collector.py::test_the_questions_of_a_run_have_one_allowance_together",
    ),
    "Summary of a change": (
        ["hunkwise.domain.finding:MAX_OVERVIEW", "hunkwise.domain.finding:MAX_AREAS"],
        "tests/prompts/test_report_summary.py::test_long_texts_are_cut_without_a_fault",
    ),
    "Texts on an area, and on the risk": (
        ["hunkwise.domain.finding:MAX_AREA", "hunkwise.domain.finding:MAX_WORDS"],
        "tests/prompts/test_report_summary.py::test_long_texts_are_cut_without_a_fault",
    ),
    "A diagram": (
        [
            "hunkwise.domain.finding:MAX_DIAGRAM",
            "hunkwise.publish.change_summary:_MOST_LINES",
            "hunkwise.publish.change_summary:_LONGEST_LINE",
        ],
        "tests/publish/test_mermaid.py::test_unsafe_diagram_is_rejected_with_reason",
    ),
    "Summaries of the parts in the question for a summary": (
        ["hunkwise.flows.summary:_MAX_CHUNK_SUMMARIES"],
        "tests/flows/test_summary.py::test_the_prompt_stays_within_bounds_whatever_was_said",
    ),
    "Calls for a summary": (
        ["hunkwise.flows.summary:_MAX_CALLS"],
        "tests/flows/test_summary.py::test_a_model_that_mends_in_vain_is_not_asked_for_ever",
    ),
    "Findings in one question of the double-check": (
        ["hunkwise.flows.verification:MOST_IN_BATCH"],
        "tests/flows/test_verification_batches.py::test_many_findings_are_parted_by_their_severity",
    ),
    "A corrected text of the double-check": (
        ["hunkwise.prompts.report_verdicts:MAX_CORRECTION"],
        "tests/prompts/test_report_verdicts.py::test_long_correction_is_cut_and_lone_surrogate_replaced",
    ),
    "Earlier findings that are asked about because of changes elsewhere": (
        ["hunkwise.flows.planning:MOST_ELSEWHERE"],
        "tests/flows/test_planning.py::test_findings_elsewhere_are_bounded_and_the_most_severe_come_first",
    ),
    "Text and former code of an earlier finding": (
        [
            "hunkwise.tracking.reconcile:MAX_TEXT",
            "hunkwise.tracking.reconcile:MAX_OLD_CODE",
            "hunkwise.tracking.reconcile:MAX_OLD_ROWS",
        ],
        "tests/tracking/test_reconcile.py::test_a_question_has_the_text_and_the_code_of_that_time",
    ),
    "Code in one question of the double-check": (
        ["hunkwise.flows.verification:_MAX_CODE"],
        "tests/plan/test_chunking.py::test_selected_hunks_are_within_the_limit",
    ),
    "Verdicts of one call": (
        ["hunkwise.prompts.report_verdicts:MAX_VERDICTS", "hunkwise.prompts.report_verdicts:_MAX_CALLS"],
        "tests/prompts/test_report_verdicts.py::test_invalid_verdict_is_reported_and_ignored",
    ),
    "Evidence of a verdict": (
        ["hunkwise.prompts.report_verdicts:MAX_EVIDENCE"],
        "tests/prompts/test_report_verdicts.py::test_long_evidence_is_cut",
    ),
    "A list or an object that a model sends as JSON text": (
        ["hunkwise.prompts.report_call:_MAX_JSON"],
        "tests/prompts/test_report_findings.py::test_findings_that_are_not_a_list_are_a_fault",
    ),
    "Splits of a question that is too large for the model": (
        ["hunkwise.flows.analysis:MAX_SPLITS"],
        "tests/flows/test_analysis.py::test_what_cannot_be_split_small_enough_is_named_and_no_more_is_asked",
    ),
    "Title, body and suggestion of a finding": (
        ["hunkwise.prompts.report_findings:_MAX_TITLE", "hunkwise.prompts.report_findings:_MAX_BODY"],
        "tests/prompts/test_report_findings.py::test_long_texts_are_cut_and_not_rejected",
    ),
    "Answer to a command": (
        [
            "hunkwise.prompts.report_answer:MAX_TEXT",
            "hunkwise.prompts.report_answer:MAX_SUGGESTION",
            "hunkwise.prompts.report_answer:_MAX_CALLS",
        ],
        "tests/prompts/test_report_answer.py::test_the_third_call_is_the_last_one",
    ),
    "First line of a command": (
        ["hunkwise.domain.command:LONGEST_COMMAND"],
        "tests/domain/test_command.py::test_what_is_almost_a_command_is_unknown",
    ),
    "Rows of the diff around a thread in a question": (
        ["hunkwise.flows.answering:_CODE_ROOM"],
        "tests/flows/test_answering.py::test_of_a_large_hunk_the_rows_around_the_thread_are_shown",
    ),
    "Overview of the last review in a question": (
        ["hunkwise.flows.answering:_MAX_OVERVIEW"],
        "tests/flows/test_answering.py::test_a_long_overview_is_cut",
    ),
    "Comments of a thread in a question": (
        ["hunkwise.flows.answering:THREAD_ROOM"],
        "tests/flows/test_answering.py::test_of_a_long_thread_the_middle_is_left_out",
    ),
    "Arguments of a tool": (
        ["hunkwise.copilot.tools:_MAX_DEPTH", "hunkwise.copilot.tools:_MAX_PATHS"],
        "tests/copilot/test_tools.py::test_search_arguments_are_normalized",
    ),
    "Answer of a reading tool": (
        [
            "hunkwise.copilot.tools:MAX_ANSWER",
            "hunkwise.copilot.tools:MAX_READ_LINES",
            "hunkwise.copilot.tools:MAX_NAMES",
            "hunkwise.domain.pull_request:MAX_HITS",
        ],
        "tests/copilot/test_tools.py::test_long_file_is_cut_with_next_line_number",
    ),
    "A search": (
        ["hunkwise.repository.git:GREP_TIMEOUT", "hunkwise.repository.git:GREP_MEMORY"],
        "tests/repository/test_git.py::test_invalid_or_expensive_pattern_is_an_error_with_hint",
    ),
    "Reading calls": (
        ["hunkwise.domain.model:TOOL_CALLS_PER_MODEL_CALL"],
        "tests/copilot/test_budget.py::test_reading_calls_above_limit_are_not_run",
    ),
    "Refused permissions": (
        ["hunkwise.domain.model:MAX_DENIALS"],
        "tests/copilot/test_budget.py::test_repeated_permission_requests_end_turn",
    ),
    "Model calls": (
        ["hunkwise.settings.config:max-model-calls"],
        "tests/copilot/test_budget.py::test_looping_model_is_called_up_to_limit",
    ),
    "Questions at the same time": (
        ["hunkwise.settings.config:parallel"],
        "tests/settings/test_config.py",
    ),
    "Questions at the same time on one server of `copilot-url`": (
        ["hunkwise.copilot.pool:MOST_AT_ONCE"],
        "tests/copilot/test_pool.py::test_a_server_answers_a_limited_number_of_questions_at_once",
    ),
    "Waiting while no server of `copilot-url` answers": (
        ["hunkwise.copilot.pool:OUTAGE_SECONDS"],
        "tests/copilot/test_pool.py::test_questions_do_not_wait_when_no_server_was_up_for_long",
    ),
    "Asking a question again whose server was lost": (
        ["hunkwise.copilot.session:_MOST_SERVERS"],
        "tests/copilot/test_pool.py::test_a_question_is_asked_a_limited_number_of_times",
    ),
    "A message to the web API": (
        [
            "hunkwise.service.api_answer:MAX_MESSAGE",
            "hunkwise.service.api:MAX_BODY",
            "hunkwise.service.api:BODY_SECONDS",
        ],
        "tests/service/test_api_access.py::test_bad_input_gets_a_clear_error",
    ),
    "Reading the repository for an answer of the web API": (
        ["hunkwise.service.api_answer:READ_SECONDS"],
        "tests/service/test_api_access.py::test_github_must_answer_in_time_and_know_the_pull_request",
    ),
    "Requests to the web API that one process carries out": (
        ["hunkwise.service.api:MAX_RUNNING", "hunkwise.service.api:MAX_OF_USER"],
        "tests/service/test_api_access.py::test_a_body_must_arrive_in_time_and_places_are_limited",
    ),
    "Messages and answers of a history of the web API": (
        ["hunkwise.service.api_answer:MAX_HISTORY"],
        "tests/service/test_api_access.py::test_the_newest_part_of_a_history_is_returned",
    ),
    "Files of a commit that is audited": (
        ["hunkwise.repository.history:_LISTING"],
        "tests/repository/test_history.py::test_too_long_list_of_files_is_an_error",
    ),
    "`.gitattributes` files of a commit that is audited": (
        ["hunkwise.commands.audit_stages:_MOST_ATTRIBUTES", "hunkwise.flows.instructions:MAX_TEXT"],
        "tests/commands/test_audit.py::test_no_more_than_five_hundred_attributes_files_are_read",
    ),
    "History that decides on the order": (
        ["hunkwise.repository.history:_COMMITS", "hunkwise.repository.history:_LOG"],
        "tests/repository/test_history.py::test_too_long_log_counts_the_newest_commits",
    ),
    "Files of a commit that counts as a change": (
        ["hunkwise.repository.history:_MOST_FILES"],
        "tests/repository/test_history.py::test_activity_counts_commits_of_a_year_by_age_and_fixes_by_subject",
    ),
    "Folders above a file in which other files for its question are searched": (
        ["hunkwise.plan.audit_selection:_LEVELS"],
        "tests/plan/test_audit_selection.py::test_deep_folders_are_packed_by_their_nearest_levels",
    ),
    "Removed and added files among which renames are searched": (
        ["hunkwise.repository.history:_RENAMES"],
        "tests/repository/test_history.py::test_only_equal_contents_are_renames_among_very_many_files",
    ),
    "Shards": (
        ["hunkwise.domain.limits:MATRIX_JOBS", "hunkwise.flows.audit_planning:MOST_SHARDS"],
        "tests/settings/test_inputs.py::test_invalid_input_has_one_error_with_hint",
    ),
    "A plan": (
        ["hunkwise.publish.audit_files:MAX_PLAN_BYTES", "hunkwise.publish.audit_files:_MOST_FILES"],
        "tests/commands/test_audit_parts.py::test_a_file_that_is_too_large_is_refused",
    ),
    "Report of a shard": (
        ["hunkwise.commands.audit_stores:MAX_PART_BYTES", "hunkwise.publish.report:MAX_FINDINGS"],
        "tests/commands/test_audit_parts.py::test_a_report_that_is_too_large_is_named",
    ),
    "State in a file": (
        ["hunkwise.commands.audit_stores:_MOST_BYTES"],
        "tests/commands/test_audit_parts.py::test_a_file_that_is_too_large_is_refused",
    ),
    "State of the audits in its comment, unpacked": (
        ["hunkwise.tracking.audit_state:_LARGEST"],
        "tests/tracking/test_audit_state.py::test_what_is_not_exactly_right_is_not_read",
    ),
    "State of the audits in its comment": (
        ["hunkwise.domain.limits:BODY_CHARACTERS"],
        "tests/tracking/test_audit_state.py::test_without_room_as_little_as_possible_is_omitted",
    ),
    "Fixed findings that are kept": (
        ["hunkwise.tracking.ledger:MOST_FIXED"],
        "tests/tracking/test_ledger.py::test_the_newest_fixed_findings_are_kept",
    ),
    "Who dismissed a finding, and why": (
        ["hunkwise.tracking.ledger:LONGEST_NAME", "hunkwise.tracking.ledger:LONGEST_REASON"],
        "tests/tracking/test_ledger.py::test_a_dismissal_is_cut",
    ),
    "Weeks whose cost is kept": (
        ["hunkwise.tracking.audit_state:MOST_WEEKS"],
        "tests/tracking/test_audit_state.py::test_values_that_are_not_exactly_right_are_not_read",
    ),
    "Dismissed alerts of code scanning that are read": (
        ["hunkwise.github.connection:MOST_PAGES", "hunkwise.github.connection:PAGE"],
        "tests/github/test_issues.py::test_too_many_dismissed_alerts_decide_nothing",
    ),
    "Our comments on the issue among which the state is searched": (
        ["hunkwise.github.issues:COMMENTS_AT_EACH_END"],
        "tests/github/test_issues.py::test_the_state_is_found_in_a_long_conversation",
    ),
    "Body of the issue": (
        ["hunkwise.domain.limits:BODY_CHARACTERS"],
        "tests/publish/test_audit_issue.py::test_the_body_fits_and_drops_the_least_severe",
    ),
    "Notes, folders, new findings of a comment": (
        [
            "hunkwise.publish.audit_issue:_MOST_NOTES",
            "hunkwise.publish.audit_issue:_MOST_FOLDERS",
            "hunkwise.publish.audit_issue:_MOST_NEWS",
        ],
        "tests/publish/test_audit_issue.py::test_many_news_are_one_short_comment_of_its_own",
    ),
    "Text of one finding in a comment": (
        ["hunkwise.publish.finding_text:_TEXT_LIMIT"],
        "tests/publish/test_documents.py::test_longest_texts_fit",
    ),
    "Explanation, and code, in a prompt for a coding agent": (
        ["hunkwise.publish.finding_text:_AGENT_TEXT_LIMIT"],
        "tests/publish/test_documents.py::test_prompt_for_an_agent_is_limited_and_cannot_leave_its_fence",
    ),
    "Text of an answer to a command": (
        ["hunkwise.publish.documents:ANSWER_LIMIT"],
        "tests/publish/test_documents.py::test_long_answer_is_cut",
    ),
    "The reply to `/hunkwise config`": (
        ["hunkwise.publish.command_texts:_LONGEST_REPLY", "hunkwise.publish.command_texts:_LONGEST_CELL"],
        "tests/publish/test_command_texts.py::test_a_large_configuration_is_cut",
    ),
    "Body of a review, a summary comment": (
        ["hunkwise.domain.limits:BODY_CHARACTERS"],
        "tests/publish/test_documents.py::test_body_within_limit_shows_or_counts_every_finding",
    ),
    "Inline comments": (
        ["hunkwise.settings.config:max-comments"],
        "tests/publish/test_placement.py",
    ),
    "Threads that are closed in a run": (
        ["hunkwise.github.comments:MOST_THREADS"],
        "tests/github/test_threads.py::test_at_most_a_hundred_threads_are_closed_in_one_run",
    ),
    "Summary and text of a check run": (
        ["hunkwise.domain.limits:CHECK_TEXT_BYTES"],
        "tests/github/test_checks.py::test_too_long_texts_are_cut_visibly",
    ),
    "Annotations": (
        ["hunkwise.domain.limits:ANNOTATIONS_PER_REQUEST", "hunkwise.domain.limits:ANNOTATION_BYTES"],
        "tests/publish/test_annotations.py::test_long_texts_are_cut_to_github_limits",
    ),
    "Job summary": (
        ["hunkwise.domain.limits:JOB_SUMMARY_BYTES"],
        "tests/test_actions.py::test_what_swallows_refuses_or_has_no_room_takes_nothing",
    ),
    "One output": (
        ["hunkwise.actions:OUTPUT_BYTES"],
        "tests/test_actions.py::test_an_output_that_github_would_not_take_is_not_set",
    ),
    "Lines of the log": (
        ["hunkwise.actions:LOG_BYTES", "hunkwise.actions:MESSAGE"],
        "tests/test_actions.py::test_a_log_has_a_last_line_and_commands_go_on",
    ),
    "SARIF that is uploaded": (
        ["hunkwise.github.checks:_MAX_BYTES"],
        "tests/github/test_code_scanning.py::test_sarif_above_github_limit_is_not_sent",
    ),
    "Writes to GitHub": (
        ["hunkwise.github.connection:_MAX_WRITES", "hunkwise.github.connection:_WINDOW"],
        "tests/github/test_throttle.py::test_at_most_sixty_writes_per_minute",
    ),
    "`deadline`": (
        ["hunkwise.settings.config:deadline"],
        "tests/settings/test_config.py",
    ),
    "Publishing": (
        ["hunkwise.domain.model:PUBLISHING_SECONDS"],
        "tests/commands/test_run.py::test_publishing_has_thirty_seconds_within_the_deadline_where_that_is_long_enough",
    ),
    "One request to GitHub, from its connection to the last byte": (
        ["hunkwise.github.connection:REQUEST_SECONDS", "hunkwise.github.transport:TIMEOUT"],
        "tests/github/test_transport.py::test_server_that_hangs_in_any_phase_is_a_timeout",
    ),
    "Sending telemetry, at the end": (
        ["hunkwise.telemetry:EXPORT_SECONDS"],
        "tests/test_telemetry.py::test_a_collector_that_hangs_is_not_waited_for",
    ),
    "One call of git": (
        ["hunkwise.repository.git_process:TIMEOUT", "hunkwise.repository.git:DIFF_TIMEOUT"],
        "tests/end_to_end/test_limits.py::test_deadline_ends_hanging_git",
    ),
    "The CLI, until it listens": (
        [
            "hunkwise.copilot.sidecar:_START_SECONDS",
            "hunkwise.copilot.connection:_CONNECT_SECONDS",
            "hunkwise.copilot.connection:_PREFLIGHT_SECONDS",
        ],
        "tests/end_to_end/test_limits.py::test_deadline_ends_stopped_idle_cli",
    ),
    "Ending the CLI, and removing its home and those that earlier runs left": (
        ["hunkwise.files:WIPE_SECONDS", "hunkwise.copilot.sidecar:_TERM_SECONDS"],
        "tests/test_files.py::test_what_there_is_no_time_for_is_left_to_the_next_run",
    ),
    "One question to a model": (
        ["hunkwise.copilot.session:_QUESTION_SECONDS"],
        "tests/end_to_end/test_limits.py::test_deadline_ends_cli_stopped_in_a_turn",
    ),
    "Time for an answer to a command or to a message": (
        ["hunkwise.flows.answering:SECONDS"],
        "tests/flows/test_answering.py::test_an_answer_that_takes_too_long_is_ended",
    ),
    "Parsing a file for a suggestion": (
        [
            "hunkwise.enclosing.scopes:CHECK_SECONDS",
            "hunkwise.enclosing.scope_worker:CPU_SECONDS",
            "hunkwise.enclosing.scopes:LARGEST",
        ],
        "tests/publish/test_suggestions.py::test_parser_timeout_drops_only_its_suggestions",
    ),
    "A file with a secret": (
        ["hunkwise.settings.secret_file:_MAX_SECRET"],
        "tests/service/test_settings.py::test_a_file_that_cannot_be_a_secret_is_refused",
    ),
    "Body of a webhook": (
        ["hunkwise.service.webhooks:MAX_BODY"],
        "tests/service/test_web.py::test_a_body_above_githubs_limit_is_not_read_to_its_end",
    ),
    "Bodies of webhooks that one process is receiving": (
        ["hunkwise.service.web:MAX_RECEIVED"],
        "tests/service/test_web.py::test_bodies_that_are_received_at_the_same_time_are_limited_together",
    ),
    "The head of a request to the service, and an answer that its client does not read": (
        ["hunkwise.service.process:CLIENT_SECONDS"],
        "tests/service/test_connections.py",
    ),
    "Receiving a webhook and queueing its job": (
        ["hunkwise.service.web:ANSWER_SECONDS"],
        "tests/service/test_web.py::test_a_sender_that_is_slow_or_leaves_is_answered_in_time",
    ),
    "Missed webhooks that are requested again": (
        ["hunkwise.service.upkeep:MOST_REDELIVERED", "hunkwise.service.upkeep:REDELIVER_EVERY"],
        "tests/service/test_upkeep.py::test_after_a_long_outage_webhooks_are_redelivered_in_parts",
    ),
    "One job": (
        ["hunkwise.service.job:JOB_SECONDS", "hunkwise.service.job:END_SECONDS"],
        "tests/service/test_job.py::test_a_job_beyond_its_time_limit_is_ended_and_says_so",
    ),
    "A line of the log of a job": (
        ["hunkwise.service.job:MAX_LINE"],
        "tests/service/test_job.py::test_of_a_long_log_the_end_is_kept_without_secrets",
    ),
    "Log of a failed job that is kept": (
        ["hunkwise.service.job:LOG_LINES", "hunkwise.service.job:MESSAGE"],
        "tests/service/test_job.py::test_of_a_long_log_the_end_is_kept_without_secrets",
    ),
    "Last line of the log of a running job": (
        ["hunkwise.service.records:PROGRESS_LINE"],
        "tests/service/test_queue.py::test_the_progress_of_running_jobs_is_kept_as_long_as_they_run",
    ),
    "History that a review fetches into a mirror": (
        ["hunkwise.service.mirror:DEPTH"],
        "tests/service/test_mirror.py::test_a_review_fetches_a_part_of_the_history_and_an_audit_all_of_it",
    ),
    "Waiting for a mirror": (
        ["hunkwise.service.job:MIRROR_SECONDS"],
        "tests/service/test_job.py::test_slow_mirrors_keep_no_job_waiting_and_are_released",
    ),
    "One fetch into a mirror": (
        ["hunkwise.service.mirror:_SECONDS"],
        "tests/repository/test_git_process.py",
    ),
    "Fetches into a mirror": (
        ["hunkwise.service.mirror:MOST_FETCHES"],
        "tests/service/test_mirror.py::test_a_mirror_is_made_anew_after_many_fetches",
    ),
    "Time in which no job uses a mirror": (
        ["hunkwise.service.mirror:UNUSED_DAYS"],
        "tests/service/test_mirror.py::test_a_mirror_that_no_job_has_used_for_long_is_deleted",
    ),
    "Webhooks and finished jobs that are kept": (
        ["hunkwise.service.queue:KEPT_DAYS"],
        "tests/service/test_queue.py::test_what_is_older_than_a_month_is_deleted",
    ),
    "Reading or deleting a conversation of the web API": (
        ["hunkwise.copilot.chat:CALL_SECONDS"],
        "tests/service/test_api.py::test_a_suspended_server_is_not_waited_for_long",
    ),
    "Tokens that GitHub may refuse within a minute": (
        ["hunkwise.service.api_access:MAX_REFUSED"],
        "tests/service/test_api_access.py::test_tokens_that_github_refuses_are_limited",
    ),
    "GitHub's answers about a token that are remembered": (
        ["hunkwise.service.api_access:MAX_REMEMBERED", "hunkwise.service.api_access:REMEMBERED_SECONDS"],
        "tests/service/test_api_access.py::test_the_newest_answers_are_remembered",
    ),
    "Jobs on the status page": (
        ["hunkwise.service.records:MAX_ACTIVE", "hunkwise.service.records:MAX_FINISHED"],
        "tests/service/test_status_page.py::test_the_newest_of_many_jobs_are_shown",
    ),
    "Waiting for a server that `hunkwise servers recycle` has restarted": (
        ["hunkwise.commands.server_drain:RESTART_SECONDS"],
        "tests/commands/test_servers.py::test_a_restarted_server_is_waited_for_a_limited_time",
    ),
}
"""The first cell of each row: the constants that hold it, as `module:NAME`, and the test that fails without it."""
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+|\d+")


def number(constant: str) -> str:
    """The value of `package.module:NAME` as the page writes it; the greatest that a key of the configuration takes."""
    module, _, name = constant.partition(":")
    if name in (keys := json_schema()["properties"]):
        return f"{keys[name]['maximum']:,}"
    value = getattr(import_module(module), name)
    assert isinstance(value, int | float)
    return f"{int(value):,}"


def test_each_limit_of_the_page_has_its_constants_and_its_test() -> None:
    assert _ROWS.keys() == _LIMITS.keys()


@pytest.mark.parametrize("what", _LIMITS)
def test_a_limit_is_what_the_code_says(what: str) -> None:
    most, beyond = _ROWS[what]
    assert beyond
    wanted = [number(constant) for constant in _LIMITS[what][0]]
    assert wanted
    assert set(wanted) <= set(_NUMBER.findall(most))


@pytest.mark.parametrize("what", _LIMITS)
def test_a_limit_is_proved_by_a_test_that_is_there(what: str) -> None:
    path, _, test = _LIMITS[what][1].partition("::")
    text = (ROOT / Path(path)).read_text(encoding="utf-8")
    assert f"def {test}(" in text if test else "def test_" in text

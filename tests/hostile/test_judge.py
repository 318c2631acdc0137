"""Patterns and JSON Schemas of a client cost a job one process, and a column ten seconds; a job that needs more is FAILED and says which field it is."""

from __future__ import annotations

import json
import os
import resource
import signal
import time
import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from structlog.testing import capture_logs

from features.processing import tasks
from features.processing.checking.cell_judge import MEMORY_BYTES, Verdict
from features.processing.checking.checker import Checker, CheckResult
from features.processing.checking.declarations import FileUncheckable
from features.processing.checking.limited_judge import Budget, LimitedJudge, TextsTooLarge, TextsTooSlow
from features.processing.readers.base import Chunk, ReadLimits
from shared.contracts import ProcessJob
from shared.db.models import JobStatus
from shared.descriptors.table_schema import Field, parse_table_schema
from shared.messages.tasks import TaskContext
from tests.factories import Factory

SLOW = r"(a+)+(?!x)$"
"""The time for a text of n times a, then !, doubles with each a; 19 of them take about 50 ms."""


def make_checker(fields: Sequence[dict[str, Any]]) -> Checker:
    schema = parse_table_schema({"fields": [{"name": f"f{index}", **field} for index, field in enumerate(fields)]})
    return Checker(schema, labels=[field.name for field in schema.fields], header_row=1, limits=ReadLimits())


def check(checker: Checker, *columns: Sequence[str]) -> CheckResult:
    return checker.check(Chunk(columns=[pa.array(column, pa.string()) for column in columns], row_numbers=np.arange(len(columns[0]))))


def list_children() -> set[str]:
    return {child for thread in Path("/proc/self/task").iterdir() for child in (thread / "children").read_text().split()}


def test_many_slow_columns_share_one_process() -> None:
    fields = [
        {"type": "string", "constraints": {"pattern": rf"(?=.*\d)[a-z0-9]{{1,{index + 1}}}"}}
        if index % 2
        else {"type": "object", "constraints": {"jsonSchema": {"required": [f"k{index}"]}}}
        for index in range(400)
    ]
    before = list_children()
    checker = make_checker(fields)
    try:
        result = check(checker, *(["a1", "toolong" * 60] if index % 2 else [f'{{"k{index}": 1}}', "{}"] for index in range(400)))
        assert len(list_children() - before) == 1
    finally:
        checker.close()
    assert [finding.row_numbers.tolist() for finding in result.findings] == [[1]] * 400
    assert list_children() <= before


def test_slow_cells_of_a_column_take_no_more_than_its_time_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.processing.checking.limited_judge.LIMIT_S", 1.0)
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    checker = make_checker([{"type": "string", "constraints": {"pattern": SLOW}}])
    try:
        with pytest.raises(FileUncheckable, match="field f0"):
            for number in range(100):
                check(checker, ["a" * 19 + "!" * (number + 1)])
    finally:
        checker.close()
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Starting the process and its imports take a part of a second.
    assert end.ru_utime - start.ru_utime < 3.0


def test_slow_columns_of_a_job_take_no_more_than_its_time_in_all_and_the_slowest_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.processing.checking.limited_judge.ALL_LIMIT_S", 0.8)
    checker = make_checker([{"type": "string", "constraints": {"pattern": SLOW}}] * 100)
    try:
        with pytest.raises(FileUncheckable, match=r"together take too long on its values; the field f3 takes longest"):
            check(checker, *(["a" * (22 if index == 3 else 19) + "!"] for index in range(100)))
    finally:
        checker.close()


def test_rules_of_a_field_share_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.processing.checking.limited_judge.LIMIT_S", 1.0)
    checker = make_checker([{"type": "string", "constraints": {"pattern": r"\w*"}}])
    judge = checker._context.judge
    try:
        assert [kind for kind, _ in judge._rules] == ["pattern", "re2-pattern"]
        judge.spend(judge._budgets[0], 0.6)
        with pytest.raises(TextsTooSlow):
            judge.spend(judge._budgets[1], 0.6)
    finally:
        checker.close()


def test_remedy_for_a_pattern_without_look_around_says_nothing_of_it() -> None:
    checker = make_checker([{"type": "string", "constraints": {"pattern": ".*a.{1000}b"}}])
    checker._context.judge._budgets[0].spent_s = 10.0
    try:
        with pytest.raises(FileUncheckable, match="Write it without large or nested repeats"):
            check(checker, ["b" * 2**19])
    finally:
        checker.close()


def test_ordinary_cells_do_not_use_up_the_time_of_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.processing.checking.limited_judge.LIMIT_S", 0.05)
    checker = make_checker([{"type": "string", "constraints": {"pattern": r"(?=.*\d)[a-z0-9]+"}}])
    try:
        for part in range(4):
            assert not check(checker, [f"abc{part}{number}" for number in range(50_000)]).findings
    finally:
        checker.close()


async def test_job_with_a_pattern_that_takes_too_long_fails_and_names_the_field(
    context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.processing.checking.limited_judge.LIMIT_S", 0.3)
    schema = {"fields": [{"name": "id", "type": "integer"}, {"name": "code", "type": "string", "constraints": {"pattern": SLOW}}]}
    job = await factory.job(content=b"id,code\n1,aa\n2," + b"a" * 60 + b"!\n", schema_given=schema)
    await tasks.process_job(context, ProcessJob(job_id=job.id))
    done = await factory.get(job.id)
    assert done is not None
    assert done.status == JobStatus.FAILED
    assert done.error_message is not None
    assert done.error_message.startswith("The pattern of the field code takes too long")
    assert "without look-around" in done.error_message
    assert done.crashes == 0


def test_name_of_a_field_in_the_sentence_is_cut() -> None:
    name = "n" * 5000
    schema = parse_table_schema({"fields": [{"name": name, "type": "string", "constraints": {"pattern": SLOW}}]})
    checker = Checker(schema, labels=[name], header_row=1, limits=ReadLimits())
    checker._context.judge._budgets[0].spent_s = 9.9
    try:
        with pytest.raises(FileUncheckable) as caught:
            check(checker, ["a" * 60 + "!"])
    finally:
        checker.close()
    assert len(str(caught.value)) < 500


def test_pattern_on_which_re2_is_slow_ends_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.processing.checking.limited_judge.LIMIT_S", 0.3)
    checker = make_checker([{"type": "string", "constraints": {"pattern": ".*a.{1000}b"}}])
    chance = np.random.default_rng(1)
    try:
        start_s = time.thread_time()
        with pytest.raises(FileUncheckable, match="field f0"):
            check(checker, ["".join(chance.choice(["a", "b"], 1000)) for _ in range(1500)])
        # All of it takes 9 s or more; a part of it, in which RE2 is not interrupted, takes 2 s.
        assert time.thread_time() - start_s < 6
    finally:
        checker.close()


def test_large_cell_on_which_re2_is_slow_ends_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.processing.checking.limited_judge.LIMIT_S", 0.3)
    checker = make_checker([{"type": "string", "constraints": {"pattern": ".*a.{1000}b"}}])
    text = "".join(np.random.default_rng(1).choice(["a", "b"], 2**20))
    try:
        with pytest.raises(FileUncheckable, match="field f0"):
            check(checker, ["ab", text])
    finally:
        checker.close()


@pytest.mark.parametrize(("pattern", "bad"), [("[ab]*", [3]), (r"\w*", [3]), ("[ab]{5,}", [0, 3]), (r"\p{L}*", [3]), ("[ab]*$", [3])])
def test_large_cells_are_judged_like_small_ones(pattern: str, bad: list[int]) -> None:
    checker = make_checker([{"type": "string", "constraints": {"pattern": pattern}}])
    try:
        findings = check(checker, ["ab", "ab" * 2**18, "ab" * 2**17, "a b" * 2**17, "abab" * 2]).findings
    finally:
        checker.close()
    assert [row for finding in findings for row in finding.row_numbers.tolist()] == bad


def test_cell_that_needs_too_much_memory_or_nesting_is_an_error_that_says_so() -> None:
    checker = make_checker(
        [
            {"type": "string", "constraints": {"pattern": "(?=a)(?:(a)|(b)|c)*"}},
            {"type": "object", "constraints": {"jsonSchema": {"$ref": "#"}}},
            {"type": "array", "constraints": {"jsonSchema": {"items": {"multipleOf": 0.5}}}},
        ]
    )
    try:
        result = check(checker, ["a", "abc" * 2_000_000, "abc"], ["{}", "{}", "{}"], ["[1]", "[1.5]", f"[{10**400}]"])
    finally:
        checker.close()
    found = {(finding.error_type, row) for finding in result.findings for row in finding.row_numbers.tolist()}
    assert found == {("pattern-error", 1), *(("json-schema-error", row) for row in range(3))}
    assert len(result.findings) == 3
    messages = [finding.message if isinstance(finding.message, str) else finding.message[0].as_py() for finding in result.findings]
    assert all("cannot be checked" in message for message in messages), messages


@pytest.fixture
def judge() -> Iterator[LimitedJudge]:
    judge = LimitedJudge()
    yield judge
    judge.close()


def add_pattern(judge: LimitedJudge, pattern: str) -> int:
    return judge.add_rule("pattern", pattern, Budget(Field(name="a", type="string")))


def pid_of(judge: LimitedJudge) -> int:
    assert judge._process is not None
    return judge._process.pid


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT])
def test_judge_has_bounds_and_its_death_on_a_text_is_told_from_a_slow_text(judge: LimitedJudge, number: int) -> None:
    rule = add_pattern(judge, "a+")
    assert judge.judge(rule, ["a", "b"]) == [Verdict.GOOD, Verdict.BAD]
    limits = Path(f"/proc/{pid_of(judge)}/limits").read_text()
    assert str(MEMORY_BYTES) in next(line for line in limits.splitlines() if line.startswith("Max address space"))
    os.kill(pid_of(judge), number)
    with pytest.raises(TextsTooLarge):
        judge.judge(rule, ["a"])
    assert judge.judge(rule, ["a"]) == [Verdict.GOOD]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGUSR1])
def test_judge_that_somebody_ends_is_no_fault_of_the_file(judge: LimitedJudge, number: int) -> None:
    rule = add_pattern(judge, "a+")
    judge.judge(rule, ["a"])
    os.kill(pid_of(judge), number)
    with pytest.raises(RuntimeError, match="has ended"):
        judge.judge(rule, ["a"])


def test_judge_goes_on_when_a_signal_is_sent_to_the_whole_service(judge: LimitedJudge) -> None:
    rule = add_pattern(judge, "a+")
    judge.judge(rule, ["a"])
    pid = pid_of(judge)
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(pid, number)
    assert judge.judge(rule, ["a", "b"]) == [Verdict.GOOD, Verdict.BAD]
    assert pid_of(judge) == pid


def test_judge_that_is_broken_is_no_fault_of_the_file_and_is_logged(judge: LimitedJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.processing.checking.limited_judge._MODULE", "features.no_such_module")
    with capture_logs() as logs, pytest.raises(RuntimeError, match="status 1"):
        judge.judge(add_pattern(judge, "a+"), ["a"])
    assert "No module named" in logs[0]["stderr"]


def test_text_that_is_too_large_to_be_read_is_told_from_a_broken_judge(judge: LimitedJudge) -> None:
    rule = add_pattern(judge, "a+")
    judge.judge(rule, ["a"])
    resource.prlimit(pid_of(judge), resource.RLIMIT_AS, (2**20, 2**20))
    with pytest.raises(TextsTooLarge):
        judge.judge(rule, ["a" * 2**24])


def test_judge_that_stops_reading_is_given_up(judge: LimitedJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = add_pattern(judge, "a+")
    judge.judge(rule, ["a"])
    for name in ("LIMIT_S", "_ANSWER_LIMIT_S"):
        monkeypatch.setattr(f"features.processing.checking.limited_judge.{name}", 0.1)
    os.kill(pid_of(judge), signal.SIGSTOP)
    with pytest.raises(RuntimeError, match="does not answer"):
        judge.judge(rule, ["a" * 2**20])


def test_judge_works_in_a_process_with_many_open_files(judge: LimitedJudge) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 1200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1200, hard))
    opened: list[int] = []
    try:
        while not opened or opened[-1] < 1030:
            opened.append(os.open("/dev/null", os.O_RDONLY))
        assert judge.judge(add_pattern(judge, "a+"), ["a"]) == [Verdict.GOOD]
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_texts_of_a_chunk_are_not_python_objects_all_at_once() -> None:
    checker = make_checker([{"type": "string", "constraints": {"pattern": "(?=a).*"}}])
    chunk = [f"a{number:07}" * 2**15 for number in range(100)]
    texts = pa.array(chunk, pa.string())
    del chunk
    tracemalloc.start()
    try:
        checker.check(Chunk(columns=[texts], row_numbers=np.arange(len(texts))))
        assert tracemalloc.get_traced_memory()[1] < texts.nbytes / 2
    finally:
        tracemalloc.stop()
        checker.close()


def test_chunk_is_not_kept_after_its_check() -> None:
    checker = make_checker([{"type": "string", "constraints": {"pattern": "(?=a).*"}}])
    before = pa.total_allocated_bytes()
    try:
        check(checker, ["a" * 2**20] * 10)
        assert pa.total_allocated_bytes() - before < 2**20
    finally:
        checker.close()


def test_large_cell_that_re2_cannot_judge_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(_self: LimitedJudge, _rule: int, texts: Iterable[str]) -> list[Verdict]:
        return [Verdict.NOT_JUDGED for _ in texts]

    monkeypatch.setattr(LimitedJudge, "judge", judge)
    checker = make_checker([{"type": "string", "constraints": {"pattern": "[ab]*"}}])
    try:
        [finding] = check(checker, ["ab", "ab" * 2**18, "abc"]).findings
    finally:
        checker.close()
    assert not isinstance(finding.message, str)
    assert ["cannot be checked" in message for message in finding.message.to_pylist()] == [True, False]


@pytest.mark.parametrize(
    ("schema", "bad"), [({"type": "object"}, []), ({"properties": {"a": {"type": "integer", "minimum": 5}}}, [0]), ({"maxProperties": 0}, [0, 1])]
)
def test_json_with_a_number_of_many_digits_is_judged(schema: dict[str, Any], bad: list[int]) -> None:
    checker = make_checker([{"type": "object", "constraints": {"jsonSchema": schema}}])
    try:
        findings = check(checker, ['{"a": 1}', '{"a": ' + "9" * 5000 + "}"]).findings
    finally:
        checker.close()
    assert [row for finding in findings for row in finding.row_numbers.tolist()] == bad
    assert all(finding.message == "This value must match the field's JSON Schema." for finding in findings)


def test_error_within_the_judge_is_logged_without_the_text() -> None:
    checker = make_checker([{"type": "object", "constraints": {"jsonSchema": {"properties": {"a": {"multipleOf": 0.5}}}}}])
    with capture_logs() as logs:
        try:
            [finding] = check(checker, ['{"a": ' + "9" * 5000 + "}"] * 3).findings
        finally:
            checker.close()
    assert not isinstance(finding.message, str)
    assert "cannot be checked" in finding.message[0].as_py()
    assert "TypeError" in logs[0]["stderr"]
    assert "999" not in logs[0]["stderr"]


def test_pattern_in_a_message_is_cut() -> None:
    pattern = "x" * 9000
    checker = make_checker([{"type": "string", "constraints": {"pattern": pattern}}])
    try:
        [finding] = check(checker, ["y"]).findings
    finally:
        checker.close()
    assert len(str(finding.message)) < 300


@pytest.mark.parametrize("text", ['{"a": "' + "a" * 40 + '!"}'])
def test_slow_pattern_within_a_json_schema_ends_the_check(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.processing.checking.limited_judge.LIMIT_S", 0.2)
    checker = make_checker([{"type": "object", "constraints": {"jsonSchema": {"properties": {"a": {"pattern": "^(a+)+$"}}}}}])
    try:
        assert not check(checker, [json.dumps({"a": "aa"})]).findings
        with pytest.raises(FileUncheckable, match="jsonSchema of the field f0"):
            check(checker, [text])
    finally:
        checker.close()

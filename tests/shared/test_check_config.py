from __future__ import annotations

from pathlib import Path

import pytest

from shared import check_config
from shared.secret_settings import name_of_key

GOOD = "DATABASE_URL=postgresql://rowgate:hidden1@db:5432/rowgate\nREDIS_URL=redis://:hidden2@redis:6379/0\nUPLOAD_DIR=/data\n"


def check(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, *, environment_is_ours: bool = False
) -> tuple[int, str, str]:
    (tmp_path / "settings").write_text(text)
    monkeypatch.setenv("ENV_FILE", str(tmp_path / "settings"))
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    code = check_config.run(environment_is_ours=environment_is_ours)
    return code, *capsys.readouterr()


def test_right_configuration_is_summed_up_without_a_secret(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"ann:{'hidden3' * 4},ann:{'hidden4' * 4}:admin\nbob:{'hidden5' * 4}")
    text = f"{GOOD}API_KEYS_FILE={tmp_path / 'keys'}\nWEBHOOK_SECRET=whsec_{'A' * 32} cy=whsec_{'B' * 32}\n"
    code, said, complained = check(capsys, monkeypatch, tmp_path, text)
    assert (code, complained) == (0, "")
    assert said.splitlines() == [
        "The configuration is right.",
        "database: postgresql://db:5432/rowgate as rowgate, with a password",
        "Redis: redis://redis:6379/0, with a password",
        "upload folder: /data",
        f"API keys: 3: ann (2, 1 of them admin), bob (1) (from {tmp_path / 'keys'})",
        "webhook secrets: 1 for all, 1 for cy",
        "note: no API key has the name cy, for which there is a webhook secret",
    ]


def test_name_of_a_key_without_one_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = name_of_key("hidden" * 4)
    _, said, _ = check(capsys, monkeypatch, tmp_path, f"{GOOD}API_KEYS={'hidden' * 4}\n")
    assert f"its jobs belong to {name}. To rotate it: {name}:new,{name}:old" in said
    assert "hidden" not in said


def test_each_mistake_is_a_line_with_the_name_that_was_written(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = (
        "REDIS_URL=nonsense\nUPLOAD_DIR=/data\nAPI_KEY=x\nCHUNK_ROW=5\nCHUNK_ROWS=none\nPORT=0\nPOSTGRES_PASSWORD=p@ss\nSOMETHING_ELSE=1\nAPI_KEYS_FILE=/none\n"
    )
    code, said, complained = check(capsys, monkeypatch, tmp_path, text)
    assert (code, said) == (1, "")
    assert [line.split()[1] for line in complained.splitlines()] == [
        "API_KEY:", "CHUNK_ROW:", "POSTGRES_PASSWORD:", "PORT:", "DATABASE_URL", "REDIS_URL:", "CHUNK_ROWS:", "API_KEYS_FILE:",
    ]  # fmt: skip
    assert "rowgate: API_KEY: there is no such setting; is it API_KEYS?" in complained
    assert "p@ss" not in complained


def test_collector_that_cannot_be_sent_to_is_a_mistake(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = f"{GOOD}OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318\nOTEL_TRACE_SAMPLER=always_on\nOTEL_BSP_MAX_QUEUE_SIZE=10\nOTEL_EXPORTER_OTLP_TIMEOUT=5\n"
    code, _, complained = check(capsys, monkeypatch, tmp_path, text)
    assert code == 1
    assert [line.split()[1] for line in complained.splitlines()] == ["OTEL_TRACE_SAMPLER:", "OTEL_EXPORTER_OTLP_ENDPOINT:"]


def test_names_in_the_environment_are_looked_at_if_it_is_made_of_the_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("API_KEY", "x")
    assert check(capsys, monkeypatch, tmp_path, GOOD)[0] == 0
    code, _, complained = check(capsys, monkeypatch, tmp_path, GOOD, environment_is_ours=True)
    assert (code, complained) == (1, "rowgate: API_KEY: there is no such setting; is it API_KEYS?\n")


def test_time_to_drain_has_to_end_before_a_container_is_killed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert check(capsys, monkeypatch, tmp_path, f"{GOOD}API_DRAIN_S=30\n")[0] == 0  # outside containers nothing cuts it
    assert check(capsys, monkeypatch, tmp_path, f"{GOOD}API_DRAIN_S=10\n", environment_is_ours=True)[0] == 0
    code, _, complained = check(capsys, monkeypatch, tmp_path, f"{GOOD}API_DRAIN_S=30\n", environment_is_ours=True)
    assert (code, complained) == (1, "rowgate: API_DRAIN_S: must be at most 10, because Compose kills an API that takes longer to stop\n")


def test_file_of_settings_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV_FILE", "/none")
    assert check_config.run() == 1
    assert capsys.readouterr().err == "rowgate: ENV_FILE: /none is not a file that can be read\n"

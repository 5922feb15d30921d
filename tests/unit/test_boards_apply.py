"""``diastole boards`` against a stand-in of Grafana 11, 12 and 13, over real HTTP."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ops.boards.applying import apply as bring
from ops.boards.applying import changes
from ops.boards.catalogue import Catalogue, catalogue
from ops.boards.changes import Sort, Standing
from ops.boards.grafana import (
    Grafana,
    GrafanaDeniedError,
    GrafanaRefusedError,
    GrafanaUnavailableError,
    open_grafana,
)
from ops.boards.places import API_UID, FOLDER_UID, PROMETHEUS_UID, Places
from ops.cli import boards
from schemas.errors import ConfigurationError
from streams.policy import load_policy
from tests.grafana_stand_in import ADMIN_TOKEN, VIEWER_TOKEN, GrafanaStandIn, grafana_stand_in

API_TOKEN = "dr-token-of-the-read-api-0123456789"  # noqa: S105
UIDS = ("diastole-patient", "diastole-ward", "diastole-burden", "diastole-operations")


@pytest.fixture(params=[11, 12, 13])
def there(request: pytest.FixtureRequest) -> Iterator[GrafanaStandIn]:
    with grafana_stand_in(request.param) as held:
        yield held


@pytest.fixture
def command(there: GrafanaStandIn, tmp_path: Path) -> Any:
    (tmp_path / "grafana.token").write_text(ADMIN_TOKEN + "\n")
    (tmp_path / "viewer.token").write_text(VIEWER_TOKEN)
    (tmp_path / "api.token").write_text(API_TOKEN)

    def call(verb: str, *more: str, token: str = "grafana.token") -> Result:  # noqa: S107 (a file)
        files = ["--token-file", str(tmp_path / token), "--api-token-file", str(tmp_path / "api.token")]
        outcome = CliRunner().invoke(boards.app, [verb, "--url", there.url, *files, *more])
        assert API_TOKEN not in outcome.output
        assert ADMIN_TOKEN not in outcome.output
        assert API_TOKEN not in str(outcome.exception)
        return outcome

    return call


def wanted(token: str | None = API_TOKEN, **places: str) -> Catalogue:
    return catalogue(Places(**places), load_policy(), token)


async def bring_all(grafana: Grafana, what: Catalogue, *, force: bool = False) -> list[tuple[Sort, str]]:
    written = await bring(grafana, what, await changes(grafana, what), force=force)
    return [(change.sort, change.uid) for change in written]


def test_applied_to_an_empty_grafana_everything_is_there(there: GrafanaStandIn, command: Any) -> None:
    outcome = command("apply")
    assert outcome.exit_code == 0, outcome.output
    assert set(there.boards) == set(UIDS)
    assert set(there.folders) == {FOLDER_UID}
    assert there.secrets[API_UID] == {"bearerToken": API_TOKEN}
    assert len(there.rules[FOLDER_UID, "diastole"]["rules"]) >= 4
    assert all(held["folderUid"] == FOLDER_UID for held in there.boards.values())
    assert outcome.output.count("missing") == 8
    assert "8 written" in outcome.output


def test_applied_twice_nothing_is_written(there: GrafanaStandIn, command: Any) -> None:
    command("apply")
    there.asked.clear()
    outcome = command("apply")
    assert outcome.exit_code == 0, outcome.output
    assert there.writes == []
    assert "nothing to write" in outcome.output


def test_a_diff_writes_nothing_and_says_by_its_code_whether_there_is_one(
    there: GrafanaStandIn, command: Any
) -> None:
    assert command("diff").exit_code == 1
    assert there.writes == []
    command("apply")
    there.asked.clear()
    outcome = command("diff")
    assert outcome.exit_code == 0, outcome.output
    assert there.writes == []


def test_a_board_edited_by_hand_is_reported_and_left(there: GrafanaStandIn, command: Any) -> None:
    command("apply")
    there.edit_board("diastole-ward", title="My ward")
    there.asked.clear()
    outcome = command("apply")
    assert outcome.exit_code == 1
    assert there.writes == []
    assert "board diastole-ward: edited by hand" in outcome.output
    assert '"title": "My ward"' in outcome.output
    assert "--force" in outcome.output
    assert there.boards["diastole-ward"]["dashboard"]["title"] == "My ward"


def test_force_writes_over_an_edit_and_over_nothing_else(there: GrafanaStandIn, command: Any) -> None:
    command("apply")
    there.edit_board("diastole-ward", title="My ward")
    there.asked.clear()
    outcome = command("apply", "--force")
    assert outcome.exit_code == 0, outcome.output
    assert there.writes == [("POST", "/api/dashboards/db")]
    assert there.boards["diastole-ward"]["dashboard"]["title"] == "Diastole: ward"


def test_a_board_of_the_same_uid_that_is_none_of_ours_is_left(there: GrafanaStandIn, command: Any) -> None:
    command("apply")
    there.edit_board("diastole-burden", tags=["somebody"])
    assert command("apply").exit_code == 1


def test_other_settings_bring_older_boards_up_to_date_without_force(
    there: GrafanaStandIn, command: Any
) -> None:
    command("apply")
    there.asked.clear()
    outcome = command("apply", "--inbox-url", "https://inbox.example/")
    assert outcome.exit_code == 0, outcome.output
    assert {path for _, path in there.writes} == {"/api/dashboards/db"}
    assert "+" in outcome.output
    assert "https://inbox.example/patients/" in outcome.output
    there.asked.clear()
    assert command("apply", "--inbox-url", "https://inbox.example").exit_code == 0
    assert there.writes == []


def test_a_token_that_may_only_look_is_told_what_it_needs(there: GrafanaStandIn, command: Any) -> None:
    outcome = command("apply", token="viewer.token")  # noqa: S106 (a file)
    assert isinstance(outcome.exception, GrafanaDeniedError)
    assert "role Admin" in str(outcome.exception)
    assert there.boards == {}


def test_a_wrong_token_is_told_how_to_get_one(there: GrafanaStandIn, command: Any, tmp_path: Path) -> None:
    (tmp_path / "wrong.token").write_text("glsa_wrong")
    outcome = command("diff", token="wrong.token")  # noqa: S106 (a file)
    assert isinstance(outcome.exception, GrafanaDeniedError)
    assert "service account" in str(outcome.exception)
    assert "glsa_wrong" not in str(outcome.exception)


def test_a_grafana_that_is_down_is_to_be_tried_again(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    outcome = _diff_of(f"http://127.0.0.1:{port}", tmp_path)
    assert isinstance(outcome.exception, GrafanaUnavailableError)
    assert "check --url" in str(outcome.exception)


def _diff_of(url: str, folder: Path) -> Result:
    file = folder / "grafana.token"
    file.write_text(ADMIN_TOKEN)
    return CliRunner().invoke(boards.app, ["diff", "--url", url, "--token-file", str(file)])


@pytest.mark.parametrize("url", ["grafana", "ftp://grafana", "http://admin:secret@grafana"])
def test_a_wrong_address_is_refused_before_anything_is_asked(url: str, tmp_path: Path) -> None:
    outcome = _diff_of(url, tmp_path)
    assert isinstance(outcome.exception, ConfigurationError)
    assert "secret" not in str(outcome.exception)


@pytest.mark.parametrize("content", ["", "two words", "\n"])
def test_a_file_without_a_token_is_refused_without_showing_it(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    outcome = CliRunner().invoke(boards.app, ["diff", "--token-file", str(file)])
    assert isinstance(outcome.exception, ConfigurationError)
    assert "words" not in str(outcome.exception)


async def test_without_a_token_of_the_read_api_nothing_is_begun(there: GrafanaStandIn) -> None:
    async with open_grafana(there.url, ADMIN_TOKEN) as grafana:
        with pytest.raises(ConfigurationError, match="--api-token-file"):
            await bring_all(grafana, wanted(None))
        assert there.writes == []


async def test_a_token_is_kept_where_none_is_given_and_changed_where_another_is(
    there: GrafanaStandIn,
) -> None:
    async with open_grafana(there.url, ADMIN_TOKEN) as grafana:
        await bring_all(grafana, wanted())
        assert await bring_all(grafana, wanted(None)) == []
        assert await bring_all(grafana, wanted(None, api_url="http://other:1")) == [(Sort.SOURCE, API_UID)]
        assert there.secrets[API_UID] == {"bearerToken": API_TOKEN}
        assert await bring_all(grafana, wanted(api_url="http://other:1")) == []  # it still is that token
        another = "another-token-of-the-read-api-012345"
        assert await bring_all(grafana, wanted(another, api_url="http://other:1")) == [(Sort.SOURCE, API_UID)]
        assert there.secrets[API_UID] == {"bearerToken": another}


async def test_what_grafana_has_from_files_is_left_even_with_force(there: GrafanaStandIn) -> None:
    async with open_grafana(there.url, ADMIN_TOKEN) as grafana:
        await bring_all(grafana, wanted())
        there.edit_board("diastole-ward", title="Of a file")
        there.boards["diastole-ward"]["meta"] = {"provisioned": True}
        there.sources[PROMETHEUS_UID].update(readOnly=True, url="http://elsewhere")
        assert await bring_all(grafana, wanted(), force=True) == []
        left = {change.uid: change.standing for change in await changes(grafana, wanted())}
        assert left["diastole-ward"] is left[PROMETHEUS_UID] is Standing.FROM_FILES


async def test_a_data_source_a_folder_and_rules_edited_by_hand_are_left(there: GrafanaStandIn) -> None:
    async with open_grafana(there.url, ADMIN_TOKEN) as grafana:
        await bring_all(grafana, wanted())
        there.sources[API_UID]["url"] = "http://elsewhere"
        there.folders[FOLDER_UID]["title"] = "Heart"
        there.rules[FOLDER_UID, "diastole"]["rules"][0]["isPaused"] = True
        assert await bring_all(grafana, wanted()) == []
        written = await bring_all(grafana, wanted(), force=True)
        assert [sort for sort, _ in written] == [Sort.FOLDER, Sort.SOURCE, Sort.RULES]
        assert await bring_all(grafana, wanted()) == []


async def test_a_board_that_was_moved_is_left_and_with_force_moved_back(there: GrafanaStandIn) -> None:
    async with open_grafana(there.url, ADMIN_TOKEN) as grafana:
        await bring_all(grafana, wanted())
        there.folders["other"] = {"uid": "other", "title": "Other", "version": 1}
        there.boards["diastole-ward"]["folderUid"] = "other"
        assert await bring_all(grafana, wanted()) == []
        assert await bring_all(grafana, wanted(), force=True) == [(Sort.BOARD, "diastole-ward")]
        assert there.boards["diastole-ward"]["folderUid"] == FOLDER_UID


async def test_a_board_saved_between_the_diff_and_the_write_is_not_overwritten(there: GrafanaStandIn) -> None:
    async with open_grafana(there.url, ADMIN_TOKEN) as grafana:
        await bring_all(grafana, wanted())
        newer = wanted(inbox_url="http://new")
        planned = await changes(grafana, newer)
        there.edit_board("diastole-patient", title="Just saved")
        with pytest.raises(GrafanaRefusedError, match="changed meanwhile"):
            await bring(grafana, newer, planned, force=False)
        assert there.boards["diastole-patient"]["dashboard"]["title"] == "Just saved"


async def test_a_name_that_another_has_is_said(there: GrafanaStandIn) -> None:
    there.folders["x"] = {"uid": "x", "title": "Diastole", "version": 1}
    async with open_grafana(there.url, ADMIN_TOKEN) as grafana:
        with pytest.raises(GrafanaRefusedError, match="another has its name"):
            await bring_all(grafana, wanted())


async def test_a_grafana_that_rewrites_what_it_is_sent_is_found_out(there: GrafanaStandIn) -> None:
    there.rewrites_boards = True
    async with open_grafana(there.url, ADMIN_TOKEN) as grafana:
        with pytest.raises(GrafanaRefusedError, match="another form"):
            await bring_all(grafana, wanted())


async def test_a_failure_in_between_is_gone_on_from(there: GrafanaStandIn) -> None:
    there.boards["mine"] = {"dashboard": {"title": "Diastole: alert burden"}, "folderUid": FOLDER_UID}
    async with open_grafana(there.url, ADMIN_TOKEN) as grafana:
        with pytest.raises(GrafanaRefusedError):
            await bring_all(grafana, wanted())
        del there.boards["mine"]
        written = [uid for _, uid in await bring_all(grafana, wanted())]
        assert written == ["diastole-burden", "diastole-operations", "diastole"]


async def test_a_grafana_that_is_too_old_is_refused() -> None:
    with grafana_stand_in(10) as old:
        async with open_grafana(old.url, ADMIN_TOKEN) as grafana:
            with pytest.raises(ConfigurationError, match="11 or newer"):
                await grafana.require_version()


async def test_nothing_is_ever_addressed_by_number(there: GrafanaStandIn) -> None:
    async with open_grafana(there.url, ADMIN_TOKEN) as grafana:
        await bring_all(grafana, wanted())
        await bring_all(grafana, wanted(inbox_url="http://new"), force=True)
    assert not [path for _, path in there.asked if path.rpartition("/")[2].isdigit()]

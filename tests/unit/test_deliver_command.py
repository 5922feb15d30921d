"""``diastole deliver``: what it refuses to start with, and what a test notice tells."""

import asyncio
from pathlib import Path

import pytest
import typer
from deliver_process import write_routes
from receivers import Reply, receiving
from typer.testing import CliRunner, Result

from ops.cli.deliver import channels_text, deliver, inbox_only_lines
from schemas.errors import ConfigurationError
from streams.deliver.checking import TEST_PATIENT
from streams.deliver.routes_file import load_routes
from streams.deliver.running import links_to

app = typer.Typer()
app.command()(deliver)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("options", [("--check",), ("--broker", "127.0.0.1:9")])
def test_a_missing_secret_is_said_before_anything_starts(tmp_path: Path, options: tuple[str, ...]) -> None:
    routes = write_routes(tmp_path, 9)
    (tmp_path / "webhook.key").unlink()
    done = run("--routes", str(routes), *options)
    assert isinstance(done.exception, ConfigurationError)
    assert "secret file of channel" in str(done.exception)


def test_the_channels_there_are_are_named_and_none_is_said() -> None:
    assert "page nobody" in channels_text(load_routes())


def test_channels_are_named_with_their_kind(tmp_path: Path) -> None:
    assert "ward (webhook), senior (webhook)" in channels_text(load_routes(write_routes(tmp_path, 9)))


def only_ward_a(folder: Path, port: int) -> Path:
    routes = write_routes(folder, port)
    catch_all = '[[route]]\nname = "inbox"\nlevels = [0, 1]\nrecipient = "care team"\nchannels = []\n'
    each_of_a = routes.read_text().replace("[[route]]", '[[route]]\nwards = ["A"]')
    routes.write_text(f"{each_of_a}\n{catch_all}")
    return routes


def test_whoever_pages_one_ward_is_warned_of_all_others_before_anything_starts(tmp_path: Path) -> None:
    done = run("--routes", str(only_ward_a(tmp_path, 9)), "--broker", "127.0.0.1:9")
    warning = "warning: every alert of every ward other than A: in the inbox alone, pages nobody"
    assert warning in done.stderr


async def test_a_check_warns_of_wards_that_page_nobody_and_passes(tmp_path: Path) -> None:
    async with receiving(lambda _: Reply()) as receiver:
        routes = only_ward_a(tmp_path, receiver.port)
        done = await asyncio.to_thread(run, "--routes", str(routes), "--check")
    assert done.exit_code == 0
    assert "every ward other than A" in done.stderr


def test_without_any_channel_one_line_says_so() -> None:
    assert inbox_only_lines(load_routes()) == []


async def test_a_test_notice_says_which_channel_takes_it_and_that_it_is_over(tmp_path: Path) -> None:
    def answer(request: object) -> Reply:
        return Reply(status=403 if str(getattr(request, "path", "")).endswith("senior") else 200)

    async with receiving(answer) as receiver:
        routes = write_routes(tmp_path, receiver.port)
        done = await asyncio.to_thread(run, "--routes", str(routes), "--check")
    assert done.exit_code == 1
    assert "taken" in done.output
    assert "CHANNEL_REFUSED" in done.output
    bodies = [request.body for request in receiver.requests if request.path.endswith("ward")]
    assert len(bodies) == 2
    assert all(b"This is a test of the channel" in body for body in bodies)
    assert b"alert.closed" in bodies[1]
    assert not any(TEST_PATIENT.encode() in body for body in bodies)


def test_without_an_inbox_there_is_no_link() -> None:
    assert links_to("")("a1") == ""
    assert links_to("https://inbox.example")("a1") == "https://inbox.example/alerts/a1"

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ops.cli import main as cli
from schemas.errors import ConfigurationError
from streams.feeds.http.tokens import Role, Tokens, load_tokens


@pytest.mark.parametrize("command", ["feed http", "token new"])
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(cli.app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert "Example: diastole" in result.output


def test_a_new_token_is_shown_once_and_works(tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    made = [
        "token",
        "new",
        "desk",
        "--role",
        "operator",
        "--role",
        "feed",
        "--site",
        "north",
        "--file",
        str(file),
    ]
    result = CliRunner().invoke(cli.app, made)
    assert result.exit_code == 0
    secret, *rest = result.stdout.splitlines()
    assert rest == []
    assert secret not in result.stderr
    assert secret not in file.read_text()
    found = Tokens(file).bearer(secret)
    assert found is not None
    assert (found.name, found.roles, found.sites) == ("desk", frozenset(Role), ("north",))


def test_a_token_needs_a_file_and_a_name_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(cli.app, ["token", "new", "cart"])
    assert isinstance(result.exception, ConfigurationError)
    assert "DIASTOLE_FEED_TOKENS" in str(result.exception)
    monkeypatch.setenv("DIASTOLE_FEED_TOKENS", str(tmp_path / "tokens.toml"))
    assert CliRunner().invoke(cli.app, ["token", "new", "cart"]).exit_code == 0
    result = CliRunner().invoke(cli.app, ["token", "new", "cart"])
    assert "has a token cart" in str(result.exception)
    assert len(load_tokens(tmp_path / "tokens.toml")) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--host", "0.0.0.0"], "diastole token new"),  # noqa: S104  # refused
        (["--certificate", "x.pem"], "--key"),
        (["--tokens", "absent.toml"], "diastole token new"),
    ],
)
def test_a_feed_that_cannot_be_is_refused_before_it_waits_for_anything(
    arguments: list[str], complaint: str
) -> None:
    result = CliRunner().invoke(cli.app, ["feed", "http", *arguments])
    assert isinstance(result.exception, ConfigurationError)
    assert complaint in str(result.exception)

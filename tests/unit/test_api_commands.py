"""``diastole token --for care`` and what ``diastole api`` refuses before it opens anything."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ops.cli.main import app
from schemas.errors import ConfigurationError
from streams.api.tokens import CareTokens, Role

RUNNER = CliRunner()


def test_a_token_for_the_care_team_is_shown_once_and_known_by_its_hash(tmp_path: Path) -> None:
    file = tmp_path / "care.toml"
    options = ["--for", "care", "--role", "clinician", "--ward", "W3", "--ward", "ICU-*", "--file", str(file)]
    made = RUNNER.invoke(app, ["token", "new", "ward-3", *options])
    assert made.exit_code == 0, made.output
    secret = made.stdout.strip()
    assert secret not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    token = CareTokens(file).bearer(secret)
    assert token is not None
    assert (token.name, token.roles, token.wards) == ("ward-3", {Role.CLINICIAN}, ("W3", "ICU-*"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--for", "care", "--role", "operator"], "viewer, clinician, admin"),
        (["--role", "viewer"], "feed, operator"),
        (["--ward", "W3"], "feeds know no wards"),
    ],
)
def test_roles_and_wards_of_another_purpose_are_refused(
    options: list[str], says: str, tmp_path: Path
) -> None:
    made = RUNNER.invoke(app, ["token", "new", "x", *options, "--file", str(tmp_path / "t.toml")])
    assert isinstance(made.exception, ConfigurationError)
    assert says in str(made.exception)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--host", "0.0.0.0"], "loopback alone"),  # noqa: S104 - it is refused
        (["--certificate", "c.pem"], "both --certificate and --key"),
        (["--tokens", "missing.toml"], "cannot be read"),
    ],
)
def test_what_cannot_be_served_safely_is_not_served(options: list[str], says: str) -> None:
    served = RUNNER.invoke(app, ["api", *options])
    assert isinstance(served.exception, ConfigurationError)
    assert says in str(served.exception)

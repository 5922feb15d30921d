"""What an operator may write after ``diastole feed dicom`` and ``diastole feed mllp``."""

import pytest
from typer.testing import CliRunner

from ops.cli import feed
from ops.cli.feed_dicom import allowed_titles
from ops.cli.feed_mllp import allowed_networks, parse_network
from schemas.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10.1.2.3", "10.1.2.3/32"), ("10.1.0.0/16", "10.1.0.0/16"), ("::1", "::1/128")],
)
def test_an_address_or_a_network_may_be_allowed(text: str, expected: str) -> None:
    assert str(parse_network(text)) == expected


@pytest.mark.parametrize("text", ["", "cart7", "10.1.2.3/8", "300.1.1.1"])
def test_what_is_no_network_is_a_wrong_setting(text: str) -> None:
    with pytest.raises(ConfigurationError, match="write an address"):
        parse_network(text)


def test_anybody_may_be_allowed_when_it_is_said() -> None:
    assert allowed_titles("10.0.0.1", ["*"]) == ()
    assert allowed_titles("10.0.0.1", ["CART1", "CART2"]) == ("CART1", "CART2")
    assert allowed_titles("localhost", []) == ()
    assert [str(network) for network in allowed_networks("::", ["0.0.0.0/0", "::/0"])] == [
        "0.0.0.0/0",
        "::/0",
    ]
    assert allowed_networks("127.0.0.1", []) == ()


@pytest.mark.parametrize(
    "arguments",
    [
        ["mllp", "--allow", "nowhere"],
        ["mllp", "--host", "0.0.0.0"],  # noqa: S104 - that it is refused is the point
        ["dicom", "--host", "0.0.0.0"],  # noqa: S104
        ["mllp", "--timezone", "Nowhere/Land"],
        ["dicom", "--ae-title", "MORE THAN SIXTEEN"],
        ["dicom", "--allow", "A\\B"],
    ],
)
def test_a_wrong_setting_is_said_before_anything_starts(arguments: list[str]) -> None:
    outcome = CliRunner().invoke(feed.app, arguments)
    assert isinstance(outcome.exception, ConfigurationError)

"""The policy file: what is accepted, what is refused and how, and what its version stands for."""

from dataclasses import replace
from pathlib import Path

import pytest

from schemas.errors import ConfigurationError
from streams.policy import DEFAULT_POLICY, Policy, load_policy, parse_policy

GOOD = {
    "version": "ward-7",
    "enter_threshold": 0.6,
    "exit_threshold": 0.45,
    "confirm_n": 2,
    "confirm_m": 3,
    "lockout_h": 8.0,
    "step_up": 0.15,
}


def test_the_shipped_policy_has_hysteresis_and_an_eight_hour_lockout() -> None:
    policy = load_policy()
    assert policy.exit_threshold < policy.enter_threshold
    assert (policy.confirm_n, policy.confirm_m, policy.lockout_h) == (2, 3, 8.0)


def test_a_file_elsewhere_is_read(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(DEFAULT_POLICY.read_text().replace("default-1", "own-1"))
    assert load_policy(own).label == "own-1"


@pytest.mark.parametrize("key", sorted(GOOD))
def test_a_missing_key_is_named(key: str) -> None:
    table = {name: number for name, number in GOOD.items() if name != key}
    with pytest.raises(ConfigurationError, match=f"{key} is missing; add it"):
        parse_policy(table)


def test_an_unknown_key_is_named_so_that_a_misspelling_cannot_pass_as_the_default() -> None:
    with pytest.raises(ConfigurationError, match="lockout_hours is unknown; remove it"):
        parse_policy({**GOOD, "lockout_hours": 4})


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("version", ""),
        ("version", "a b"),
        ("version", "x" * 41),
        ("version", 1),
        ("enter_threshold", 0),
        ("enter_threshold", 1.01),
        ("enter_threshold", "0.6"),
        ("enter_threshold", float("nan")),
        ("enter_threshold", True),
        ("exit_threshold", 0.6),
        ("exit_threshold", 0),
        ("confirm_n", 0),
        ("confirm_n", 4),
        ("confirm_n", 2.0),
        ("confirm_m", 21),
        ("confirm_m", True),
        ("lockout_h", -1),
        ("lockout_h", float("inf")),
        ("step_up", 0),
        ("step_up", 1.5),
    ],
)
def test_a_wrong_number_or_type_is_refused_by_its_key(key: str, wrong: object) -> None:
    with pytest.raises(ConfigurationError, match=rf"{key} must .*(; change it in the policy file)"):
        parse_policy({**GOOD, key: wrong})


def test_a_file_that_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"missing\.toml: cannot be read .* check DIASTOLE_POLICY"):
        load_policy(tmp_path / "missing.toml")


@pytest.mark.parametrize("content", [b"enter_threshold = ", b"\xff\xfe\x00"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.toml").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"broken\.toml: is no TOML"):
        load_policy(tmp_path / "broken.toml")


def test_an_error_inside_the_file_names_file_and_key(tmp_path: Path) -> None:
    (tmp_path / "flat.toml").write_text(
        DEFAULT_POLICY.read_text().replace("exit_threshold = 0.50", "exit_threshold = 0.75")
    )
    with pytest.raises(ConfigurationError, match=r"flat\.toml: .*exit_threshold"):
        load_policy(tmp_path / "flat.toml")


@pytest.mark.parametrize(
    "change",
    [
        {"label": "ward-8"},
        {"enter_threshold": 0.61},
        {"exit_threshold": 0.44},
        {"confirm_n": 1},
        {"confirm_m": 4},
        {"lockout_h": 7.0},
        {"step_up": 0.16},
    ],
)
def test_any_change_of_content_changes_the_version(change: dict[str, object]) -> None:
    policy: Policy = parse_policy(dict(GOOD))
    assert replace(policy, **change).version != policy.version  # type: ignore[arg-type]


def test_the_version_is_the_label_and_a_digest_that_never_moves() -> None:
    # A golden string: another digest of the same content would give every alert a second id.
    assert parse_policy(dict(GOOD)).version == "ward-7+899a1cb6"


def test_8_and_8_point_0_hours_are_one_policy() -> None:
    assert parse_policy({**GOOD, "lockout_h": 8}).version == parse_policy(dict(GOOD)).version

"""What is sealed opens with its key and in its place alone; the key file is its owner's alone."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigurationError
from streams.feeds.sealing import PSEUDONYM, QUARANTINE, TABLE, Sealer, SealError, Secret

KEY = bytes(range(32))
SECRET = Secret(KEY)


def key_file(folder: Path, text: bytes, mode: int = 0o600) -> Path:
    path = folder / "key"
    path.write_bytes(text)
    path.chmod(mode)
    return path


@given(plain=st.binary(max_size=2000), context=st.binary(max_size=60))
def test_what_is_sealed_opens_in_its_context(plain: bytes, context: bytes) -> None:
    sealer = SECRET.sealer(QUARANTINE)
    assert sealer.open(sealer.seal(plain, context), context) == plain


def test_sealing_twice_gives_different_bytes_without_the_plain_ones() -> None:
    sealer = SECRET.sealer(QUARANTINE)
    first, second = (sealer.seal(b"PATIENT-4711", b"q") for _ in range(2))
    assert first != second
    assert b"4711" not in first + second


def test_another_key_does_not_open_it_and_the_message_names_the_setting() -> None:
    sealed = SECRET.sealer(QUARANTINE).seal(b"PATIENT-4711", b"q")
    for other in (SECRET.sealer(TABLE), Sealer(bytes(32))):
        with pytest.raises(SealError, match="DIASTOLE_FEED_KEY_FILE"):
            other.open(sealed, b"q")


def test_it_does_not_open_where_it_does_not_belong() -> None:
    sealer = SECRET.sealer(QUARANTINE)
    with pytest.raises(SealError):
        sealer.open(sealer.seal(b"x", b"one"), b"another")


@given(st.data())
def test_a_changed_bit_anywhere_is_noticed(data: st.DataObject) -> None:
    sealer = SECRET.sealer(QUARANTINE)
    sealed = bytearray(sealer.seal(b"PATIENT-4711", b"q"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SealError):
        sealer.open(bytes(sealed), b"q")


@pytest.mark.parametrize("n_bytes", [0, 1, 13, 28])
def test_what_is_too_short_to_be_sealed_is_refused(n_bytes: int) -> None:
    with pytest.raises(SealError):
        SECRET.sealer(QUARANTINE).open((b"\x01" * 29)[:n_bytes], b"q")


def test_each_purpose_has_its_own_key_and_always_the_same() -> None:
    keys = [SECRET.derive(purpose) for purpose in (QUARANTINE, PSEUDONYM, TABLE)]
    assert len(set(keys)) == 3
    assert keys == [Secret(KEY).derive(purpose) for purpose in (QUARANTINE, PSEUDONYM, TABLE)]
    # Another value would mean that what hospitals sealed and named can no longer be opened and found.
    assert SECRET.derive(PSEUDONYM).hex() == PSEUDONYM_KEY


PSEUDONYM_KEY = "4ec605ce5e718d14851466a628fb2aa13189ded97bc494fa1e55f89f5aa35270"


@pytest.mark.parametrize(
    "text", [KEY.hex().encode(), KEY.hex().upper().encode() + b"\n", base64.b64encode(KEY) + b"\n"]
)
def test_a_key_file_may_be_hexadecimal_or_base64(tmp_path: Path, text: bytes) -> None:
    assert Secret.load(key_file(tmp_path, text)).derive(TABLE) == SECRET.derive(TABLE)


def test_a_generated_secret_is_read_back_from_its_file(tmp_path: Path) -> None:
    made = Secret.generate()
    assert Secret.load(key_file(tmp_path, made.text().encode())).derive(TABLE) == made.derive(TABLE)
    assert made.text() not in repr(made)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o601])
def test_a_key_file_open_to_others_is_refused_with_what_closes_it(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigurationError, match="chmod 600"):
        Secret.load(key_file(tmp_path, KEY.hex().encode(), mode))


@pytest.mark.parametrize(
    "text", [b"", b"secret", KEY[:31].hex().encode(), KEY, base64.b64encode(KEY[:31]), b"\xff" * 64]
)
def test_a_file_without_a_key_is_refused_without_showing_what_it_holds(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(ConfigurationError, match="holds no key") as caught:
        Secret.load(key_file(tmp_path, text))
    assert "secret" not in str(caught.value)


def test_a_missing_key_file_is_refused_with_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="diastole identity key"):
        Secret.load(tmp_path / "none")

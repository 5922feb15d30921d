"""The secret of a gateway: one key file, from which every purpose has a key of its own."""

import binascii
import secrets
import stat
from base64 import b64decode
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from schemas.errors import ConfigurationError, PoisonError

#: 256 bits: what AES-256 and HMAC-SHA-256 take whole.
KEY_BYTES: Final = 32

#: Purposes keys are derived for. The names go into the derivation: another name is another key, and what was
#: sealed or named under the old one is lost.
QUARANTINE: Final = "quarantine"
PSEUDONYM: Final = "pseudonym"
TABLE: Final = "table"

#: Domain separation (RFC 5869 §3.2): the same key file used elsewhere gives other keys there.
_INFO_PREFIX: Final = b"diastole/v1/"

#: Nonce of AES-GCM (NIST SP 800-38D §8.2.2): 96 random bits. One key may seal 2³² times, which at ten
#: pieces a second is thirteen years.
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16

#: First byte of what was sealed; the next way of sealing gets the next number.
_AES_256_GCM: Final = b"\x01"

#: A key file holds 64 hexadecimal or 44 base64 characters and perhaps a newline.
_MOST_FILE_BYTES: Final = 4096


class SealError(PoisonError):
    """What was sealed does not open: sealed with another key, changed since, or none of ours."""

    code = "SEAL"


class Secret:
    """The gateway's secret, never shown; its keys are derived by HKDF-SHA-256 (RFC 5869)."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ConfigurationError(f"a key has {KEY_BYTES} bytes; make one with: diastole identity key")
        self._key = key

    @classmethod
    def load(cls, path: Path) -> "Secret":
        """Read a key file: 32 random bytes as hexadecimal or base64 text, readable by its owner alone.

        Raises
        ------
        ConfigurationError
            When it cannot be read, others may read it, or it holds no key.
        """
        try:
            mode = path.stat().st_mode
            with path.open("rb") as stream:
                text = stream.read(_MOST_FILE_BYTES)
        except OSError as error:
            raise ConfigurationError(
                f"the key file {path} cannot be read ({error.strerror}); make one with: diastole identity key"
            ) from None
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigurationError(
                f"the key file {path} is open to others than its owner (mode {stat.S_IMODE(mode):04o}); "
                f"close it with: chmod 600 {path}"
            )
        return cls(_key_of(text, path))

    @classmethod
    def generate(cls) -> "Secret":
        """Make a new one from the system's source of randomness."""
        return cls(secrets.token_bytes(KEY_BYTES))

    def text(self) -> str:
        """Write it as its key file holds it; for the one who makes the file, and nobody else."""
        return self._key.hex()

    def derive(self, purpose: str) -> bytes:
        """Derive the key of one purpose, 32 bytes; always the same, and telling nothing of the others."""
        info = _INFO_PREFIX + purpose.encode()
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self._key)

    def sealer(self, purpose: str) -> "Sealer":
        """Sealer with the key of one purpose."""
        return Sealer(self.derive(purpose))

    def __repr__(self) -> str:
        """Show that it is one, and nothing of it."""
        return "Secret(…)"


class Sealer:
    """Seals bytes so that only the holder of the key reads them, and nobody moves them elsewhere unnoticed.

    AES-256-GCM with a random nonce: sealing the same twice gives different bytes.
    """

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Seal bytes.

        Parameters
        ----------
        context : bytes
            Where they belong, such as a quarantine id; not hidden, but needed to open them.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _AES_256_GCM + nonce + self._cipher.encrypt(nonce, plain, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Open what :meth:`seal` sealed in the same context.

        Raises
        ------
        SealError
            When key or context are others, or a bit was changed.
        """
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if not sealed.startswith(_AES_256_GCM) or len(body) < _TAG_BYTES:
            raise SealError("these bytes were not sealed by this version of Diastole; see who wrote them")
        try:
            return self._cipher.decrypt(nonce, body, context)
        except InvalidTag:
            raise SealError(
                "it was sealed with another key, or was changed since; "
                "set DIASTOLE_FEED_KEY_FILE to the key file of the gateway that kept it"
            ) from None


def _key_of(text: bytes, path: Path) -> bytes:
    written = text.strip()
    try:
        key = bytes.fromhex(written.decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        try:
            key = b64decode(written, validate=True)
        except (binascii.Error, ValueError):
            key = b""
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            f"the key file {path} holds no key of {KEY_BYTES} bytes as hexadecimal or base64 text; "
            "make one with: diastole identity key"
        )
    return key

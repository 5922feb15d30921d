"""An authority made for one test, and what it signs: no certificate lies in the repository."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """Files of one certificate: itself, its key, and both in one as Kafka's broker wants them."""

    cert_file: Path
    key_file: Path
    both_file: Path


class Authority:
    """Signs certificates for an hour; its own lies at ``ca_file``."""

    def __init__(self, folder: Path, name: str = "Test authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        own = self._begun(self._name, self._key.public_key(), is_authority=True).sign(
            self._key, hashes.SHA256()
        )
        folder.mkdir(parents=True, exist_ok=True)
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(own.public_bytes(Encoding.PEM))

    def issue(self, name: str, *, password: str | None = None) -> Issued:
        """Sign a certificate with this common name, for servers on 127.0.0.1 and for clients."""
        key = ec.generate_private_key(ec.SECP256R1())
        places = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        signed = (
            self._begun(_name(name), key.public_key(), is_authority=False)
            .add_extension(x509.SubjectAlternativeName(places), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        hidden: KeySerializationEncryption = (
            NoEncryption() if password is None else BestAvailableEncryption(password.encode())
        )
        pem = signed.public_bytes(Encoding.PEM)
        key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden)
        issued = Issued(
            cert_file=self._folder / f"{name}.pem",
            key_file=self._folder / f"{name}.key",
            both_file=self._folder / f"{name}.both.pem",
        )
        for path, content in (
            (issued.cert_file, pem),
            (issued.key_file, key_pem),
            (issued.both_file, key_pem + pem),
        ):
            path.touch(mode=0o600)
            path.write_bytes(content)
        return issued

    def _begun(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, is_authority: bool
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _HOUR)
            .not_valid_after(now + _HOUR)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def secret_file(folder: Path, secret: str, mode: int = 0o600) -> Path:
    """File with one line, closed to others unless told differently."""
    path = folder / f"secret-{mode:o}"
    path.touch(mode=0o600)
    path.write_text(secret + "\n")
    path.chmod(mode)
    return path

"""Why a TLS connection did not come about, told to whoever set the certificates."""

import ssl
from collections.abc import Iterator

_SEEN = 10  # causes looked through; a chain of errors is a few long


def tls_trouble(error: BaseException, prefix: str) -> str | None:
    """Find what TLS has against a connection among an error and its causes; None when it is not about TLS.

    Parameters
    ----------
    prefix : str
        Of the settings, ``DIASTOLE_KAFKA`` or ``DIASTOLE_REDIS``.
    """
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            if cause.verify_code in _NAME_CODES:
                return (
                    f"the certificate is for another name ({cause.verify_message}); use a name it is made for"
                )
            return (
                f"the certificate is not trusted ({cause.verify_message}); "
                f"give the authority that signed it as {prefix}_CA_FILE"
            )
        if isinstance(cause, ssl.SSLError) and cause.reason is not None:
            if "ALERT" in cause.reason:
                return (
                    f"the server does not accept our certificate ({_words(cause.reason)}); "
                    f"set {prefix}_CERT_FILE and {prefix}_KEY_FILE to one that its authority signed"
                )
            return f"no TLS there ({_words(cause.reason)}); check the port and that the server speaks TLS"
    return None


#: OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH.
_NAME_CODES = (62, 64)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from an error through what it came of."""
    found: BaseException | None = error
    for _ in range(_SEEN):
        if found is None:
            return
        yield found
        found = found.__cause__ or found.__context__


def _words(reason: str) -> str:
    return reason.lower().replace("_", " ")

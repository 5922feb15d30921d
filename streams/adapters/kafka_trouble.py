"""Why Kafka is not reached, told to whoever can change it.

Kafka's client says only that it could not connect, and its reason to a log we keep silent because it quotes
messages. So the reason is asked for: one connection of our own, once something has failed.
"""

import asyncio
from typing import Final

from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from schemas.errors import ConfigurationError, DiastoleError
from streams.access import Broker, KafkaAccess, kafka_access
from streams.adapters.tls_trouble import causes, tls_trouble

#: A server that takes longer than this to say hello is not one that refuses, ms.
_HELLO_MS: Final = 5_000

#: Begin of a TLS alert, content type 21 and version 3, where Kafka's answer has its length.
_ALERT: Final = 0x1503


class KafkaRefusesError(ConfigurationError):
    """Kafka does not let us in as we are set up, or is not the one we trust."""

    code = "KAFKA_REFUSES"


async def told(broker: Broker, otherwise: DiastoleError) -> DiastoleError:
    """Give the error to raise after a failure to connect: the reason if it lies in settings, else as given.

    Waiting does not help against a wrong password or a certificate that is not trusted, so a start ends; what
    runs already asks :func:`kafka_refusal` and waits.
    """
    refusal = await kafka_refusal(broker)
    return otherwise if refusal is None else KafkaRefusesError(refusal)


async def kafka_refusal(broker: Broker) -> str | None:
    """Say why Kafka does not let us in; None when it does, or when it does not answer at all.

    One line, without any secret. Servers are asked one after the other, until one says why.
    """
    access = kafka_access(broker)
    options = access.client_options()
    for server in options.pop("bootstrap_servers").split(","):
        host, _, port = server.rpartition(":")
        try:
            connection = await create_conn(host, int(port), request_timeout_ms=_HELLO_MS, **options)
        except (KafkaError, OSError, EOFError, TimeoutError, ValueError) as error:
            if why := _reason(error, access):
                return f"Kafka at {server}: {why}"
        else:
            connection.close()
            return None
    return None


def _reason(error: BaseException, access: KafkaAccess) -> str | None:
    # First, since a certificate that is not trusted is a ValueError too.
    if access.is_encrypted and (why := tls_trouble(error, "DIASTOLE_KAFKA")):
        return why
    if isinstance(error, (SaslAuthenticationFailed, AuthenticationFailedError, ValueError)):
        # A ValueError is a server that cannot prove that it knows the password.
        return (
            f"it does not know user {access.user} with this password; "
            "check DIASTOLE_KAFKA_USER and DIASTOLE_KAFKA_PASSWORD_FILE"
        )
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"it does not take {access.mechanism}; set DIASTOLE_KAFKA_SASL_MECHANISM to one that it takes"
    if isinstance(error, IllegalSaslStateError):
        return "this port takes no user and password; set DIASTOLE_KAFKA_SECURITY to SSL, or use another"
    if not access.is_encrypted and any(_is_alert(cause) for cause in causes(error)):
        return "this port speaks TLS; set DIASTOLE_KAFKA_SECURITY to SASL_SSL or SSL"
    return None


def _is_alert(error: BaseException) -> bool:
    expected = error.expected if isinstance(error, asyncio.IncompleteReadError) else None
    return expected is not None and expected >> 16 == _ALERT

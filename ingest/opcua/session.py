"""A session with an OPC UA server: security policy, certificates, trust list, login. Nothing is trusted that is not listed."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog
from asyncua import Client, ua
from asyncua.crypto import security_policies
from asyncua.crypto.truststore import TrustStore
from asyncua.crypto.uacrypto import CertProperties
from asyncua.crypto.validator import CertificateValidator, CertificateValidatorOptions

from app import metrics
from app.errors import MappingError, StackError
from ingest.certificates import check
from ingest.opcua.options import MODES, OpcUaOptions

log = structlog.get_logger()
POLICIES = ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")
DEPRECATED = ("Basic128Rsa15", "Basic256")
REFUSED = (
    ua.uaerrors.BadUserAccessDenied,
    ua.uaerrors.BadIdentityTokenRejected,
    ua.uaerrors.BadIdentityTokenInvalid,
    ua.uaerrors.BadSecurityChecksFailed,
    ua.uaerrors.BadSecurityPolicyRejected,
    ua.uaerrors.BadCertificateUntrusted,
    ua.uaerrors.BadCertificateTimeInvalid,
    ua.uaerrors.BadCertificateInvalid,
    ua.uaerrors.BadCertificateUriInvalid,
)
TIMEOUT, LONGEST_PAUSE = 20.0, 5.0
MOST_MISSED = 1000  # notifications; a server keeps a few


def session_checked(options: OpcUaOptions, where: str) -> None:
    """Raises: MappingError for options that contradict each other."""
    policy = options.security
    if bool(options.user_certificate) != bool(options.user_key):
        raise MappingError("user_certificate and user_key go together", where=where)
    if not policy:
        return
    if policy in DEPRECATED and not options.deprecated:
        raise MappingError(f"security policy {policy} is deprecated", where=where, hint=f"{POLICIES[0]}, or deprecated: true")
    if policy not in POLICIES + DEPRECATED:
        raise MappingError(f"no security policy {policy!r}", where=where, hint=f"one of {', '.join(POLICIES)}")
    if options.mode not in MODES:
        raise MappingError(f"no security mode {options.mode!r}", where=where, hint=f"one of {', '.join(MODES)}")
    missing = [name for name in ("certificate", "key", "trust") if not getattr(options, name)]
    if missing:
        raise MappingError(
            f"security needs {', '.join(missing)}", where=where, hint="trust: certificates of servers, or of who signed"
        )


async def session(url: str, options: OpcUaOptions, lasting: bool = False) -> Client:
    """Not yet connected: `async with` does that. `lasting`: a connection that is lost takes its session up again.

    Raises: StackError for a file that cannot be used."""
    client = Client(url, timeout=TIMEOUT, auto_reconnect=lasting, reconnect_max_delay=LONGEST_PAUSE)
    if options.user_certificate:
        await _identified(client, Path(options.user_certificate), Path(options.user_key))
    elif options.user:
        client.set_user(options.user)
        client.set_password(os.environ.get(options.password_variable, ""))
    if options.security:
        await _secure(client, options)
    return client


async def _identified(client: Client, certificate: Path, key: Path) -> None:
    check(certificate)
    try:
        await client.load_client_certificate(str(certificate), "pem")
        await client.load_private_key(key, None, "pem")
    except (ValueError, TypeError, OSError) as error:
        raise StackError(
            f"the user's certificate or key cannot be used: {error}", where=str(certificate), hint="PEM"
        ) from error


async def _secure(client: Client, options: OpcUaOptions) -> None:
    certificate, key = Path(options.certificate), Path(options.key)
    check(certificate)
    trusted = (options.trust,) if isinstance(options.trust, str) else options.trust
    store = TrustStore([Path(path) for path in trusted], [])
    checks = CertificateValidatorOptions
    try:
        await store.load()
        client.certificate_validator = CertificateValidator(checks.TIME_RANGE | checks.TRUSTED | checks.PEER_SERVER, store)
        policy = getattr(security_policies, f"SecurityPolicy{options.security}")
        mode = ua.MessageSecurityMode[options.mode]
        client.application_uri = _application(certificate)
        await client.set_security(policy, CertProperties(certificate, "pem"), CertProperties(key, "pem"), mode=mode)
    except (ValueError, TypeError) as error:
        raise StackError(f"certificate or key cannot be used: {error}", where=str(certificate), hint="PEM") from error


async def restored(subscription: Any) -> None:
    """A subscription after its connection was lost: transferred, what was missed published again, or made anew.

    asyncua 2.1 makes it anew, and loses what the server has kept, where its own session still has it: there is nothing to do
    then but to ask for what was missed."""
    parameters = ua.TransferSubscriptionsParameters(SubscriptionIds=[subscription.subscription_id], SendInitialValues=False)
    try:
        (result,) = await subscription.server.transfer_subscriptions(parameters)
    except (ua.UaError, ValueError):
        await subscription.recreate()
        return
    here = result.StatusCode.value == ua.StatusCodes.BadNothingToDo
    if here or result.StatusCode.is_good():
        subscription.server._subscription_callbacks[subscription.subscription_id] = subscription.publish_callback
        if await _republished(subscription, result.AvailableSequenceNumbers) and await _lives(subscription):
            subscription.last_publish_at = time.monotonic()
            return
    await subscription.recreate()


async def _republished(subscription: Any, available: Sequence[int]) -> bool:
    """Asks for what was missed: for what the server says that it keeps, and where it says nothing for what comes next, until it
    has none, or answers an empty notification or another one. Whether all that it keeps has come."""
    last = subscription.last_sequence_number or 0
    sequence_numbers = sorted(number for number in available if number > last)
    subscription._replaying = True
    try:
        for number in sequence_numbers[:MOST_MISSED] or range(last + 1, last + 1 + MOST_MISSED):
            try:
                message = await subscription.server.republish(subscription.subscription_id, number)
            except ua.uaerrors.BadMessageNotAvailable:
                return not sequence_numbers
            except (ua.UaError, OSError, TimeoutError) as error:
                log.warning("republish failed", number=number, error=repr(error))
                return False
            if message.SequenceNumber != number or not message.NotificationData:
                return not sequence_numbers
            answer = ua.PublishResult(subscription.subscription_id, NotificationMessage=message)
            await subscription.publish_callback(answer)
    finally:
        subscription._replaying = False
    if not sequence_numbers or len(sequence_numbers) > MOST_MISSED:
        metrics.ENDLESS.labels("publishing again").inc()
        log.warning("republish exceeds the limit; recreating the subscription", asked=MOST_MISSED)
        return False
    return True


async def _lives(subscription: Any) -> bool:
    """Whether the server still knows it."""
    parameters = ua.SetPublishingModeParameters(True, [subscription.subscription_id])
    try:
        (status,) = await subscription.server.set_publishing_mode(parameters)
    except (ua.UaError, OSError, TimeoutError, ValueError):
        return False
    return bool(status.is_good())


def _application(certificate: Path) -> str:
    """The application's URI, which must be that of its certificate."""
    from cryptography import x509

    x509_certificate = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = x509_certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return next(iter(names.get_values_for_type(x509.UniformResourceIdentifier)), "urn:twingraph:client")


def refusal(error: BaseException) -> str:
    """Why the server will not have us; empty when it is only away."""
    if isinstance(error, ua.UaStatusCodeError) and isinstance(error, REFUSED):
        return str(error)
    return ""

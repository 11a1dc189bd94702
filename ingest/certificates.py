"""TLS towards a broker: whom to trust, who we are, and how long that holds."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import structlog
from cryptography import x509

from app import metrics
from app.errors import StackError
from ingest.options import BrokerOptions

log = structlog.get_logger()
WARN_DAYS = 30


def context(options: BrokerOptions) -> ssl.SSLContext | None:
    """Of `tls`, `ca`, `certificate`, `key` of a mapping's options; read anew at each connection, so that renewed files count.

    Raises: StackError naming the file that cannot be read, or has expired."""
    ca, certificate, key = options.ca, options.certificate, options.key
    if not (options.tls or ca or certificate):
        return None
    for file in filter(None, (ca, certificate)):
        check(Path(file))
    try:
        tls_context = ssl.create_default_context(cafile=ca or None)
        if certificate:
            tls_context.load_cert_chain(certificate, key or None)
    except (OSError, ssl.SSLError) as error:
        raise StackError(f"certificate or key cannot be used: {error}", where=certificate or ca) from error
    return tls_context


def check(file: Path) -> None:
    """Raises: StackError; warns thirty days before, and tells the seconds that are left as a metric."""
    try:
        ends = [certificate.not_valid_after_utc for certificate in x509.load_pem_x509_certificates(file.read_bytes())]
    except (OSError, ValueError) as error:
        raise StackError(f"certificate cannot be read: {error}", where=str(file), hint="PEM") from error
    left = (min(ends) - datetime.now(UTC)).total_seconds()
    metrics.CERTIFICATE.labels(str(file)).set(left)
    if left <= 0:
        raise StackError(
            f"certificate has expired on {min(ends):%Y-%m-%d}", where=str(file), hint="renew it; no restart is needed"
        )
    if left < WARN_DAYS * 86_400:
        log.warning("certificate expires soon", file=str(file), days=int(left / 86_400))

"""The server's certificate: the operator's, or one that is made for this machine."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import trustme
from cryptography import x509
from filelock import FileLock

from hearsight.config.errors import StartupError
from hearsight.config.service import ServerSettings
from hearsight.findings import Finding

VALID_FOR: Final = timedelta(days=365)
RENEW_BEFORE: Final = timedelta(days=30)
"""A certificate of ours is made anew this long before its end, and the doctor speaks of any other."""
CA_FILE: Final = "ca.pem"
SERVER_FILE: Final = "server.pem"
LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "::1")

_HOST_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate on disk.

    Attributes:
        file: The certificate and its chain, in PEM form.
        key: Its private key; the same file, where it is ours.
        trust: What clients must be told to trust; None where they trust it anyway.
        names: Of the hosts that it is for.
        ends: From when on it is not valid.
    """

    file: Path
    key: Path
    trust: Path | None
    names: tuple[str, ...]
    ends: datetime


def find_certificate(server: ServerSettings, *, now: datetime | None = None) -> Certificate | None:
    """The certificate that the settings ask for, None for a server without TLS.

    One for development is made where there is none that will do.

    Raises:
        StartupError: It cannot be read, made, or used now.
    """
    now = now or datetime.now(UTC)
    if server.tls_certificate is not None and server.tls_key is not None:
        certificate = _read(server.tls_certificate, server.tls_key)
        _insist_on_validity(certificate, _parse(server.tls_certificate), now)
        return certificate
    if server.tls is not None:
        return _development_certificate(server.tls_folder, names_of_this_machine(server.host), now)
    return None


def server_context(certificate: Certificate | None) -> ssl.SSLContext | None:
    """How a server with this certificate speaks; None without one.

    Raises:
        StartupError: The key cannot be read, or is another certificate's.
    """
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_key(context, certificate)
    return context


def client_context(server: ServerSettings, *, own: bool = False) -> ssl.SSLContext:
    """How a client on this machine knows a server.

    Args:
        server: The settings of this machine's.
        own: It is the very server of these settings. The operator's certificate may be for the name by which
            others reach it, so here it is the certificate that counts, and no other.
    """
    if own and server.tls_certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(server.tls_certificate)
        return context
    context = ssl.create_default_context()
    if (trust := server.tls_folder / CA_FILE).exists():
        context.load_verify_locations(trust)
    return context


def check_certificate(server: ServerSettings, *, now: datetime | None = None) -> Finding:
    """The server can encrypt, and will for some time."""
    now = now or datetime.now(UTC)
    if not server.encrypted:
        mend = "Set server.tls = self-signed where a client needs TLS, as google-genai for Python does."
        return Finding("certificate", "ok", "none: connections are not encrypted", mend)
    try:
        certificate = find_certificate(server, now=now)
        server_context(certificate)
    except StartupError as error:
        return Finding("certificate", "failed", str(error))
    assert certificate is not None
    names = ", ".join(certificate.names) or "no name"
    found = f"for {names}, valid until {certificate.ends:%Y-%m-%d}"
    if certificate.trust is not None:
        return Finding("certificate", "ok", found, f"Clients must trust {certificate.trust}.")
    if certificate.ends - now < RENEW_BEFORE:
        return Finding("certificate", "note", found, "Renew it, and start the server anew.")
    return Finding("certificate", "ok", found)


def names_of_this_machine(host: str) -> tuple[str, ...]:
    """Under which a server that listens on ``host`` is reached."""
    own = [socket.gethostname()]
    if not _is_unspecified(host):
        own.append(host)
    more = [str(ipaddress.ip_address(name)) for name in own if _is_address(name)]
    more += [name for name in own if not _is_address(name) and _HOST_NAME.fullmatch(name)]
    return tuple(dict.fromkeys((*LOCAL_NAMES, *more)))


def _development_certificate(folder: Path, names: tuple[str, ...], now: datetime) -> Certificate:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            certificate = _usable(folder, names, now)
            if certificate is None:
                _make(folder, names, now)
                certificate = _usable(folder, names, now)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StartupError(
            f"The certificate cannot be kept in {folder} (server.tls_folder): {reason}."
        ) from error
    assert certificate is not None
    return certificate


def _usable(folder: Path, names: tuple[str, ...], now: datetime) -> Certificate | None:
    """The certificate in the folder, if it is for all the names and will be valid for some time."""
    file, trust = folder / SERVER_FILE, folder / CA_FILE
    if not file.exists() or not trust.exists():
        return None
    try:
        found = _read(file, file, trust)
    except StartupError:
        return None
    enough = set(names) <= set(found.names) and found.ends - now > RENEW_BEFORE
    return found if enough else None


def _make(folder: Path, names: tuple[str, ...], now: datetime) -> None:
    """Make an authority and a certificate. The authority keeps no key: it vouches for no other."""
    authority = trustme.CA(
        organization_name="Hearsight", organization_unit_name="Certificate for development"
    )
    issued = authority.issue_cert(*names, common_name="Hearsight", not_after=now + VALID_FOR)
    private = folder / f"{SERVER_FILE}.new"
    private.unlink(missing_ok=True)
    private.touch(mode=0o600)
    private.write_bytes(issued.private_key_and_cert_chain_pem.bytes())
    public = folder / f"{CA_FILE}.new"
    public.write_bytes(authority.cert_pem.bytes())
    os.replace(private, folder / SERVER_FILE)
    os.replace(public, folder / CA_FILE)


def _read(file: Path, key: Path, trust: Path | None = None) -> Certificate:
    parsed = _parse(file)
    return Certificate(file, key, trust, _names(parsed), parsed.not_valid_after_utc)


def _parse(file: Path) -> x509.Certificate:
    """The first certificate of a file, which is the server's own.

    Raises:
        StartupError: There is none.
    """
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())[0]
    except OSError as error:
        raise StartupError(f"The certificate {file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise StartupError(f"The file {file} holds no certificate in PEM form.") from error


def _names(parsed: x509.Certificate) -> tuple[str, ...]:
    try:
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = (str(address) for address in names.get_values_for_type(x509.IPAddress))
    return (*names.get_values_for_type(x509.DNSName), *addresses)


def _insist_on_validity(certificate: Certificate, parsed: x509.Certificate, now: datetime) -> None:
    if certificate.ends <= now:
        raise StartupError(f"The certificate {certificate.file} has expired on {certificate.ends:%Y-%m-%d}.")
    begins = parsed.not_valid_before_utc
    if begins > now:
        raise StartupError(
            f"The certificate {certificate.file} is not valid before {begins:%Y-%m-%d %H:%M} UTC."
        )


def _load_key(context: ssl.SSLContext, certificate: Certificate) -> None:
    def no_password() -> str:
        raise StartupError(
            f"The key {certificate.key} is protected by a password; give a key without one, that only the "
            "server may read."
        )

    try:
        certificate.key.read_bytes()
    except OSError as error:
        raise StartupError(f"The key {certificate.key} cannot be read: {error.strerror}.") from error
    try:
        context.load_cert_chain(certificate.file, certificate.key, no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            message = f"The key {certificate.key} does not belong to the certificate {certificate.file}."
        else:
            message = f"The file {certificate.key} holds no private key in PEM form."
        raise StartupError(message) from error


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_unspecified(host: str) -> bool:
    return _is_address(host) and ipaddress.ip_address(host).is_unspecified

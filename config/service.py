"""Settings of the service: how it is reached, what it takes in, what it writes down."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from hearsight.config.fields import Names, Secrets, Section, UserPath

MIB = 1024 * 1024


def is_loopback(host: str) -> bool:
    """Whether a server that listens on ``host`` is reached from its own machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class ServerSettings(Section):
    """The WebSocket and HTTP server."""

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address to listen on; `0.0.0.0` is every network it has.",
    )
    port: int = Field(8765, ge=0, le=65535, description="TCP port to listen on; 0 takes any free one.")
    api_keys: Secrets = Field(
        (),
        description="Bearer tokens that clients may show, besides those that `hearsight keys` makes; one is "
        "needed where `host` is not loopback.",
    )
    keys_file: UserPath = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("hearsight")) / "keys.json",
        description="File of the keys that `hearsight keys` makes; it holds their hashes only.",
    )
    keyless: bool = Field(
        False, description="Let every client in without a key, even where other machines reach the server."
    )
    client_secret_key: SecretStr | None = Field(
        None,
        min_length=32,
        description="Signs client secrets; share it between servers that are to accept each other's. Unset: "
        "a new one at each start.",
    )
    allowed_origins: Names[str] = Field(
        (),
        description="Origins of browser pages that may connect, such as `https://example.org`, besides the "
        "page that comes with the server.",
    )
    tls: Literal["self-signed"] | None = Field(
        None,
        description="`self-signed` encrypts with a certificate made for this machine, for development; "
        "clients must be told to trust it.",
    )
    tls_certificate: UserPath | None = Field(
        None, description="Encrypt with this certificate: a PEM file, with its chain."
    )
    tls_key: UserPath | None = Field(None, description="The certificate's private key: a PEM file.")
    tls_folder: UserPath = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("hearsight")) / "tls",
        description="Folder of the certificate that `server.tls` makes.",
    )
    max_sessions: int = Field(64, ge=1, le=100_000, description="Sessions at one time; more are refused.")
    max_session_s: float = Field(
        86_400, ge=0, description="Seconds for which a session may last; 0: for ever."
    )
    max_connections: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Connections at one time, those without a session included; unset: four times "
        "`max_sessions`, and at least 256.",
    )
    max_connections_per_address: int = Field(
        128,
        ge=1,
        le=1_000_000,
        description="Connections at one time from one address; those of this machine are not counted.",
    )
    handshake_timeout_s: float = Field(
        10, gt=0, le=600, description="Seconds within which a client has to say all of its request."
    )
    max_message_bytes: int = Field(
        16 * MIB, ge=1024, le=1024 * MIB, description="Largest message that a client may send, in bytes."
    )
    outbound_buffer_bytes: int = Field(
        16 * MIB,
        ge=64 * 1024,
        le=1024 * MIB,
        description="What may wait for a client that reads too slowly, in bytes; then it is closed.",
    )
    events_per_s: float = Field(500, gt=0, description="Events per second that one client may send.")
    ping_interval_s: float = Field(20, gt=0, description="Seconds between two pings to a client.")
    ping_timeout_s: float = Field(20, gt=0, description="Seconds to wait for the answer to a ping.")
    idle_timeout_s: float = Field(
        600, gt=0, description="Seconds without any event from a client until its session is closed."
    )
    drain_timeout_s: float = Field(
        10, ge=0, description="Seconds that running answers get to finish when the server is stopped."
    )
    session_ttl_s: float = Field(
        60, ge=0, description="Seconds for which a session waits for a client that lost its connection."
    )
    replay_events: int = Field(
        512, ge=0, le=100_000, description="Latest events kept to be sent again to a client that comes back."
    )

    @property
    def encrypted(self) -> bool:
        """Whether clients connect over TLS."""
        return self.tls is not None or self.tls_certificate is not None

    @model_validator(mode="after")
    def _one_whole_certificate(self) -> ServerSettings:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise PydanticCustomError(
                "contradiction",
                "server.tls_certificate and server.tls_key belong together: set both",
                {"keys": ["server.tls_certificate", "server.tls_key"]},
            )
        if self.tls is not None and self.tls_certificate is not None:
            raise PydanticCustomError(
                "contradiction",
                "server.tls makes a certificate, and server.tls_certificate is one: set only one of them",
                {"keys": ["server.tls", "server.tls_certificate"]},
            )
        return self


class AudioSettings(Section):
    """The user's speech on its way in."""

    max_buffered_s: float = Field(
        600, gt=0, le=3600, description="Audio that a client may append before it commits it, in seconds."
    )
    max_utterance_s: float = Field(
        60, gt=0, le=600, description="Longest utterance, in seconds; then the turn is ended."
    )


class CameraSettings(Section):
    """Pictures on their way in."""

    max_pixels: int = Field(
        33_000_000,
        ge=4096,
        le=200_000_000,
        description="Largest picture accepted, in pixels.",
    )
    max_frames_per_s: float = Field(
        30, gt=0, le=240, description="Pictures per second that are looked at; more are dropped."
    )
    max_pixels_per_s: int = Field(
        64_000_000,
        ge=4096,
        le=10_000_000_000,
        description="Pixels per second that are decoded in one session; two seconds' worth may come at once.",
    )
    frames_per_utterance: int = Field(
        4, ge=1, le=64, description="Pictures kept for one turn: the newest, and those at scene changes."
    )
    change_threshold: float = Field(
        0.12,
        gt=0,
        le=1,
        description="Difference to the last picture kept, from 0 to 1, from which the scene has changed.",
    )
    duplicate_threshold: float = Field(
        0.015, ge=0, le=1, description="Difference, from 0 to 1, up to which two pictures look the same."
    )

    @model_validator(mode="after")
    def _duplicates_below_changes(self) -> CameraSettings:
        if self.duplicate_threshold >= self.change_threshold:
            raise PydanticCustomError(
                "contradiction",
                "camera.duplicate_threshold must be less than camera.change_threshold",
                {"keys": ["camera.duplicate_threshold", "camera.change_threshold"]},
            )
        return self


class LogSettings(Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe messages that are written."
    )
    format: Literal["console", "json"] = Field(
        "console", description="`console` for people, `json` (one object a line) for machines."
    )
    transcripts: bool = Field(False, description="Write what was said into the log; private, so off.")


class ModelSettings(Section):
    """Where model files are kept."""

    cache_dir: UserPath = Field(
        default_factory=lambda: Path(platformdirs.user_cache_dir("hearsight")) / "models",
        description="Folder of the fetched model files.",
    )
    offline: bool = Field(False, description="Fetch nothing: use only what is on this machine.")

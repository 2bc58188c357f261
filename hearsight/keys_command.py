"""``hearsight keys``: who may connect to the server."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hearsight.config.errors import ConfigError
from hearsight.config.settings import load_settings
from hearsight.config.suggest import did_you_mean
from hearsight.startup import ConfigOption, PresetOption, readable_errors
from hearsight.streams.key_file import KeyFile
from hearsight.streams.keys import NAME, KeyRing, StoredKey, digest_of, new_key

keys_app = typer.Typer(
    name="keys",
    help="Make, list and revoke the keys that clients show; a running server minds it at once.",
    no_args_is_help=True,
)

_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_DURATION: Final = re.compile(r"(\d{1,6})([mhd])")

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Whose it is, such as kitchen-tablet; shown in the log.")
]


@keys_app.command()
def create(
    name: Name,
    expires: Annotated[
        str | None,
        typer.Option(help="When it ends: 90d, 12h, 30m from now, or a date such as 2030-01-31."),
    ] = None,
    max_sessions: Annotated[
        int | None, typer.Option(min=1, help="Sessions that it may have at one time.")
    ] = None,
    sessions_per_minute: Annotated[
        int | None, typer.Option(min=1, help="Sessions that it may open in a minute.")
    ] = None,
    max_session_minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Minutes for which each of its sessions may last.")
    ] = None,
    config: ConfigOption = None,
    preset: PresetOption = None,
) -> None:
    """Make a key and print it. It is shown this once: only its hash is kept."""
    with readable_errors():
        if not NAME.fullmatch(name):
            raise ConfigError(
                f"'{name}' cannot be the name of a key: it begins with a small letter or a digit, goes on "
                "with those and . _ -, and has at most 63 characters."
            )
        now, key = datetime.now(UTC).replace(microsecond=0), new_key()
        try:
            stored = StoredKey(
                name=name,
                sha256=digest_of(key).hex(),
                created_at=now,
                expires_at=read_expiry(expires, now) if expires is not None else None,
                max_sessions=max_sessions,
                sessions_per_minute=sessions_per_minute,
                max_session_s=max_session_minutes * 60 if max_session_minutes is not None else None,
            )
            file = _key_file(config, preset)
            file.change(lambda ring: ring.with_key(stored))
        except ValidationError as error:
            message = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            raise ConfigError(f"The key was not made: {message}.") from None
        except ValueError as error:
            raise ConfigError(f"The key was not made: {error}. `hearsight keys list` shows all.") from None
        typer.echo(key)  # alone on standard output, so that it can be piped into a store of secrets
        notes = Console(stderr=True)
        notes.print(Text(f"This is the key of {name}. It is not shown again."), soft_wrap=True)
        notes.print(Text("Clients send it as `Authorization: Bearer KEY`."), soft_wrap=True)


@keys_app.command("list")
def list_keys(config: ConfigOption = None, preset: PresetOption = None) -> None:
    """List the keys, revoked ones included."""
    with readable_errors():
        file = _key_file(config, preset)
        ring, now = file.load(), datetime.now(UTC)
        console = Console()
        shown = Table(box=None, header_style="bold", pad_edge=False)
        for heading in ("key", "made", "state", "limits"):
            shown.add_column(heading, no_wrap=heading != "limits")
        for key in ring.keys:
            state, style = _state(key, now)
            shown.add_row(key.name, _day(key.created_at), Text(state, style), _limits(key))
        if ring.keys:
            console.print(shown)
        valid = sum(key.why_void(now) is None for key in ring.keys)
        console.print(f"{valid} of {len(ring.keys)} valid, in {file.path}.", highlight=False, soft_wrap=True)


@keys_app.command()
def revoke(name: Name, config: ConfigOption = None, preset: PresetOption = None) -> None:
    """Revoke a key: a running server ends its sessions within a second, and takes it no more."""
    with readable_errors():
        file, now = _key_file(config, preset), datetime.now(UTC).replace(microsecond=0)

        def edit(ring: KeyRing) -> KeyRing:
            try:
                return ring.revoking(name, now)
            except LookupError:
                hint = (
                    did_you_mean(name, [key.name for key in ring.keys]).strip()
                    or "`hearsight keys list` shows all."
                )
                raise ConfigError(f"There is no key named {name}; {hint}") from None

        file.change(edit)
        Console().print(f"Revoked {name}.", highlight=False)


def read_expiry(text: str, now: datetime) -> datetime:
    """The moment that ``90d``, ``12h``, ``30m`` or a date stands for; of a date, its end in UTC.

    Raises:
        ConfigError: It is none of these, or is past.
    """
    duration = _DURATION.fullmatch(text.strip())
    try:
        if duration is not None:
            expiry = now + int(duration[1]) * _UNITS[duration[2]]
        else:
            day = datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=UTC)
            expiry = day + timedelta(days=1)
    except (ValueError, OverflowError):
        raise ConfigError(f"--expires {text} is no time: write 90d, 12h, 30m, or 2030-01-31.") from None
    if expiry <= now:
        raise ConfigError(f"--expires {text} is past.")
    return expiry


def _key_file(config: Path | None, preset: str | None) -> KeyFile:
    return KeyFile(load_settings(preset=preset, config_file=config).settings.server.keys_file)


def _state(key: StoredKey, now: datetime) -> tuple[str, str]:
    if key.revoked_at is not None:
        return f"revoked {_day(key.revoked_at)}", "red"
    if key.expires_at is None:
        return "valid", "green"
    if key.why_void(now) is not None:
        return f"expired {_day(key.expires_at)}", "yellow"
    return f"valid to {_day(key.expires_at)}", "green"


def _limits(key: StoredKey) -> str:
    parts = []
    if key.max_sessions is not None:
        parts.append(f"{key.max_sessions} at a time")
    if key.sessions_per_minute is not None:
        parts.append(f"{key.sessions_per_minute} a minute")
    if key.max_session_s is not None:
        parts.append(f"{key.max_session_s / 60:g} min each")
    return ", ".join(parts) or "the server's"


def _day(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")

"""Packages of public registries, downloaded as plain files.

The registries' own clients do it, so that mirrors, proxies and credentials are the ones that the user has
set up for them. Nothing of a package is built, installed, imported or run: pip is told to take wheels only
(an sdist would run its build), npm to run no scripts, and members are read by their exact name, so that no
path in an archive decides where anything is written.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hearsight.config.manifest import Package

BLOCK_BYTES = 1024 * 1024
POLL_INTERVAL_S = 0.2
"""How often a running download is looked at, to report its progress."""

_GONE = ("No matching distribution", "Could not find a version", "E404", "ETARGET", "No module named pip")
"""What pip and npm write where asking again would be in vain."""


class FetchFailed(Exception):
    """A source did not deliver; another try may."""


class FetchRefused(FetchFailed):
    """A source did not deliver, and would not if it were asked again."""


def fetch_package(package: Package, folder: Path, on_bytes: Callable[[int], None]) -> Path:
    """Download a package unless its intact file is in the folder already.

    Args:
        package: What to download.
        folder: Where downloads are kept; the package gets a folder of its own in it.
        on_bytes: Told, now and then, how many bytes of the package have arrived.

    Returns:
        The wheel or tarball, of the pinned SHA-256.

    Raises:
        FetchFailed: If it could not be downloaded.
        FetchRefused: If the registry has no such package, its client is missing, or the bytes are other ones;
            these are removed.
    """
    home = folder / f"{package.name}-{package.version}"
    kept = _only_file(home)
    if kept is not None and sha256_of(kept) == package.sha256:
        return kept
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="unpack-") as scratch:
        _run_client(package, home, Path(scratch), on_bytes)
    archive = _only_file(home)
    if archive is None:
        raise FetchFailed(f"{package.name} {package.version} was not delivered")
    if sha256_of(archive) != package.sha256:
        shutil.rmtree(home)
        raise FetchRefused(f"{package.name} {package.version} is not the pinned file (SHA-256 differs)")
    return archive


def drop_package(package: Package, folder: Path) -> None:
    """Remove a downloaded package that is not needed any more."""
    shutil.rmtree(folder / f"{package.name}-{package.version}", ignore_errors=True)


@contextmanager
def open_member(archive: Path, member: str) -> Iterator[IO[bytes]]:
    """Read one regular file inside a wheel or tarball, from its beginning.

    Raises:
        FetchRefused: If the archive has no such file or is damaged.
    """
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel, wheel.open(member) as stream:
                yield stream
        else:
            with tarfile.open(archive) as tarball:
                extracted = tarball.extractfile(member)
                if extracted is None:
                    raise FetchRefused(f"{member} in {archive.name} is not a regular file")
                with extracted:
                    yield extracted
    except KeyError as error:
        raise FetchRefused(f"{archive.name} holds no {member}") from error
    except (zipfile.BadZipFile, tarfile.TarError) as error:
        raise FetchRefused(f"{archive.name} is damaged: {error}") from error


def sha256_of(path: Path, on_bytes: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file, in hexadecimal.

    Args:
        path: The file.
        on_bytes: Told how many bytes have been read so far.
    """
    digest = hashlib.sha256()
    done = 0
    with path.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
            done += len(block)
            if on_bytes is not None:
                on_bytes(done)
    return digest.hexdigest()


def _only_file(folder: Path) -> Path | None:
    files = [path for path in folder.glob("*") if path.is_file()]
    return files[0] if len(files) == 1 else None


def _client_command(package: Package, home: Path) -> list[str]:
    if package.registry == "pypi":
        # No cache: it would keep a second copy of every gigabyte.
        options = "--no-deps --only-binary=:all: --no-cache-dir --retries=1 --no-input --quiet".split()
        requirement = f"{package.name}=={package.version}"
        return [sys.executable, "-m", "pip", "download", *options, "--dest", str(home), requirement]
    npm = shutil.which("npm")
    if npm is None:
        raise FetchRefused(f"fetching {package.name} needs npm, which is not installed")
    requirement = f"{package.name}@{package.version}"
    return [npm, "pack", "--ignore-scripts", "--silent", "--pack-destination", str(home), requirement]


def _run_client(package: Package, home: Path, scratch: Path, on_bytes: Callable[[int], None]) -> None:
    command = _client_command(package, home)
    environment = {**os.environ, "TMPDIR": str(scratch), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=environment,
            cwd=scratch,
        )
        try:
            while process.poll() is None:
                try:
                    process.wait(POLL_INTERVAL_S)
                except subprocess.TimeoutExpired:
                    on_bytes(min(package.bytes, _bytes_below(scratch)))
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if process.returncode != 0:
            errors.seek(0)
            _raise_failure(package, errors.read().decode(errors="replace"))
    on_bytes(package.bytes)


def _raise_failure(package: Package, output: str) -> None:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    told = next(
        (line for line in reversed(lines) if "error" in line.lower()), lines[-1] if lines else "no reason"
    )
    kind = FetchRefused if any(sign in output for sign in _GONE) else FetchFailed
    raise kind(f"{package.name} {package.version} could not be downloaded ({told})")


def _bytes_below(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_size
            except FileNotFoundError:
                continue  # the client has just moved it to its place
    return total

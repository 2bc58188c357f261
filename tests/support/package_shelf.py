"""A shelf of small packages, and a manifest of payloads made from them."""

import hashlib
import io
import stat
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from hearsight.config.manifest import Manifest


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that no two offsets or seeds share."""
    blocks = (hashlib.sha256(f"{seed}:{block}".encode()).digest() for block in range(size // 32 + 1))
    return b"".join(blocks)[:size]


@dataclass
class Shelf:
    """Wheels in a folder that pip looks into, and what a manifest says about them."""

    folder: Path
    packages: dict[str, dict] = field(default_factory=dict)

    def wheel(self, name: str, members: dict[str, bytes], version: str = "1.0") -> Path:
        stem = f"{name.replace('-', '_')}-{version}"
        path = self.folder / f"{stem}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
            for member, data in members.items():
                wheel.writestr(member, data)
            metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            wheel.writestr(f"{stem}.dist-info/METADATA", metadata)
            tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            wheel.writestr(f"{stem}.dist-info/WHEEL", tags)
            wheel.writestr(f"{stem}.dist-info/RECORD", "")
        self._pin("pypi", name, version, path)
        return path

    def tarball(self, name: str, members: dict[str, bytes], version: str = "1.0") -> Path:
        path = self.folder / f"{name}-{version}.tgz"
        with tarfile.open(path, "w:gz") as tarball:
            for member, data in members.items():
                entry = tarfile.TarInfo(member)
                entry.size = len(data)
                tarball.addfile(entry, io.BytesIO(data))
        self._pin("npm", name, version, path)
        return path

    def npm(self, folder: Path) -> Path:
        """A stand-in for npm: its `pack` copies a tarball off the shelf."""
        path = folder / "npm"
        path.write_text(
            "#!/bin/sh\n"
            'while [ $# -gt 1 ]; do [ "$1" = --pack-destination ] && to="$2"; shift; done\n'
            f'exec cp "{self.folder}/$(echo "$1" | tr @ -).tgz" "$to/"\n'
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    def manifest(self, *payloads: dict) -> Manifest:
        return Manifest.model_validate({"packages": list(self.packages.values()), "payloads": list(payloads)})

    def _pin(self, registry: str, name: str, version: str, path: Path) -> None:
        data = path.read_bytes()
        self.packages[name] = {
            "registry": registry,
            "name": name,
            "version": version,
            "bytes": len(data),
            "sha256": sha256(data),
        }


def payload(name: str, *files: dict, **more) -> dict:
    about = {"purpose": "is for tests", "licence": "MIT", "origin": "the tests"}
    return {"name": name, "files": list(files), **about, **more}


def file(name: str, data: bytes, *sources: dict) -> dict:
    return {"name": name, "bytes": len(data), "sha256": sha256(data), "sources": list(sources)}


def parts(*members: tuple[str, str, int]) -> dict:
    return {"parts": [{"package": name, "member": path, "bytes": size} for name, path, size in members]}

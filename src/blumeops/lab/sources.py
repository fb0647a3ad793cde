"""Where a program can be had: packages, formulas, images, charts, downloads, or that it is there already.

Part of the app model: a field's docstring is what the reference page prints.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from blumeops.lab import releases
from blumeops.lab.fields import Line, Platform, Sha256, Strict, Version

SOURCE_KINDS = ("path", "wheel", "deb", "brew", "container", "chart", "release")


class AppSource(Strict):
    """One place where the program can be had: exactly one of the kinds."""

    path: str | None = None
    """A program on PATH, when its version is the one wanted."""
    wheel: str | None = None
    """A package of PyPI that brings the program."""
    deb: str | None = None
    """A Debian package; at site `here` the shared libraries that it needs come with it."""
    brew: str | None = None
    """A Homebrew formula."""
    container: str | None = None
    """An image, without its tag."""
    chart: str | None = None
    """A Helm chart, with its `repository`."""
    release: str | None = None
    """The address of a download, with `sha256`; in it are read `{{ version }}`, `{{ platform }}`, `{{ os }}` and
    `{{ arch }}`. Without `sha256` it is the page of the program's releases, and nothing is downloaded."""
    sha256: dict[Platform, Sha256] = {}
    """The SHA-256 of the download for each platform that has one, in this very version."""
    called: dict[Platform, Line] = {}
    """What `{{ platform }}` is, where the address says it another way: `linux-amd64: Linux_x86_64`."""
    archive: Literal["tar", "zip", "none"] | None = None
    """What the download is, where its name does not end so: tar (also with gzip, xz or bzip2), zip, or the program."""
    program: str | None = None
    """The program's path in `bin` of the archive, where it is not called as the command calls it."""
    repository: str | None = None
    """Where the chart is kept."""
    suite: str | None = None
    """The Debian suite that has this version."""
    version: str | None = None
    """The version that this source has, where it is not the app's."""
    bin: str | None = None
    """The folder of the programs, where it is not on PATH; in the archive of a release, where it is not its root."""
    uid: int | None = Field(None, strict=True, ge=0, le=2**31)
    """The user id that the image's program runs as."""
    masks: tuple[str, ...] = ()
    """Units that the Debian package brings and that would stand in the way."""

    @model_validator(mode="after")
    def _one_kind(self) -> AppSource:
        if sum(getattr(self, kind) is not None for kind in SOURCE_KINDS) != 1:
            raise ValueError(f"a source is exactly one of {', '.join(SOURCE_KINDS)}")
        releases.check(self)
        return self

    @property
    def kind(self) -> str:
        """Which of SOURCE_KINDS this is."""
        return next(kind for kind in SOURCE_KINDS if getattr(self, kind) is not None)

    @property
    def name(self) -> str:
        """The package, formula, image or program."""
        return str(getattr(self, self.kind))


class Tool(Strict):
    """Another program that the app's own calls."""

    version: Version
    """The version wanted, or the beginning of it."""
    sources: tuple[AppSource, ...]
    """Where it can be had, in the order in which they are tried."""

"""`release:` sources: which downloads follow from the words, and which words are refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from blumeops.lab.releases import Download, downloads
from blumeops.lab.sources import AppSource

A, B = "a" * 64, "b" * 64
ADDRESS = "https://example.org/v{{ version }}/tool_{{ platform }}.tar.gz"


def of(**fields: object) -> AppSource:
    """A source of these fields."""
    return AppSource.model_validate({"release": ADDRESS, "sha256": {"linux-amd64": A, "darwin-arm64": B}} | fields)


def test_an_address_a_platform() -> None:
    """By the key of the SHA-256, or by what the address calls it; in paths of the archive too."""
    source = of(called={"darwin-arm64": "macOS_arm"}, bin="tool-{{ version }}-{{ os }}/bin", program="tool_{{ arch }}")
    assert downloads(source, "2.1") == {
        "linux-amd64": Download(
            "https://example.org/v2.1/tool_linux-amd64.tar.gz", A, "tar", "tool-2.1-linux/bin", "tool_amd64"
        ),
        "darwin-arm64": Download(
            "https://example.org/v2.1/tool_macOS_arm.tar.gz", B, "tar", "tool-2.1-darwin/bin", "tool_arm64"
        ),
    }


@pytest.mark.parametrize(
    ("end", "archive"),
    [
        (".tgz", "tar"), (".tar.xz", "tar"), (".tar.bz2", "tar"), (".zip", "zip"), ("", "none"), ("-2.1", "none"),
        (".TAR.GZ", "tar"), ("{{ version }}", "none"),
    ],
)  # fmt: skip
def test_the_name_says_what_it_is(end: str, archive: str) -> None:
    """A tar, a zip, or else the program; whatever ending a version seems to have."""
    source = of(release=f"https://example.org/tool{end}")
    assert {each.archive for each in downloads(source, "1.0.zst").values()} == {archive}


def test_what_the_name_does_not_say_is_said() -> None:
    """An address of another form."""
    source = of(release="https://example.org/get?file=tool", archive="zip", program="tool")
    assert downloads(source, "1")["linux-amd64"].archive == "zip"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sha256": {}}, "says its `sha256`, by platform"),
        ({"sha256": {}, "release": "https://example.org/releases", "program": "x"}, "says its `sha256`, by platform"),
        ({"sha256": {"linux-amd64": "A" * 64}}, "64"),
        ({"sha256": {"linux-riscv": A}}, "linux-amd64"),
        ({"called": {"linux-arm64": "x"}}, "linux-arm64, which is not among `sha256`"),
        ({"release": "http://example.org/tool"}, "must be https"),
        ({"release": "ftp://localhost/tool"}, "must be https"),
        ({"release": "https://me:secret@example.org/tool"}, "must not hold a user or a password"),
        ({"release": "https://example.org/a tool"}, "is no address"),
        ({"release": "https:///tool"}, "is no address"),
        ({"release": "https://example.org:99999/tool"}, "is no address"),
        ({"release": "https://{{ version }}.example.org/tool"}, "only the path"),
        ({"release": "https://example.org:{{ version }}/tool"}, "is no address"),
        ({"release": "https://example.org/{{ secrets.token }}"}, "`{{ secrets.token }}` is not known here"),
        ({"release": "https://example.org/{{ version"}, "is no lookup"),
        ({"release": "https://example.org/tool.tar.zst"}, "cannot be unpacked"),
        ({"release": "https://example.org/tool.dmg"}, "cannot be unpacked"),
        ({"release": f"https://example.org/{'x' * 3000}"}, "longer than"),
        ({"bin": "../bin"}, "is no path in an archive"),
        ({"bin": "/bin"}, "is no path in an archive"),
        ({"program": "a/./b"}, "is no path in an archive"),
        ({"program": "a//b"}, "is no path in an archive"),
        ({"release": "https://example.org/tool", "program": "x"}, "this is the program itself"),
        ({"version": "1/../2"}, "is no version"),
        ({"release": None, "deb": "tool"}, "is for a `release` only"),
    ],
)  # fmt: skip
def test_words_that_do_not_fit_are_refused(fields: dict[str, object], words: str) -> None:
    """With what is wrong."""
    with pytest.raises(ValidationError) as caught:
        of(**fields)
    assert words in str(caught.value)


def test_plain_http_is_for_loopback() -> None:
    """A mirror of one's own on this machine."""
    for host in ("localhost:8000", "127.0.0.1", "[::1]:8000", "mirror.localhost"):
        assert downloads(of(release=f"http://{host}/tool"), "1")


def test_a_page_is_no_download() -> None:
    """As the catalogue names one where no SHA-256 is known."""
    assert downloads(of(sha256={}, release="https://example.org/releases"), "1") == {}

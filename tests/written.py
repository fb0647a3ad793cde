"""A lab written for one test: the texts of its files enter, the checked lab leaves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from blumeops.checks.check import Checked, CheckedLab, check_folder

LAB = "lab: small\nhosts: {box: {os: linux, role: compute}}\nclusters: {pods: {host: box}}\n"


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write the files of a lab; lab.yaml is one host `box` with one cluster `pods`, unless it is given."""
    for name, text in {"lab.yaml": LAB, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def check(folder: Path, files: Mapping[str, str | bytes]) -> Checked:
    """Write a lab and check it."""
    return check_folder(write(folder, files))


def said(folder: Path, files: Mapping[str, str | bytes]) -> list[str]:
    """What the checks say, without the hints."""
    return [str(finding).partition(";")[0] for finding in check(folder, files).findings]


def passed(folder: Path, files: Mapping[str, str | bytes]) -> CheckedLab:
    """A lab that passes every check."""
    checked = check(folder, files)
    assert checked.passed is not None, checked.findings
    return checked.passed

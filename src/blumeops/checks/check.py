"""Every check over a loaded lab; a lab without errors becomes a CheckedLab, and only that can be rendered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from blumeops.base.findings import Finding, errors, in_order
from blumeops.checks import (
    access,
    apps,
    backups,
    brought,
    gitops,
    names,
    order,
    placement,
    references,
    secrets,
    together,
    versions,
)
from blumeops.facts.access.access import Access
from blumeops.facts.derive import Facts, derive
from blumeops.lab.load import Loaded, load
from blumeops.lab.model import Lab

CHECKS: tuple[Callable[[Lab, Facts], Iterable[Finding]], ...] = (
    references.check, names.check, placement.check, apps.check, versions.check, secrets.check, order.check,
    backups.check, brought.check, gitops.check, access.check, together.check,
)  # fmt: skip


@dataclass(frozen=True)
class CheckedLab:
    """A lab that passed every check, and what follows from it."""

    lab: Lab
    facts: Facts

    @cached_property
    def access(self) -> Access:
        """What may reach what: worked out once, for whoever asks first."""
        return Access(self.lab, self.facts)


@dataclass(frozen=True)
class Checked:
    """What the checks say; `passed` is there when none of it is an error."""

    findings: tuple[Finding, ...]
    passed: CheckedLab | None
    facts: Facts


def check(loaded: Loaded) -> Checked:
    """Derive the facts and run every check."""
    facts = derive(loaded.lab)
    findings = list(loaded.findings)
    for prove in CHECKS:
        findings += prove(loaded.lab, facts)
    passed = None if errors(findings) else CheckedLab(loaded.lab, facts)
    return Checked(tuple(in_order(findings)), passed, facts)


def check_folder(folder: Path) -> Checked:
    """Load and check the lab in `folder`. Raises UserError when there is none."""
    return check(load(folder))

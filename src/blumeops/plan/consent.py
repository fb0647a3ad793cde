"""Whether a push may let somebody reach more than before: where the lab asks for it, only if a commit of it says so.

Pure. Enter the lab before and the pushed one, and what the push's commits say behind `Exposure:` (Git trailers). Leaves
the finding that refuses it, or None. What is consented to is named: services and hosts that somebody new reaches,
`everything` for a new admin, `gitops` for asking no more; `all` stands for whatever the push opens. What is closed
needs no consent.
"""

from __future__ import annotations

from collections.abc import Iterable

from blumeops.base.findings import Finding, Place
from blumeops.checks.check import CheckedLab
from blumeops.plan.exposure import exposure

TRAILER = "Exposure"
"""The key of the line at the end of a commit's message."""
ALL = "all"
RULE = "gitops"
"""What is consented to when the lab asks for consent no more."""
_FEW = 12


def is_asked(lab: CheckedLab) -> bool:
    """Whether a lab asks for consent."""
    return lab.lab.settings.gitops.exposure == "refuse"


def names_opened(before: CheckedLab, after: CheckedLab) -> tuple[str, ...]:
    """What somebody reaches from now on and did not before, as a commit names it."""
    found = [change.what.removeprefix("the host ") for change in exposure(before, after) if change.opened]
    if is_asked(before) and not is_asked(after):
        found.append(RULE)
    return tuple(dict.fromkeys(found))


def refusal(before: CheckedLab | None, after: CheckedLab, said: Iterable[str]) -> Finding | None:
    """What refuses the push; None when nothing does. `before`: None where it does not pass the checks; `said`: what
    stands behind `Exposure:`, names with commas between them."""
    if not (is_asked(after) or (before is not None and is_asked(before))):
        return None
    consented = {name.strip().casefold() for text in said for name in text.split(",")}
    if ALL in consented:
        return None
    place = after.lab.place("gitops", "exposure") if is_asked(after) else Place("lab.yaml", 1, 1)
    if before is None:
        message = "who reaches what cannot be compared: the revision before does not pass the checks"
        return Finding("BLU641", place, "exposure", message, _hint([ALL]))
    unsaid = [name for name in names_opened(before, after) if name.casefold() not in consented]
    if not unsaid:
        return None
    shown = ", ".join(unsaid[:_FEW]) + (f" and {len(unsaid) - _FEW} more" if len(unsaid) > _FEW else "")
    message = f"somebody can now reach {shown}, and no commit of this push says so"
    if unsaid == [RULE]:
        message = "consent is asked for no more, and no commit of this push says so"
    return Finding("BLU641", place, "exposure", message, _hint(unsaid if len(unsaid) <= _FEW else [ALL]))


def _hint(names: Iterable[str]) -> str:
    return f"if it is meant, end the message of a commit with the line `{TRAILER}: {', '.join(names)}`"

"""How the loop and its units are, in Prometheus' text format: the site's records enter, lines leave.

Their names and labels are those that the rules and dashboards of render/telemetry ask for.
https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from blumeops.status.jobs import Planned
from blumeops.status.records import AT_REST, Run, Site, Unit, settled

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system with the site's state, in bytes."""

    size: int
    available: int


Sample = tuple[Mapping[str, str], float]


def exposition(
    site: Site, units: Sequence[Unit], last: Run | None, looked: float, disk: Disk, jobs: Sequence[Planned] = ()
) -> str:
    """All metrics. `last`: the newest run that ended; `looked`: when everything was looked at last."""
    return "".join((*_families(site, units, last, looked, disk), *_of_jobs(units, jobs)))


def _families(site: Site, units: Sequence[Unit], last: Run | None, looked: float, disk: Disk) -> Iterator[str]:
    yield _gauge("settled", "Whether the wanted revision is applied and all that should run is healthy.",
                 [({}, settled(site, units))])  # fmt: skip
    yield _gauge("revision_info", "The revision that is applied.", [({"revision": site.revision}, 1)])
    yield _gauge("look_timestamp_seconds", "When everything was looked at last.", [({}, looked)])
    running = [unit for unit in units if unit.state not in AT_REST]
    healthy = [(_labels(unit), (unit.state, unit.health) == ("running", "healthy")) for unit in running]
    yield _gauge("unit_healthy", "Whether a unit that should run does, in health.", healthy)
    yield _gauge("unit_state", "The state of each unit, as a label.",
                 [({**_labels(unit), "state": unit.state}, 1) for unit in units])  # fmt: skip
    yield _gauge(
        "unit_since_timestamp_seconds", "Since when it is so.", [(_labels(unit), unit.since) for unit in units]
    )
    if last and last.ended is not None:
        yield _gauge("last_sync_timestamp_seconds", "When the last sync ended.", [({}, last.ended)])
        yield _gauge("last_sync_duration_seconds", "How long it took.", [({}, last.ended - last.started)])
        yield _gauge("last_sync_ok", "Whether it was applied whole.", [({}, last.outcome in ("applied", "healed"))])
    yield _gauge("state_size_bytes", "Size of the file system with the site's state.", [({}, disk.size)])
    yield _gauge("state_available_bytes", "What is free of it.", [({}, disk.available)])


def _of_jobs(units: Sequence[Unit], jobs: Sequence[Planned]) -> Iterator[str]:
    """When each job ended well; of one that never did only since when it should."""
    labels = {unit.id: _labels(unit) for unit in units}
    known = [(labels[job.unit], job) for job in jobs if job.unit in labels]
    yield _gauge("job_since_timestamp_seconds", "Since when the job is due every day.",
                 [(label, job.since) for label, job in known])  # fmt: skip
    yield _gauge("job_last_success_timestamp_seconds", "When the job ended well last.",
                 [(label, job.succeeded) for label, job in known if job.succeeded is not None])  # fmt: skip


def _labels(unit: Unit) -> dict[str, str]:
    return {"service": unit.id, "app": unit.kind}


def _gauge(name: str, about: str, samples: Iterable[Sample]) -> str:
    name = f"blumeops_{name}"
    lines = [f"# HELP {name} {about}", f"# TYPE {name} gauge"]
    for labels, value in samples:
        told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        lines.append(f"{name}{{{told}}} {float(value):.17g}" if told else f"{name} {float(value):.17g}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

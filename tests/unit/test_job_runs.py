"""How a run of a job ended, in words, and what the status makes of it."""

from __future__ import annotations

import pytest

from blumeops.base.errors import BlumeError, Unavailable, UserError
from blumeops.engines.local.job import JobSeen
from blumeops.engines.local.observe import Observed
from blumeops.loop.job_runs import condition, job_of, local_time, message_of, outcome_of
from blumeops.render.local_unit import LocalUnit
from blumeops.status.jobs import JobRun, Outcome

AWAY = Unavailable("BLU715", "borgmatic", "needs postgresql, which is not healthy")


def unit(name: str, at: str = "", provided: str = "", unavailable: str = "") -> LocalUnit:
    """A unit of no program."""
    return LocalUnit(unit=name, app=name, version="1", place="indri", at=at, provided=provided, unavailable=unavailable)


def run(outcome: Outcome, ended: float | None = 14.0, message: str = "", due: str = "") -> JobRun:
    """A run that began at second 10."""
    return JobRun(1, "borgmatic", "t", due, 10.0, ended, outcome, None, message)


@pytest.mark.parametrize(
    ("seen", "error", "expected"),
    [
        (JobSeen("ended", "b.a", code=0), None, ("ok", "")),
        (JobSeen("ended", "b.a", code=2, words="no space"), None, ("failed", "exit code 2: no space")),
        (JobSeen("ended", "b.a", code=-1), None, ("failed", "was ended by a signal")),
        (JobSeen("ended", "b.a", code=0, lacks=("web",)), None,
         ("failed", "could not read what web keeps: it is another user's")),
        (JobSeen("ended", "b.a", code=0, lacks=("web",), gone=("a", "b")), None,
         ("failed", "could not read what web keeps: it is another user's; found no folder of what a and b keeps")),
        (JobSeen("lost", "b.a"), None, ("interrupted", "was ended by hand, or together with the process manager")),
        (JobSeen("absent", "b.a"), None, ("interrupted", "the controller ended before it was started")),
        (JobSeen("absent", "b.a"), AWAY, ("failed", "needs postgresql, which is not healthy")),
    ],
    ids=["ok", "code", "signal", "unread", "gone", "lost", "never started", "hindered"],
)  # fmt: skip
def test_how_a_run_ended(seen: JobSeen, error: BlumeError | None, expected: tuple[str, str]) -> None:
    """Only a program that ended with 0, and read all that it should, went well."""
    assert (outcome_of(seen, error), message_of(seen, error)) == expected


def test_what_status_says() -> None:
    """Between runs the next time and the last result; a failed one makes the job ill; a run under way is well."""
    between, running = Observed("borgmatic", "scheduled"), Observed("borgmatic", "running", "healthy", since=20.0)
    coming = f"next {local_time(90.0)}"
    assert condition(between, 90.0, []).reason == coming
    well = condition(between, 90.0, [run("ok")])
    assert (well.state, well.reason) == ("scheduled", f"{coming}; last ok: {local_time(10.0)} in 4.0 s")
    ill = condition(between, 90.0, [run("failed", message="exit code 2")])
    assert (ill.state, ill.health) == ("failed", "unhealthy")
    assert ill.reason == f"failed: exit code 2 ({local_time(10.0)} in 4.0 s); {coming}"
    again = condition(running, 90.0, [run("running", None), run("failed", message="exit code 2")])
    assert (again.state, again.reason) == ("running", f"since {local_time(20.0)}; {coming}")


def test_a_skipped_run_is_said_and_is_not_the_last_result() -> None:
    """The run that was under way counts; that another was not started stands beside it, until one runs again."""
    skipped = run("skipped", message="the run of 02:00 still went on", due="2026-11-25T02:00")
    told = condition(Observed("borgmatic", "scheduled"), 90.0, [skipped, run("ok")])
    assert told.state == "scheduled"
    assert "not started for 2026-11-25 02:00: the run of 02:00 still went on" in told.reason
    assert "not started" not in condition(Observed("borgmatic", "scheduled"), 90.0, [run("ok"), skipped]).reason


def test_what_cannot_be_had_stays_so() -> None:
    """A job without a program is unavailable, whatever its last run was."""
    seen = Observed("borgmatic", "unavailable", reason="no Borg")
    assert condition(seen, 90.0, [run("failed")]) == seen


def test_only_a_job_of_the_lab_can_be_run() -> None:
    """Each mistake is named, and what there is."""
    units = {each.unit: each for each in (
        unit("borgmatic", "02:00"), unit("miniflux"), unit("chart", "02:00", unavailable="needs a cluster"),
    )}  # fmt: skip
    assert job_of(units, "borgmatic").unit == "borgmatic"
    for name, words in (
        ("borgmatik", "did you mean borgmatic"), ("miniflux", "is a service"), ("chart", "needs a cluster"),
    ):  # fmt: skip
        with pytest.raises(UserError, match="BLU717") as found:
            job_of(units, name)
        assert words in str(found.value)

"""When a unit is looked at again. There is no clock in it: time is passed in."""

from __future__ import annotations

from blumeops.loop.follow_up import LONGEST, FollowUp


def test_what_happened_is_due_at_once_and_then_later_and_later() -> None:
    """The pauses grow, and it ends by itself: nothing is asked for ever."""
    follow = FollowUp()
    assert follow.wait(100.0) is None
    follow.begin("web", 100.0)
    now, pauses = 100.0, list[float]()
    while (pause := follow.wait(now)) is not None:
        now += pause
        pauses.append(pause)
        assert follow.due(now) == {"web"}
        follow.looked("web", False, now)
    assert pauses[0] == 0
    assert pauses[1:] == sorted(pauses[1:])
    assert 0.05 <= pauses[1] <= 0.2
    assert LONGEST / 2 <= pauses[-1] <= LONGEST
    assert len(pauses) < 15


def test_what_is_well_is_not_looked_at_again() -> None:
    """One that is back is due no more; another stays due when it was."""
    follow = FollowUp()
    follow.begin("web", 5.0)
    follow.begin("feed", 5.0)
    follow.looked("web", True, 5.0)
    assert follow.due(5.0) == {"feed"}
    follow.forget(["feed", "unknown"])
    assert follow.wait(5.0) is None


def test_a_second_end_begins_anew() -> None:
    """A unit that ends again while it is followed is due at once."""
    follow = FollowUp()
    follow.begin("web", 0.0)
    for _ in range(5):
        follow.looked("web", False, 0.0)
    assert not follow.due(0.0)
    follow.begin("web", 0.01)
    assert follow.due(0.01) == {"web"}

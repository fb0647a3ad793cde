"""Bringing new secrets to what uses them: lines until it has settled, and back again when it does not get healthy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from blumeops.base.errors import BlumeError
from blumeops.base.findings import errors
from blumeops.loop import rotation
from blumeops.loop.controller import Controller, refusal
from blumeops.loop.wanted import Job


async def change(controller: Controller, wanted: rotation.Wanted) -> AsyncIterator[str | bool]:
    """Commit what is wanted, apply it, follow it; then whether it counts. Where a unit that uses one of the secrets is
    not healthy with it, another commit takes them back."""
    try:
        done = await asyncio.to_thread(rotation.prepare, controller.site, wanted)
        for finding in done.findings:
            yield str(finding)
        if done.revision.checked is None or errors(done.findings):
            yield refusal(done.findings)
            yield False
            return
        for line in done.lines:
            yield line
        job = await controller.bring(done.revision, done.parent)
        async for line in job.follow():
            yield line
        if not _failed(job, done):
            yield bool(job.result and job.result.ok)
            return
        yield f"not healthy with the new value: {', '.join(_failed(job, done))}"
        if done.before:
            back = await asyncio.to_thread(rotation.undo, controller.site, done)
            if errors(back.findings):
                for finding in back.findings:
                    yield str(finding)
                yield refusal(back.findings)
                yield False
                return
            again = await controller.bring(back.revision, back.parent)
            yield f"main moves to {again.revision[:8]}, which has the old values again"
            async for line in again.follow():
                yield line
    except BlumeError as error:
        yield f"refused: {error}"
    yield False


def _failed(job: Job, done: rotation.Changed) -> list[str]:
    """Who uses a changed secret and is not healthy."""
    return sorted(set(job.result.failed) & set(done.units)) if job.result else []

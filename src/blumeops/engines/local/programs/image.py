"""An image that is here, as it is remembered with the instance that runs it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Dialect = Literal["podman", "docker"]
"""Which words a container runtime understands."""


class Image(BaseModel):
    """An image of a runtime. `user` and `group`: those of its program, as numbers within the container."""

    model_config = ConfigDict(frozen=True)

    dialect: Dialect
    tool: tuple[str, ...]
    """How the runtime is called."""
    id: str
    user: int = 0
    group: int = 0
    folder: str = ""
    """Where its programs lie, where that is not on its PATH."""

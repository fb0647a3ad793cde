"""A dashboard of the lab's own, `dashboards/NAME.json`: its bytes enter, JSON that any reader takes leaves."""

from __future__ import annotations

import json


def read(text: bytes) -> str:
    """The same dashboard, in ASCII. Raises ValueError in a person's words."""
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("title"), str):
        raise ValueError("is no dashboard: it has no title")
    return json.dumps(found, indent=2) + "\n"

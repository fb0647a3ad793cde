"""What the Connect API was asked lately: for `/v1/activity` and `/metrics`. In memory, bounded, without values."""

from __future__ import annotations

import uuid
from collections import Counter, deque
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from starlette.requests import Request

from blumeops.connect.tokens import Token

_ACTIONS = {"GET": "READ", "HEAD": "READ", "POST": "CREATE", "PUT": "UPDATE", "PATCH": "UPDATE", "DELETE": "DELETE"}


class Journal:
    """The last requests, newest first, and how many there were."""

    def __init__(self, most: int = 1000) -> None:
        self._entries: deque[tuple[str, dict[str, Any]]] = deque(maxlen=most)
        self._counts: Counter[tuple[str, int]] = Counter()
        self._lock = Lock()

    def note(self, request: Request, token: Token | None, status: int, now: float) -> None:
        """Count a request, and keep it where a token made it."""
        method = request.method if request.method in _ACTIONS else "other"
        parts = request.path_params
        entry = {
            "requestId": str(uuid.uuid4()),
            "timestamp": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "action": _ACTIONS.get(method, "READ"),
            "result": "SUCCESS" if status < 400 else "DENY",
            "actor": {
                "id": token.id if token else "", "jti": token.id if token else "", "account": "",
                "userAgent": request.headers.get("user-agent", "")[:200],
                "requestIp": request.client.host if request.client else "",
            },
            "resource": {
                "type": "ITEM" if "item" in parts else "VAULT", "vault": {"id": parts.get("vault", "")},
                "item": {"id": parts.get("item", "")}, "itemVersion": 0,
            },
        }  # fmt: skip
        with self._lock:
            self._counts[method, status] += 1
            if token:
                self._entries.appendleft((token.id, entry))

    def of(self, token: Token) -> list[dict[str, Any]]:
        """What that token asked."""
        with self._lock:
            return [entry for number, entry in self._entries if number == token.id]

    def metrics(self) -> str:
        """The counts, in Prometheus' text format."""
        with self._lock:
            counts = sorted(self._counts.items())
        head = "# HELP connect_requests_total Requests by method and status.\n# TYPE connect_requests_total counter\n"
        lines = (
            f'connect_requests_total{{method="{method}",status="{status}"}} {number}\n'
            for (method, status), number in counts
        )
        return head + "".join(lines)

"""Comments of pull requests, as the fake forge keeps them: who wrote each, and who may change it.

By the API's descriptions (Forgejo's `/swagger.v1.json`, GitHub's documentation): Forgejo lists all at once, GitHub in
pages of at most 100; whoever may write to the repository may also change comments of others.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Comments:
    """`login`: whose token it is; `tells_who`: whether that may be asked with it."""

    login: str = "forgejo-actions"
    tells_who: bool = True
    numbers: tuple[int, ...] = (7,)
    """The pull requests that there are."""
    kept: list[dict[str, Any]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """Instead of what would be answered, these statuses first."""
    next: int = 100

    def write(self, login: str, body: str, number: int = 7) -> int:
        """Somebody comments."""
        self.next += 1
        self.kept.append({"id": self.next, "body": body, "user": {"login": login}, "number": number})
        return self.next

    def bodies(self) -> list[str]:
        """What they say, the oldest first."""
        return [each["body"] for each in self.kept]

    def answer(self, method: str, path: str, body: bytes, kind: str) -> tuple[int, Any]:
        """To a request below the API's root."""
        if self.answers:
            return self.answers.pop(0), {"message": "as the test wants it"}
        if path == "user":
            return (200, {"login": self.login}) if self.tells_who else (403, {"message": "not with this token"})
        path, _, query = path.partition("?")
        if match := re.fullmatch(r"repos/erich/lab/issues/([0-9]+)/comments", path):
            number = int(match[1])
            if number not in self.numbers:
                return 404, {"message": "no such issue"}
            if method == "POST":
                self.write(self.login, json.loads(body)["body"], number)
                return 201, self.kept[-1]
            return 200, self._page([each for each in self.kept if each["number"] == number], query, kind)
        if match := re.fullmatch(r"repos/erich/lab/issues/comments/([0-9]+)", path):
            found = [each for each in self.kept if each["id"] == int(match[1])]
            if not found:
                return 404, {"message": "no such comment"}
            if method == "DELETE":
                self.kept.remove(found[0])
                return 204, None
            found[0]["body"] = json.loads(body)["body"]
            return 200, found[0]
        return 404, {"message": "no such thing"}

    def _page(self, found: list[dict[str, Any]], query: str, kind: str) -> list[dict[str, Any]]:
        if kind != "github":
            return found
        asked = urllib.parse.parse_qs(query)
        size, page = min(100, int(asked.get("per_page", ["30"])[0])), int(asked.get("page", ["1"])[0])
        return found[size * (page - 1) : size * page]

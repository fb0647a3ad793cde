"""Make the catalogue's sample book for Kiwix from `pages/`: a ZIM file with an index of its words.

In: the file to write. The pages are the project's own. https://wiki.openzim.org/wiki/ZIM_file_format
"""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path

from libzim.writer import Creator, Hint, Item, StringProvider

PAGES = Path(__file__).with_name("pages")
STYLE = "body { font: 1.1rem/1.5 sans-serif; max-width: 40rem; margin: 2rem auto; color-scheme: light dark }"
METADATA = {
    "Title": "Git for a home lab", "Description": "A small book, so that a new Kiwix has something to show",
    "Language": "eng", "Name": "blumeops_en_git", "Creator": "BlumeOps", "Publisher": "BlumeOps", "Tags": "git",
    "Date": date(2026, 11, 25),
}  # fmt: skip


class Page(Item):  # type: ignore[misc]  # libzim has no types
    """One page: its path is the file's name, its title the heading."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.path, self.body = file.stem, file.read_text()

    def get_path(self) -> str:
        return self.path

    def get_title(self) -> str:
        return re.search(r"<h1>(.*?)</h1>", self.body)[1]  # type: ignore[index]  # every page has a heading

    def get_mimetype(self) -> str:
        return "text/html"

    def get_contentprovider(self) -> StringProvider:
        return StringProvider(whole(self.get_title(), self.body))

    def get_hints(self) -> dict[Hint, bool]:
        return {Hint.FRONT_ARTICLE: True}


def whole(title: str, body: str) -> str:
    """The page as a browser gets it."""
    return f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>{body}'


def make(file: Path) -> None:
    """Write the book."""
    file.unlink(missing_ok=True)
    with Creator(str(file)).config_indexing(True, "eng") as book:
        book.set_mainpath("index")
        for page in sorted(PAGES.glob("*.html")):
            book.add_item(Page(page))
        for name, value in METADATA.items():
            book.add_metadata(name, value)


if __name__ == "__main__":
    make(Path(sys.argv[1]))

"""The catalogue's sample book for Kiwix is what scripts/book makes of its pages."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from libzim.reader import Archive
from libzim.search import Query, Searcher

from blumeops.lab.files import CATALOGUE

BOOK = CATALOGUE / "kiwix" / "sample.zim"
SCRIPT = Path(__file__).parents[2] / "scripts" / "book" / "__main__.py"


def test_the_book_is_of_these_pages() -> None:
    """Every page is in it, as it would be written today: after a change of one, `make book`."""
    spec = importlib.util.spec_from_file_location("book", SCRIPT)
    assert spec
    assert spec.loader
    book = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(book)
    archive = Archive(BOOK)
    pages = [book.Page(file) for file in sorted(book.PAGES.glob("*.html"))]
    assert pages
    assert archive.article_count == len(pages)
    for page in pages:
        wanted = book.whole(page.get_title(), page.body)
        assert bytes(archive.get_entry_by_path(page.path).get_item().content).decode() == wanted


def test_the_book_is_found_by_its_words() -> None:
    """It has an index of its words, and is small enough to lie in a repository."""
    archive = Archive(BOOK)
    found = Searcher(archive).search(Query().set_query("halves"))
    assert list(found.getResults(0, 10)) == ["bisect"]
    assert BOOK.stat().st_size < 100_000

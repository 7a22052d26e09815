"""Links of a built site: whether every file and every place in it that a page names is there."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("source", "src"), ("iframe", "src")}
"""What a browser fetches by itself: it must be of the site, for this is read offline."""
_NAMED = _LOADED | {("a", "href")}
_NO_FETCH = {"canonical", "author", "license", "help"}
"""Relations of `link` that fetch nothing."""


class _Page(HTMLParser):
    """What a page names, and the places that it has."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.names: list[tuple[str, str]] = []
        self.places: set[str] = {"", "top"}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take down identifiers and what is linked."""
        given = dict(attrs)
        self.places.update(value for name in ("id", "name") if (value := given.get(name)))
        if tag == "link" and given.get("rel") in _NO_FETCH:
            return
        self.names.extend((tag, value) for name, value in attrs if (tag, name) in _NAMED and value is not None)


def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def broken(site: Path) -> Iterator[str]:
    """Yield, in words, each link of a site that leads nowhere, or that a reader without a network could not load."""
    pages = {path: _read(path) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        for tag, address in page.names:
            if wrong := _wrong(path, tag, address, pages, site):
                yield f"{path.relative_to(site)}: {address}: {wrong}"


def _wrong(path: Path, tag: str, address: str, pages: dict[Path, _Page], site: Path) -> str:
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        if tag != "a":
            return "is loaded from elsewhere" if parts.scheme != "data" else ""
        formed = parts.scheme == "mailto" or (parts.scheme in ("http", "https") and "." in parts.netloc)
        return "" if formed and " " not in address else "is no address"
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file() or not target.is_relative_to(site.resolve()):
        return "there is no such file in the site"
    if target in pages and unquote(parts.fragment) not in pages[target].places:
        return "there is no such place in the page"
    return ""

"""Places of stores that are no files: `scheme://…`, which a plug-in opens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, Self

_URL: Final = r"[a-z][a-z0-9+.-]+://"


def is_url(place: str) -> bool:
    """Tell whether a place is a URL, not a file; a drive's letter is no scheme."""
    return re.match(_URL, place) is not None


class StoreUrl(type(Path())):  # type: ignore[misc]  # the class of paths differs by platform
    """A store's URL, where a file's path is asked for.

    As a path it stands for a file in the project's own folder, beside which
    an engine may put its log; as text it is the URL.
    """

    url: str = ""

    @classmethod
    def at(cls, url: str, folder: Path) -> Self:
        """Return the place of a URL; `folder` is where files of an engine go."""
        made: Self = cls(folder / f"{scheme_of(url)}.store")
        made.url = url
        return made

    def __str__(self) -> str:
        return self.url or super().__str__()

    def exists(self, **_: Any) -> bool:
        """Tell whether there is a store: only opening it shows."""
        return True


def scheme_of(url: str) -> str:
    """Return the scheme of a URL."""
    return url.partition("://")[0]

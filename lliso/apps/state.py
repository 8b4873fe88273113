"""The state of a session: the picks, what is shown of them, and where they come from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lliso.maps.picks import Picks

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class State:
    """What undo goes back to, and the selection, which it does not."""

    picks: Picks
    cut: str
    selected: str | None = None


def opened(
    picks: Picks | str | os.PathLike[str] | None, ds: xr.Dataset
) -> tuple[Path | None, Picks]:
    """Read the picks to start from, if there are any, and check that they belong to the map."""
    path = None
    if isinstance(picks, (str, os.PathLike)):
        path = Path(picks)
        picks = Picks.load(path) if path.exists() else None
    if picks is None:
        return path, Picks().anchored_to(ds)
    picks.check(ds)
    return path, picks

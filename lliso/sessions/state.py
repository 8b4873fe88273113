"""The state of a session: the picks, what is shown of them, and where they come from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lliso.maps.cuts import LineCut
from lliso.maps.picks import Picks

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class State:
    """What undo goes back to, and the selection and proposals, which it does not."""

    picks: Picks
    cut: str
    selected: str | None = None
    ghosts: tuple[LineCut, tuple[tuple[float, float], ...]] | None = None

    @property
    def proposed(self) -> tuple[tuple[float, float], ...]:
        """Position (µm) and significance of what is proposed on the cut as it is now."""
        if self.ghosts is None or self.ghosts[0] != self.picks.cut(self.cut):
            return ()
        return self.ghosts[1]


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

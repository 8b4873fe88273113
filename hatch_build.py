"""Put the notebooks and samples into the wheel; an editable install uses those of the checkout."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SHARED = ("notebooks", "data/samples", "tests/published.toml")
LEFT_OUT = {".ipynb_checkpoints", "__pycache__", "results"}


class SharedFiles(BuildHookInterface[Any]):
    """Carries ``notebooks``, ``data/samples`` and the ledger's file as ``lliso/_share``."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name every file that a wheel, but not an editable install, has to hold."""
        if version == "editable":
            return
        root = Path(self.root)
        for folder in SHARED:
            for path in sorted([root / folder, *(root / folder).rglob("*")]):
                name = path.relative_to(root)
                if path.is_file() and not LEFT_OUT & set(name.parts):
                    build_data["force_include"][str(path)] = f"lliso/_share/{name.as_posix()}"

"""Reading and writing maps: one module per format behind one `read_map`."""

from __future__ import annotations

from lliso.io.registry import convert, describe, formats, read_map, write_map

__all__ = ["convert", "describe", "formats", "read_map", "write_map"]

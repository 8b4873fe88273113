"""Map-level data: fraction, cuts, picks, simulation; no lmfit, no matplotlib."""

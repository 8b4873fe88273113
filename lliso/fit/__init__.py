"""lmfit models and the fits made of them; no matplotlib."""

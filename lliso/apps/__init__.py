"""Interactive faces: sessions in pure Python and thin views on them; no computation."""

"""Long-range profiles."""

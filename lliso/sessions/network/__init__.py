"""The grain network of a map."""

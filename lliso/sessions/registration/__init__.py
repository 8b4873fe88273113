"""An image laid onto a map."""

"""Line cuts and the boundaries on them."""

"""Series against temperature."""

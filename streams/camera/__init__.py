"""Pictures in: decoding, limits, change detection."""

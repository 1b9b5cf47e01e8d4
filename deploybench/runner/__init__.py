"""A run: models opened through backends, checked, timed and recorded."""

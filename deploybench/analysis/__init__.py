"""What happens to a run once it was saved: read, merged, compared, judged. Imports no torch."""

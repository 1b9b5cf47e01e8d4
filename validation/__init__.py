"""Scripts that validate the suite itself."""

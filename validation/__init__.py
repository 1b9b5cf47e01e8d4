"""Scripts that measure the suite itself."""

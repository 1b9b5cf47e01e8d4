"""One file for each format that results are shown in."""

"""A run as it is stored: what is written, read, resumed and found again."""

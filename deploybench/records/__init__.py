"""The records of runs: writing, reading, finding and resuming them."""

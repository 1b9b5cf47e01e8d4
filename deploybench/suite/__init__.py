"""The tests that `deploybench bench` and `deploybench check` run, from any folder."""

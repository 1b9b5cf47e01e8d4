"""Runs a grid of models and conditions as jobs, each a process of `deploybench bench`."""

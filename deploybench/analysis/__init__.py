"""Merges, compares and judges saved runs. Imports no torch."""

"""Measures latency, memory and the roofline."""

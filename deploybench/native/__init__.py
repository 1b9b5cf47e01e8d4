"""Builds the C++ program and drives it as a process."""

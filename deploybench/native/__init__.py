"""The C++ program: how it is built, and how it is driven as a process."""

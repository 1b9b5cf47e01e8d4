"""The formats that a model is exported to.

A format knows how to write its file and what that requires; backends know what runs it.
"""

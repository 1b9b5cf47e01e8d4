"""The files that a model is exported to, each format written once.

A format knows how its file is written and what that needs; backends know what runs it.
"""

"""The errors a user can cause.

Each message is one line: what was given, what is wrong with it, what to do. The plugin and the
tools print that line and nothing else; a traceback means a bug in deploybench itself.
"""


class DeploybenchError(Exception):
    """Base of every error whose message is meant for the user."""


class UsageError(DeploybenchError):
    """An option or argument that cannot be used."""


class FileError(DeploybenchError):
    """A file that is missing, unreadable, cut short or not what it should be."""


class BackendUnavailable(DeploybenchError):
    """A backend that this machine cannot run; the message ends with what would mend it."""


class BackendFailed(DeploybenchError):
    """A backend that broke while it exported, loaded or ran a model."""

"""A pytest plugin that adds the faulty backends to the registry, by their being there."""

from pathlib import Path

from deploybench import backends

backends.__path__.append(str(Path(__file__).with_name("faulty_backends")))

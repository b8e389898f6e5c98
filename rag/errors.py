"""The errors of rag, drawn as a tree.

RagError
└── Unsupported   something that this generator, or this version, cannot do; nothing was run
"""


class RagError(Exception):
    """Anything that rag reports to its caller; the message says what to do."""


class Unsupported(RagError):
    """Something was asked that the generator in use, or this version, cannot do."""

"""The errors of backbone, drawn as a tree.

BackboneError
├── Busy               more is waiting than may wait
├── CallError          a tool call that its tool's description does not allow
├── CheckpointError    a folder or name that cannot be loaded as an LFM2 model
├── GrammarError       a grammar, schema or pattern that cannot be compiled
├── PromptTooLong      a prompt that can never fit the context
└── Unsupported        an ability that this checkpoint does not have
"""


class BackboneError(Exception):
    """Anything that backbone reports to its caller; the message says what to do."""


class Busy(BackboneError):
    """More requests are waiting than may wait; nothing was run, and later it may be."""


class CallError(BackboneError):
    """A tool call that cannot be read, or that its tool's description does not allow."""


class CheckpointError(BackboneError):
    """A folder or name that cannot be loaded as an LFM2 model."""


class GrammarError(BackboneError):
    """A grammar, JSON schema or regular expression that cannot be compiled."""


class PromptTooLong(BackboneError):
    """A prompt that does not fit the model's context."""


class Unsupported(BackboneError):
    """Something was asked of a checkpoint that it was not made for."""

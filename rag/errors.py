"""The errors of rag, drawn as a tree.

RagError
├── QuestionsError   a test set, or a run to compare with, that cannot be used; nothing was asked
├── RemoteError      a model on a server that cannot be reached, or refuses, or fails
├── SchemaError      an object that the documents, or a model, cannot fill as its schema demands
├── WebError         a search engine of the web that cannot be reached, refuses, or fails
└── Unsupported      something that this generator, or this version, cannot do; nothing was run
"""


class RagError(Exception):
    """Anything that rag reports to its caller; the message says what to do."""


class QuestionsError(RagError):
    """A test set has lines that are wrong, or an earlier run cannot be compared with."""


class RemoteError(RagError):
    """A model on a server could not be reached, refused, or failed."""


class SchemaError(RagError):
    """An object under a schema cannot be had from the documents, or the model wrote none."""


class WebError(RagError):
    """A search engine of the web could not be reached, refused, or failed."""


class Unsupported(RagError):
    """Something was asked that the generator in use, or this version, cannot do."""

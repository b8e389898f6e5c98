"""The errors of ingest, drawn as a tree.

IngestError
├── ExtractError        a file that cannot be turned into text; its message is the reason shown
│   └── PasswordNeeded  an encrypted file without a password that opens it
├── IndexFault          an index that cannot be opened or written
│   ├── IndexMissing    there is no index in that folder
│   ├── IndexLocked     another process is writing
│   ├── EncoderMismatch the index was made by another encoder
│   └── UnknownSource   the index holds no document of that name
├── FetchError          a page that cannot be had from the web
│   └── AddressRefused  an address that is not fetched, whoever asks
└── EncoderError        an encoder that cannot be loaded
"""


class IngestError(Exception):
    """Anything that ingest reports to its caller; the message says what to do."""


class ExtractError(IngestError):
    """A file that cannot be turned into text."""


class PasswordNeeded(ExtractError):
    """An encrypted file, and no password given opens it."""


class IndexFault(IngestError):
    """An index that cannot be opened, read or written."""


class IndexMissing(IndexFault):
    """There is no index in that folder."""


class IndexLocked(IndexFault):
    """Another process is writing to the index."""


class EncoderMismatch(IndexFault):
    """The index was made with another encoder than the one given."""


class UnknownSource(IndexFault, LookupError):
    """The index holds no document of that name."""


class FetchError(IngestError):
    """A page that cannot be had from the web."""


class AddressRefused(FetchError):
    """An address that is not fetched: not of the web, or not public."""


class EncoderError(IngestError):
    """An encoder that cannot be loaded."""

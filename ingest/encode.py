"""Texts in, vectors out: the Encoder seam, the built-in encoder, any sentence-transformers model.

Every encoder gives float32 rows of length 1, so that a dot product is a cosine. Knows nothing of
documents or indexes. torch is imported only by `TransformerEncoder.load`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.errors import EncoderError
from ingest.prefixes import prefixes

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Vectors = NDArray[np.float32]
Table = NDArray[np.float16] | NDArray[np.float32]

BUILTIN = Path(__file__).parent / "builtin"


class Encoder(Protocol):
    """Puts texts where related texts are near.

    `fingerprint` changes when vectors would: indexes hold it and refuse another one.
    """

    @property
    def name(self) -> str:
        """What a user calls this encoder, and what `load_encoder` accepts."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hexadecimal SHA-256 of everything that vectors depend on."""
        ...

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of questions: float32 [n, dimension], rows of length 1."""
        ...

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages: float32 [n, dimension], rows of length 1."""
        ...


def load_encoder(name: str = "builtin", *, threads: int | None = None) -> Encoder:
    """The encoder of that name: `builtin`, a folder, or a sentence-transformers model on the hub.

    `threads` bounds the processor threads of a transformer model (None = one a core); a static
    encoder needs one. Raises EncoderError, with what to do, when there is no such encoder.
    """
    if name == "builtin":
        return StaticEncoder.load()
    folder = Path(name).expanduser()
    if (folder / "0_StaticEmbedding").is_dir():
        return StaticEncoder.load(folder)
    return TransformerEncoder.load(name, threads=threads)


class StaticEncoder:
    """A bag of tokens with learnt vectors: the mean of a text's rows, scaled to length 1.

    A text without any known token gets a row of zeros, which is near nothing.
    """

    def __init__(
        self, *, name: str, tokenizer: Tokenizer, table: Table, files: Sequence[Path]
    ) -> None:
        self.name = name
        self._tokenizer = tokenizer
        self._table = table
        self._files = tuple(files)

    @classmethod
    def load(cls, folder: Path | None = None) -> StaticEncoder:
        """Opens a sentence-transformers folder of a StaticEmbedding; None is the built-in one.

        The table stays on disk and is mapped. Raises EncoderError when the folder is not usable.
        """
        from tokenizers import Tokenizer

        module = (BUILTIN if folder is None else folder) / "0_StaticEmbedding"
        weights, tokens = module / "model.safetensors", module / "tokenizer.json"
        for file in (weights, tokens):
            if not file.is_file():
                raise EncoderError(f"{file} is missing: {_repair(folder)}")
        try:
            tokenizer = Tokenizer.from_file(str(tokens))
        except Exception as error:
            raise EncoderError(f"{tokens} cannot be read ({error}): {_repair(folder)}") from error
        tokenizer.no_padding()
        tokenizer.no_truncation()
        table = _map_table(weights, folder)
        if len(table) < tokenizer.get_vocab_size():
            raise EncoderError(
                f"{weights} has {len(table)} rows for {tokenizer.get_vocab_size()} tokens: "
                f"{_repair(folder)}"
            )
        name = "builtin" if folder is None else str(folder)
        return cls(name=name, tokenizer=tokenizer, table=table, files=(weights, tokens))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the table's and the tokenizer's files, and of what is made of the vectors."""
        digest = hashlib.sha256(b"neighbours 1")  # see `ingest.context`
        for file in self._files:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return int(self._table.shape[1])

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of questions: float32 [n, dimension]; the same as those of passages."""
        return self.encode_documents(texts)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages: float32 [n, dimension], rows of length 1, or 0 without a token."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, ids in zip(vectors, self._tokenize(texts), strict=True):
            if ids:  # a text's rows are summed alone: np.add.reduceat over many is 7 times slower
                self._table[ids].astype(np.float32).sum(axis=0, out=row)
        # The mean and the sum point the same way, and only the direction is kept.
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors

    def _tokenize(self, texts: Sequence[str]) -> Iterator[list[int]]:
        for start in range(0, len(texts), 512):
            batch = list(texts[start : start + 512])
            for encoding in self._tokenizer.encode_batch_fast(batch, add_special_tokens=False):
                yield encoding.ids


def _repair(folder: Path | None) -> str:
    return "install ragbone again" if folder is None else "copy the model's folder again, whole"


def _map_table(path: Path, folder: Path | None) -> Table:
    """The one matrix of a safetensors file, mapped: 8 bytes of length, JSON, the numbers."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size)) if size < path.stat().st_size else {}
        header.pop("__metadata__", None)
        (entry,) = header.values()
        kind = {"F16": np.float16, "F32": np.float32}[entry["dtype"]]
        rows, width = entry["shape"]
        start = 8 + size + entry["data_offsets"][0]
        return np.memmap(path, kind, "r", start, (rows, width))
    except (ValueError, KeyError, OSError) as error:
        raise EncoderError(
            f"{path} is not one float matrix in safetensors form: {_repair(folder)}"
        ) from error


class TransformerEncoder:
    """Any sentence-transformers model, with the prefixes that its card asks for."""

    def __init__(
        self, *, name: str, model: Any, query_prefix: str = "", document_prefix: str = ""
    ) -> None:
        self.name = name
        self.query_prefix = query_prefix
        self.document_prefix = document_prefix
        self._model = model

    @classmethod
    def load(
        cls, name: str | Path, *, device: str | None = None, threads: int | None = None
    ) -> TransformerEncoder:
        """Loads a folder or a hub name; a hub name is downloaded when it is not in the cache.

        `threads` sets torch's threads for the whole process. Raises EncoderError when there is no
        such model.
        """
        import torch
        from sentence_transformers import SentenceTransformer

        if threads is not None:
            torch.set_num_threads(threads)
        try:
            model = SentenceTransformer(str(name), device=device)
        except (OSError, ValueError, ImportError, RuntimeError, KeyError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise EncoderError(
                f"encoder {str(name)!r} cannot be loaded: {reason}. Give `builtin`, the folder "
                "of a sentence-transformers model, or its name on the hub, which is downloaded once"
            ) from error
        query, document = prefixes(str(name), model.prompts)
        return cls(name=str(name), model=model, query_prefix=query, document_prefix=document)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights and the prefixes."""
        import torch

        digest = hashlib.sha256(json.dumps([self.query_prefix, self.document_prefix]).encode())
        for key, tensor in sorted(self._model.state_dict().items()):
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            digest.update(f"{key} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(memoryview(flat.view(torch.uint8).numpy()))
        return digest.hexdigest()

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return int(self._model.get_embedding_dimension())

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of questions: float32 [n, dimension], rows of length 1."""
        return self._encode(texts, self.query_prefix)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages: float32 [n, dimension], rows of length 1."""
        return self._encode(texts, self.document_prefix)

    def _encode(self, texts: Sequence[str], prefix: str) -> Vectors:
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        vectors = self._model.encode(
            list(texts), prompt=prefix, normalize_embeddings=True, show_progress_bar=False
        )
        return np.ascontiguousarray(vectors, np.float32)

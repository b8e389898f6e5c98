"""Encoders: unit rows, the same vectors as sentence-transformers, prefixes, and clear refusals."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from ingest.encode import BUILTIN, StaticEncoder, TransformerEncoder, load_encoder
from ingest.errors import EncoderError
from ingest.prefixes import prefixes

WORDS = ["<unk>", "red", "green", "blue", "house", "car"]
TEXTS = [
    "What is the capital of France?",
    "Wie groß ist der Zwischenspeicher?",
    "日本の首都はどこですか",
    "عاصمة مصر هي القاهرة",
    "",
    "한국의 수도는 서울이다",
    "a " * 3000,
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small static model in sentence-transformers' layout."""
    table = np.random.default_rng(1).normal(size=(len(WORDS), 8)).astype(np.float16)
    table[0] = 0
    return write(tmp_path / "small", table)


def write(folder: Path, table: np.ndarray, words: list[str] = WORDS) -> Path:
    module = folder / "0_StaticEmbedding"
    module.mkdir(parents=True)
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(module / "tokenizer.json"))
    save_file({"embedding.weight": table}, module / "model.safetensors")
    kinds = {"0_StaticEmbedding": "StaticEmbedding", "1_Normalize": "Normalize"}
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds.items())
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder


def test_a_vector_is_the_direction_of_the_mean_of_its_tokens(folder: Path) -> None:
    encoder = StaticEncoder.load(folder)
    red, house, both = encoder.encode_documents(["red", "house", "red red house"])
    from safetensors.numpy import load_file

    table = load_file(folder / "0_StaticEmbedding" / "model.safetensors")["embedding.weight"]
    mean = (2 * table[1].astype(np.float32) + table[4]) / 3
    np.testing.assert_allclose(both, mean / np.linalg.norm(mean), atol=1e-6)
    np.testing.assert_allclose([np.linalg.norm(red), np.linalg.norm(house)], 1, atol=1e-6)


def test_rows_have_length_one_and_texts_without_tokens_are_zero_not_nan(folder: Path) -> None:
    vectors = StaticEncoder.load(folder).encode_queries(["", "red", "unheard of", "blue car"])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [0, 1, 0, 1], atol=1e-6)


def test_no_texts_give_no_rows(folder: Path) -> None:
    assert StaticEncoder.load(folder).encode_documents([]).shape == (0, 8)


def test_a_vector_does_not_depend_on_its_neighbours(folder: Path) -> None:
    encoder = StaticEncoder.load(folder)
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, rng.integers(0, 60))) for _ in range(1500)]
    together = encoder.encode_documents(texts)
    alone = np.concatenate([encoder.encode_documents([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_the_builtin_encoder_equals_sentence_transformers_loading_of_the_same_folder() -> None:
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(BUILTIN), device="cpu").float().encode(TEXTS)
    ours = StaticEncoder.load().encode_documents(TEXTS)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_the_builtin_encoder_puts_a_translated_question_near_its_answer() -> None:
    encoder = load_encoder()
    passages = [
        "The university was founded in 1636 by a vote of the colony's court.",
        "Photosynthesis turns light and carbon dioxide into sugar in the leaves of plants.",
        "The match ended with two goals to one after extra time.",
    ]
    questions = [
        "When was the university founded?",
        "¿Cuándo se fundó la universidad?",
        "Wann wurde die Universität gegründet?",
    ]
    near = encoder.encode_queries(questions) @ encoder.encode_documents(passages).T
    assert near.argmax(axis=1).tolist() == [0, 0, 0]


def test_the_builtin_encoder_fits_in_the_package() -> None:
    assert sum(f.stat().st_size for f in BUILTIN.rglob("*") if f.is_file()) <= 25_000_000


def test_the_fingerprint_follows_the_weights(folder: Path, tmp_path: Path) -> None:
    first = StaticEncoder.load(folder).fingerprint
    assert StaticEncoder.load(folder).fingerprint == first
    other = write(tmp_path / "other", np.ones((len(WORDS), 8), np.float16))
    assert StaticEncoder.load(other).fingerprint != first


def test_a_folder_with_a_static_embedding_is_opened_by_its_path(folder: Path) -> None:
    encoder = load_encoder(str(folder))
    assert isinstance(encoder, StaticEncoder)
    assert (encoder.name, encoder.dimension) == (str(folder), 8)


def test_float32_tables_are_read_too(tmp_path: Path) -> None:
    table = np.eye(len(WORDS), 8, dtype=np.float32)
    encoder = StaticEncoder.load(write(tmp_path / "wide", table))
    np.testing.assert_array_equal(encoder.encode_documents(["car"])[0], table[5])


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("damage", [None, b"", b"\xff" * 40])
def test_a_missing_or_damaged_file_is_named(folder: Path, name: str, damage: bytes | None) -> None:
    file = folder / "0_StaticEmbedding" / name
    file.unlink()
    if damage is not None:
        file.write_bytes(damage)
    with pytest.raises(EncoderError, match=f"{name}.*copy the model's folder again"):
        StaticEncoder.load(folder)


def test_a_table_cut_short_is_refused(folder: Path) -> None:
    file = folder / "0_StaticEmbedding" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(EncoderError, match=r"model\.safetensors"):
        StaticEncoder.load(folder)


def test_a_table_with_fewer_rows_than_tokens_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="2 rows for 6 tokens"):
        StaticEncoder.load(write(tmp_path / "short", np.ones((2, 8), np.float16)))


def test_an_unknown_encoder_says_what_can_be_given(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="`builtin`, the folder"):
        TransformerEncoder.load(tmp_path / "nothing")


class Model:
    """What TransformerEncoder needs of a SentenceTransformer: remembers what it is given."""

    def __init__(self, size: int = 3) -> None:
        self.size = size
        self.asked: list[tuple[list[str], str]] = []

    def get_embedding_dimension(self) -> int:
        return self.size

    def state_dict(self) -> dict:
        import torch

        return {"weight": torch.arange(self.size, dtype=torch.bfloat16)}

    def encode(self, texts: list[str], *, prompt: str, **_: object) -> np.ndarray:
        self.asked.append((texts, prompt))
        return np.ones((len(texts), self.size)) / np.sqrt(self.size)


def test_questions_and_passages_get_their_own_prefix() -> None:
    model = Model()
    encoder = TransformerEncoder(
        name="m", model=model, query_prefix="query: ", document_prefix="passage: "
    )
    assert encoder.encode_queries(["a"]).dtype == np.float32
    encoder.encode_documents(["b", "c"])
    assert model.asked == [(["a"], "query: "), (["b", "c"], "passage: ")]
    assert encoder.encode_documents([]).shape == (0, 3)


def test_the_fingerprint_of_a_transformer_follows_weights_and_prefixes() -> None:
    marks = {
        TransformerEncoder(name="m", model=Model(size), query_prefix=prefix).fingerprint
        for size in (3, 4)
        for prefix in ("", "query: ")
    }
    assert len(marks) == 4
    assert TransformerEncoder(name="n", model=Model()).fingerprint in marks


@pytest.mark.parametrize(
    ("name", "prompts", "expected"),
    [
        ("intfloat/multilingual-e5-small", {}, ("query: ", "passage: ")),
        ("/models/e5-base-v2", {"query": "", "document": ""}, ("query: ", "passage: ")),
        ("sentence-transformers/all-MiniLM-L6-v2", {}, ("", "")),
        ("BAAI/bge-m3", {}, ("", "")),
        ("nomic-ai/nomic-embed-text-v1.5", {}, ("search_query: ", "search_document: ")),
        ("some/model", {"query": "Q: ", "passage": "P: "}, ("Q: ", "P: ")),
        ("intfloat/e5-large", {"query": "own: "}, ("own: ", "")),
    ],
)
def test_prefixes_are_the_models_own_else_its_familys(
    name: str, prompts: dict[str, str], expected: tuple[str, str]
) -> None:
    assert prefixes(name, prompts) == expected


def test_instructed_families_get_their_instruction() -> None:
    query, document = prefixes("intfloat/multilingual-e5-large-instruct", {})
    assert (query.startswith("Instruct: "), query.endswith("Query: "), document) == (True, True, "")
    assert prefixes("BAAI/bge-small-en-v1.5", {})[0].startswith("Represent this sentence")


def test_the_static_encoder_needs_no_torch() -> None:
    code = (
        "import sys; from ingest.encode import load_encoder; e = load_encoder();"
        "e.encode_queries(['one']); e.fingerprint;"
        "assert not {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

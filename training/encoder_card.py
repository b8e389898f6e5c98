"""The model card of the built-in encoder."""

CARD = """---
license: apache-2.0
library_name: sentence-transformers
language: [ar, de, en, es, fr, ja, ko, pt, zh]
---

# The built-in encoder

A table of {tokens:,} token vectors of {size} numbers (float16), and the tokenizer that goes with it. A
text's vector is the mean of its tokens' rows, scaled to length 1: no network, so thousands of passages
a second on one processor core. Nine languages share one space: a question finds its answer in another.

`ingest.encode.StaticEncoder` reads it with numpy and tokenizers; `SentenceTransformer(folder)` gives
the same vectors.

## Made by

    python -m training.encoder --teacher TEACHER --data DATA --out first
    python -m training.encoder --start first --seed 1 --sentences 30000 --rate 1e-3 --data DATA --out second
    python -m training.encoder --start second --seed 2 --sentences 30000 --rate 1e-3 --data DATA --out ingest/builtin

Tokens are the lower-cased pieces of the teacher's tokenizer that are most frequent in any of the nine
languages. Their first vectors are the teacher's output at each single token, whitened by its principal
components and weighted by rarity. Three passes of contrastive training (sentence-transformers' trainer,
MultipleNegativesRankingLoss in MatryoshkaLoss, {pairs} pairs in the last) bring questions to their
paragraphs, sentences to the rest of theirs and texts to their translations; in the first, short texts of
all languages are also pulled to where the teacher puts them. Five to ten minutes a pass on one core, after eight
for the teacher's vectors. One article in twelve was held out of the question pairs; when to stop, and how the
scores are mixed with those of the words, was chosen on it (`training/fusion.py`).

## Teacher

multilingual-e5-small by Microsoft (Wang et al. 2024, "Multilingual E5 Text Embeddings"), MIT licence, in
4-bit weights.

## Data and licence

The train parts of SQuAD (CC BY-SA 4.0), FairytaleQA (Apache-2.0), SQuAD-es (CC BY 4.0), JaQuAD (CC BY-SA
3.0), CMRC 2018 (CC BY-SA 4.0), ARCD (MIT), PIAF (MIT) and FaQuAD (CC BY 4.0); SQuAD beside SQuAD-es and
the Open Source Guides (CC BY 4.0) as translations; English and Korean Wikipedia (CC BY-SA 3.0); German
federal and Chinese laws, Aozora Bunko (public domain); French, Spanish and Portuguese novels of ELTeC
(public domain). With thanks to all their authors. The weights are offered under Apache-2.0 as far as
that is ours to say; where the share-alike terms of the sources are held to reach weights, those apply.

## Limits

It knows what words mean, not what order says. Arabic has the least training text and is the weakest
across languages. A transformer (`--encoder intfloat/multilingual-e5-small`) is better and some hundred
times slower.
"""


def card(tokens: int, size: int, pairs: int) -> str:
    """The card's Markdown."""
    return CARD.format(tokens=tokens, size=size, pairs=f"{pairs:,}")

"""Attention gives what its definition says, however blocks are shared and wherever they lie."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backbone.attention import attend
from backbone.batch import Batch
from backbone.linear import linear, packed
from backbone.span import BLOCK, Span, blocks_for

BLOCKS, HEADS, KV_HEADS, DIM = 40, 4, 2, 8


def by_definition(q, keys, values, spans) -> torch.Tensor:
    """Each token by itself, over the keys of its sequence laid in a row."""
    out, at = [], 0
    for span in spans:
        k, v = (
            torch.cat([cached[block] for block in span.blocks], 1).repeat_interleave(
                HEADS // KV_HEADS, 0
            )
            for cached in (keys, values)
        )
        for position in range(span.position, span.end):
            scores = torch.einsum("hd,htd->ht", q[at], k[:, : position + 1]) * DIM**-0.5
            out.append(torch.einsum("ht,htd->hd", scores.softmax(1), v[:, : position + 1]))
            at += 1
    return torch.stack(out).flatten(1)


@st.composite
def sequences(draw):
    """Sequences whose tables branch off one another, in order or scattered, with parts to run."""
    numbers = iter(draw(st.sampled_from([range(BLOCKS), torch.randperm(BLOCKS).tolist()])))
    tables: list[list[int]] = [[]]
    spans = []
    for _ in range(draw(st.integers(1, 5))):
        parent = draw(st.sampled_from(tables))
        start = parent[: draw(st.integers(0, len(parent)))]
        table = [*start, *(next(numbers) for _ in range(draw(st.integers(1, 7))))]
        tables.append(table)
        end = len(table) * BLOCK - draw(st.integers(0, BLOCK - 1))
        count = min(draw(st.sampled_from([1, 1, 2, 9, 17, 70])), end)
        spans.append(Span(range(count), end - count, table, len(spans)))
    return spans


@settings(max_examples=40, deadline=None)
@given(sequences())
def test_every_token_sees_its_own_sequence_up_to_itself(spans):
    torch.manual_seed(0)
    keys, values = torch.randn(2, BLOCKS, KV_HEADS, BLOCK, DIM) * 2
    batch = Batch.pack(spans, kernel=3, kept=2)
    q = torch.randn(len(batch.ids), HEADS, DIM) * 2
    wanted = by_definition(q, keys, values, spans)
    assert float((attend(q, keys, values, batch) - wanted).abs().max()) < 1e-4
    short = attend(*(x.bfloat16() for x in (q, keys, values)), batch)
    assert short.dtype == torch.bfloat16
    assert float((short - wanted).abs().mean()) < 0.1  # its scores alone are off by some hundredths


def test_blocks_that_several_have_are_read_once():
    prompt = list(range(8))
    spans = [Span([1], 8 * BLOCK + 3, [*prompt, 10 + n], n) for n in range(4)]
    spans.append(Span([1], 11 * BLOCK, [*prompt[:5], *range(20, 27)], 5))
    batch = Batch.pack(spans, kernel=3, kept=2)
    found = [(s.rows.tolist(), s.start, s.stop, s.blocks) for s in batch.shared]
    assert found == [([0, 1, 2, 3, 4], 0, 5, None), ([0, 1, 2, 3], 5, 8, None), ([4], 20, 26, None)]
    assert blocks_for(spans[0].end) == 9


@pytest.mark.parametrize("rows", [0, 1, 3, 40])
def test_a_packed_weight_multiplies_as_a_plain_one(rows):
    weight, x = torch.randn(70, 33), torch.randn(rows, 33)
    assert torch.allclose(linear(x, packed(weight)), x @ weight.T, atol=1e-4)
    assert linear(x, packed(weight.bfloat16()).float()).shape == (rows, 70)

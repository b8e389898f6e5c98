"""The tree gives what begins alike, shares what is full, and forgets the oldest ends first."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from backbone.prefix import PrefixTree
from backbone.span import BLOCK, blocks_for, common


class Memory:
    """Blocks that remember which tokens were written into them."""

    def __init__(self, blocks: int) -> None:
        self.free = list(range(blocks))
        self.content: dict[int, list[int]] = {}

    @property
    def free_blocks(self) -> int:
        return len(self.free)

    def take_blocks(self, count: int) -> list[int]:
        blocks = [self.free.pop() for _ in range(count)]
        self.content |= {block: [] for block in blocks}
        return blocks

    def give_blocks(self, blocks) -> None:
        self.free += blocks

    def copy_block(self, source: int, target: int) -> None:
        self.content[target] = list(self.content[source])


def held(tree: PrefixTree, lease, ids) -> None:
    """What a lease says is cached must lie in its blocks."""
    found = [t for block in lease.blocks for t in tree._blocks.content[block]]
    assert found[: lease.cached] == ids[: lease.cached]


def used(tree: PrefixTree, ids: list[int], *, limit: int | None = None) -> int:
    """Lease, compute and release a sequence -> how much of it was cached."""
    limit = len(ids) if limit is None else limit
    lease = tree.lease(ids, limit=limit, tokens=len(ids), spare=0)
    held(tree, lease, ids)
    for at, block in enumerate(lease.blocks):
        tree._blocks.content[block] = ids[at * BLOCK : (at + 1) * BLOCK]
    cached = lease.cached
    tree.release(lease, ids, len(ids))
    return cached


# few tokens and long runs of them, so that sequences often begin alike
sequence = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([1, 5, 63, 64, 65])), min_size=1, max_size=5
).map(lambda runs: [token for token, count in runs for _ in range(count)])


@settings(max_examples=60, deadline=None)
@given(st.lists(sequence, min_size=2, max_size=8), st.integers(0, 400))
def test_the_longest_beginning_that_anybody_had_is_found(sequences, limit):
    tree = PrefixTree(Memory(200))
    for number, ids in enumerate(sequences):
        best = max((common(ids, other) for other in sequences[:number]), default=0)
        assert used(tree, ids, limit=min(limit, len(ids))) == min(best, limit)


@settings(max_examples=60, deadline=None)
@given(st.lists(sequence, min_size=2, max_size=12), st.integers(6, 9))
def test_with_little_memory_what_is_found_is_right_and_nothing_is_lost(sequences, blocks):
    memory = Memory(blocks)
    tree = PrefixTree(memory)
    for ids in sequences:
        used(tree, ids[: blocks * BLOCK])
        assert sorted([*memory.free, *(node.block for node in tree)]) == list(range(blocks))
        assert tree.available == blocks


def test_two_that_compute_the_same_at_once_end_with_the_same_blocks():
    memory = Memory(10)
    tree, ids = PrefixTree(memory), list(range(2 * BLOCK + 5))
    one, two = (tree.lease(ids, limit=len(ids), tokens=len(ids), spare=0) for _ in range(2))
    assert memory.free_blocks == 10 - 6
    tree.commit(one, ids, len(ids))
    tree.commit(two, ids, len(ids))
    assert one.blocks[:2] == two.blocks[:2]
    assert one.blocks[2] != two.blocks[2]
    assert memory.free_blocks == 10 - 4
    assert Counter(node.holders for node in tree) == {2: 2}
    tree.release(one, ids, len(ids))
    tree.release(two, ids, len(ids))
    assert memory.free_blocks == 10 - 3


def test_ends_go_before_beginnings_and_the_oldest_first():
    tree = PrefixTree(Memory(6))
    old, new = [1] * (3 * BLOCK), [2] * (3 * BLOCK)
    used(tree, old)
    used(tree, new)
    used(tree, [3] * BLOCK)
    found = [tree.cached(ids) for ids in (old, new)]
    assert found == [2 * BLOCK, 3 * BLOCK]


def test_what_somebody_holds_is_never_taken():
    tree = PrefixTree(Memory(4))
    ids = [1] * (2 * BLOCK)
    used(tree, ids)
    lease = tree.lease([*ids, 7], limit=len(ids), tokens=len(ids) + 1, spare=0)
    assert lease.cached == len(ids)
    assert not tree.grow(lease, 5 * BLOCK)
    assert tree.lease([2] * 70, limit=70, tokens=2 * BLOCK, spare=0) is None
    assert tree.grow(lease, 4 * BLOCK)
    tree.release(lease, [*ids, 7], len(ids) + 1)
    assert tree.available == 4


def test_a_sequence_that_needs_all_memory_gets_it_though_a_copy_would_need_more():
    tree = PrefixTree(Memory(2))
    used(tree, [1] * 100)
    ids = [1] * 90 + [2] * 38
    lease = tree.lease(ids, limit=len(ids), tokens=len(ids), spare=0)
    assert lease is not None
    assert lease.cached == BLOCK
    assert blocks_for(len(ids)) == len(lease.blocks) == 2

"""Which blocks hold which tokens, so that what was computed once is computed once.

A tree of blocks: a node is a block with the tokens in it, its path the sequence before them. Only a
leaf may be part full. Running sequences hold nodes; the others stay until their blocks are needed,
the least recently used first. Knows tokens and block numbers; no tensors, no requests.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from backbone.span import BLOCK, blocks_for, common


class Blocks(Protocol):
    """Where blocks come from: a Cache."""

    @property
    def free_blocks(self) -> int:
        """How many nobody holds."""
        ...

    def take_blocks(self, count: int) -> list[int]:
        """Blocks to fill and give back."""
        ...

    def give_blocks(self, blocks: Sequence[int]) -> None:
        """Take them back."""
        ...

    def copy_block(self, source: int, target: int) -> None:
        """Make one block equal to another."""
        ...


@dataclass(slots=True, eq=False)
class Node:
    """A block in the tree and the tokens in it; `holders` count the sequences that stand on it."""

    key: tuple[int, ...]
    block: int
    parent: Node | None
    children: dict[tuple[int, ...], Node] = field(default_factory=dict)
    holders: int = 0


@dataclass(slots=True, eq=False)
class Lease:
    """The blocks of one sequence, in order: first those of `nodes`, in the tree, then its own.

    The first `cached` tokens were already there.
    """

    nodes: list[Node]
    blocks: list[int]
    cached: int


class Store(Protocol):
    """Where blocks are kept besides: a PrefixStore."""

    def names(self, ids: Sequence[int]) -> list[str]:
        """What the blocks of a prefix are called."""
        ...

    def load(self, name: str, block: int) -> bool:
        """Fill a block with what is kept under a name; False when nothing is."""
        ...

    def save(self, ids: Sequence[int], blocks: Sequence[int]) -> None:
        """Keep the full blocks that hold the first of `ids`."""
        ...


class PrefixTree:
    """Hands out all blocks of a cache, and shares those whose tokens are the same.

    With a `store`, what is kept there comes back when it is wanted.
    """

    def __init__(self, blocks: Blocks, store: Store | None = None) -> None:
        self._blocks = blocks
        self._store = store
        self._root = Node((), -1, None)
        # Nobody holds these. A node always comes after its children, so the first is a leaf.
        self._idle: OrderedDict[Node, None] = OrderedDict()

    @property
    def available(self) -> int:
        """How many blocks can be had: free, or in the tree and held by nobody."""
        return self._blocks.free_blocks + len(self._idle)

    def __iter__(self) -> Iterator[Node]:
        """Every node, parents first."""
        waiting = list(self._root.children.values())
        while waiting:
            node = waiting.pop()
            yield node
            waiting += node.children.values()

    def cached(self, ids: Sequence[int]) -> int:
        """How many of the first tokens are in the tree."""
        nodes, _, shared = self._find(ids, len(ids))
        return len(nodes) * BLOCK + shared

    def lease(self, ids: Sequence[int], *, limit: int, tokens: int, spare: int) -> Lease | None:
        """Blocks for `tokens` tokens; whatever is cached of the first `limit` of `ids` is shared.

        None when that would not leave `spare` more blocks to be had.
        """
        if self._store is not None:
            self._restore(self._store, ids, limit)
        nodes, tail, shared = self._find(ids, limit)
        if tail is not None:
            nodes.append(tail)
        self._hold(nodes)
        lease = None
        if tail is not None:
            nodes.pop()
            lease = self._lease(nodes, tail, shared, tokens, spare)
            self._drop([tail])
        if lease is None:  # to copy a block, it must be held beside the copy: do without
            lease = self._lease(nodes, None, 0, tokens, spare)
        if lease is None:
            self._drop(nodes)
        return lease

    def _lease(
        self, nodes: list[Node], tail: Node | None, shared: int, tokens: int, spare: int
    ) -> Lease | None:
        own = blocks_for(tokens) - len(nodes)
        if self.available < own + spare:
            return None
        fresh = self._take(own)
        if tail is not None:
            self._blocks.copy_block(tail.block, fresh[0])
        blocks = [node.block for node in nodes] + fresh
        return Lease(nodes, blocks, len(nodes) * BLOCK + shared)

    def grow(self, lease: Lease, tokens: int) -> bool:
        """Make a lease long enough for that many tokens; False when there are no more blocks."""
        missing = blocks_for(tokens) - len(lease.blocks)
        if missing > self.available:
            return False
        if missing > 0:
            lease.blocks += self._take(missing)
        return True

    def commit(self, lease: Lease, ids: Sequence[int], computed: int) -> None:
        """The first `computed` of `ids` are in the blocks now: share those that are full.

        Where another sequence was first with the same tokens, its block takes the place of ours.
        """
        for at in range(len(lease.nodes), computed // BLOCK):
            key = tuple(ids[at * BLOCK : (at + 1) * BLOCK])
            parent = lease.nodes[-1] if at else self._root
            node = parent.children.get(key)
            if node is None:
                node = self._insert(parent, key, lease.blocks[at])
            else:
                self._blocks.give_blocks([lease.blocks[at]])
                lease.blocks[at] = node.block
            self._hold([node])
            lease.nodes.append(node)

    def release(self, lease: Lease, ids: Sequence[int], computed: int) -> None:
        """End a lease; what was computed stays for others until its blocks are needed."""
        self.commit(lease, ids, computed)
        held = len(lease.nodes)
        if self._store is not None:
            self._store.save(ids, lease.blocks[:held])
        own = lease.blocks[held:]
        rest = tuple(ids[held * BLOCK : computed])
        parent = lease.nodes[-1] if held else self._root
        if rest and not any(key[: len(rest)] == rest for key in parent.children):
            self._idle[self._insert(parent, rest, own.pop(0))] = None
        self._blocks.give_blocks(own)
        self._drop(lease.nodes)
        lease.nodes, lease.blocks = [], []

    def _restore(self, store: Store, ids: Sequence[int], limit: int) -> None:
        """Fill in blocks of the first `limit` tokens from the store, as far as there is room."""
        nodes, _, _ = self._find(ids, limit)
        self._hold(nodes)
        names = store.names(ids[: limit // BLOCK * BLOCK])
        while len(nodes) < len(names) and self.available:
            block = self._take(1)[0]
            if not store.load(names[len(nodes)], block):
                self._blocks.give_blocks([block])
                break
            at, parent = len(nodes) * BLOCK, nodes[-1] if nodes else self._root
            nodes.append(self._insert(parent, tuple(ids[at : at + BLOCK]), block))
            self._hold(nodes[-1:])
        self._drop(nodes)

    def _find(self, ids: Sequence[int], limit: int) -> tuple[list[Node], Node | None, int]:
        """The full blocks of the first `limit` tokens; who shares most of the rest, how much."""
        node = self._root
        nodes: list[Node] = []
        while (len(nodes) + 1) * BLOCK <= limit:
            at = len(nodes) * BLOCK
            child = node.children.get(tuple(ids[at : at + BLOCK]))
            if child is None:
                break
            nodes.append(child)
            node = child
        at = len(nodes) * BLOCK
        rest = ids[at : min(limit, at + BLOCK)]
        best, most = None, 0
        for key, child in node.children.items():
            if (shared := common(key, rest)) > most:
                best, most = child, shared
        return nodes, best, most

    def _insert(self, parent: Node, key: tuple[int, ...], block: int) -> Node:
        """Add a node, in place of part-full ones that hold the beginning of its tokens."""
        shorter = [k for k in parent.children if len(k) < len(key) and key[: len(k)] == k]
        for k in shorter:
            self._remove(parent.children[k])
        node = parent.children[key] = Node(key, block, parent)
        return node

    def _remove(self, node: Node) -> None:
        """Take an idle leaf out of the tree."""
        assert node.parent is not None
        assert not node.children
        del self._idle[node]
        del node.parent.children[node.key]
        self._blocks.give_blocks([node.block])

    def _take(self, count: int) -> list[int]:
        while self._blocks.free_blocks < count:
            self._remove(next(iter(self._idle)))
        return self._blocks.take_blocks(count)

    def _hold(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            node.holders += 1
            self._idle.pop(node, None)

    def _drop(self, nodes: Sequence[Node]) -> None:
        for node in reversed(nodes):
            node.holders -= 1
            if not node.holders:
                self._idle[node] = None

"""Merkle trees and inclusion proofs as in RFC 6962.

A leaf is hashed as SHA-256(0x00 || leaf), a node as SHA-256(0x01 || left || right). The left subtree of n leaves
holds the largest power of two below n, so no leaf is duplicated. A root and a proof do not determine the number of
leaves: sign the tree size together with the root.
"""

import hashlib
from collections.abc import Sequence

from tribute.errors import ProofError

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256(0x00 || leaf)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class MerkleTree:
    """All nodes over given leaf hashes, level by level. A node without a right neighbour moves up unchanged."""

    def __init__(self, leaf_hashes: Sequence[bytes]) -> None:
        self._levels = [list(leaf_hashes)]
        while len(self._levels[-1]) > 1:
            below = self._levels[-1]
            above = [node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)]
            self._levels.append(above + below[len(above) * 2 :])

    @property
    def root(self) -> bytes:
        """Root hash, 32 bytes. The root of an empty tree is the SHA-256 of no bytes."""
        return self._levels[-1][0] if self._levels[-1] else EMPTY_ROOT

    def inclusion_proof(self, index: int) -> list[bytes]:
        """Sibling hashes on the path from a leaf to the root, the leaf's own sibling first.

        Raises:
            ProofError: the tree has no leaf with this index.
        """
        _check_index(index, len(self._levels[0]))
        hashes = []
        for level in self._levels[:-1]:
            if index ^ 1 < len(level):
                hashes.append(level[index ^ 1])
            index //= 2
        return hashes


def root_from_proof(leaf: bytes, index: int, tree_size: int, hashes: Sequence[bytes]) -> bytes:
    """Root hash of a tree of which one leaf hash and its inclusion proof are known.

    Args:
        leaf: hash of the leaf.
        hashes: sibling hashes as returned by `MerkleTree.inclusion_proof`.

    Raises:
        ProofError: the tree has no leaf with this index, or the proof has too few or too many hashes.
    """
    _check_index(index, tree_size)
    position, width, used = index, tree_size, 0
    node = leaf
    while width > 1:
        if position ^ 1 < width:
            if used == len(hashes):
                raise ProofError(f"The proof has {used} hashes, too few for leaf {index} of {tree_size}")
            sibling, used = hashes[used], used + 1
            node = node_hash(sibling, node) if position % 2 else node_hash(node, sibling)
        position, width = position // 2, (width + 1) // 2
    if used < len(hashes):
        raise ProofError(f"The proof has {len(hashes)} hashes, leaf {index} of {tree_size} needs {used}")
    return node


def _check_index(index: int, tree_size: int) -> None:
    if not 0 <= index < tree_size:
        raise ProofError(f"A tree of {tree_size} leaves has no leaf {index}. Indices count from 0")

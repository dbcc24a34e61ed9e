"""Merkle trees as in RFC 6962, and one proof for a run of neighbouring leaves.

A leaf is hashed as SHA-256(0x00 || leaf), a node as SHA-256(0x01 || left || right); the left subtree of n leaves
has the largest power of two below n, so no leaf is ever doubled. Root and proof alone do not fix the number of
leaves (a hash of the proof may stand for a larger or a smaller subtree): sign the size beside the root.
"""

import hashlib
from collections.abc import Iterator, Sequence

from tribute.errors import ProofError

EMPTY_ROOT = hashlib.sha256(b"").digest()
_MOST_LEAVES = 2**62


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256(0x00 || leaf)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class MerkleTree:
    """All nodes over given leaf hashes, level by level; a node without a right neighbour moves up as it is."""

    def __init__(self, leaf_hashes: Sequence[bytes]) -> None:
        self._levels = [list(leaf_hashes)]
        while len(self._levels[-1]) > 1:
            below = self._levels[-1]
            above = [node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)]
            self._levels.append(above + below[len(above) * 2 :])

    @property
    def root(self) -> bytes:
        """Root hash; of no leaves, SHA-256 of nothing."""
        return self._levels[-1][0] if self._levels[-1] else EMPTY_ROOT

    def range_proof(self, first: int, count: int) -> list[bytes]:
        """Hashes of the maximal subtrees without a leaf of `first ... first + count - 1`, from left to right.

        Raises:
            ProofError: the range is empty or not of this tree.
        """
        _check_range(first, count, len(self._levels[0]))
        left: list[bytes] = []
        right: list[bytes] = []
        start, last = first, first + count - 1
        for level in self._levels[:-1]:
            if start % 2:
                left.append(level[start - 1])
            if last % 2 == 0 and last + 1 < len(level):
                right.append(level[last + 1])
            start, last = start // 2, last // 2
        return left[::-1] + right


def root(leaves: Sequence[bytes]) -> bytes:
    """Root hash of a tree over leaves."""
    return MerkleTree([leaf_hash(leaf) for leaf in leaves]).root


def range_proof(leaves: Sequence[bytes], first: int, count: int) -> list[bytes]:
    """The proof of neighbouring leaves, see `Tree.range_proof`; of one leaf, its inclusion proof.

    Raises:
        ProofError: the range is empty or not of this tree.
    """
    return MerkleTree([leaf_hash(leaf) for leaf in leaves]).range_proof(first, count)


def root_from_range(leaf_hashes: Sequence[bytes], first: int, tree_size: int, hashes: Sequence[bytes]) -> bytes:
    """Root hash of a tree of which only a range of leaf hashes and the proof of that range are known.

    Raises:
        ProofError: the range is empty or not of such a tree, or the proof has too few or too many hashes.
    """
    _check_range(first, len(leaf_hashes), tree_size)
    known, given = iter(leaf_hashes), iter(hashes)
    found = _subtree(0, tree_size, range(first, first + len(leaf_hashes)), known, given)
    if next(given, None) is not None:
        raise ProofError(f"The proof has more than the hashes that {_said(first, leaf_hashes, tree_size)} need")
    return found


def _subtree(start: int, size: int, wanted: range, known: Iterator[bytes], given: Iterator[bytes]) -> bytes:
    if start >= wanted.stop or start + size <= wanted.start:
        found = next(given, None)
        if found is None:
            raise ProofError(f"The proof has no hash for leaves {start} to {start + size - 1}. Get it again")
        return found
    if size == 1:
        return next(known)
    left = 1 << (size - 1).bit_length() - 1
    return node_hash(
        _subtree(start, left, wanted, known, given), _subtree(start + left, size - left, wanted, known, given)
    )


def _check_range(first: int, count: int, tree_size: int) -> None:
    if not (first >= 0 and count >= 1 and first + count <= tree_size <= _MOST_LEAVES):
        raise ProofError(f"{count} leaves from leaf {first} on are no range of a tree of {tree_size} leaves")


def _said(first: int, leaf_hashes: Sequence[bytes], tree_size: int) -> str:
    return f"leaves {first} to {first + len(leaf_hashes) - 1} of {tree_size}"

"""RFC 6962 trees against known answers and a naive oracle."""

import hashlib

import pytest

from tribute.errors import ProofError
from tribute.royalty.proof.merkle import EMPTY_ROOT, MerkleTree, leaf_hash, range_proof, root, root_from_range

LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"
    )
]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Of the first 1 to 8 leaves: the reference data of Certificate Transparency's own implementation."""


def oracle(leaves: list[bytes]) -> bytes:
    """Merkle tree hash as RFC 6962, 2.1 defines it, by recursion over the leaves."""
    if len(leaves) < 2:
        return hashlib.sha256(b"\x00" + leaves[0] if leaves else b"").digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\x01" + oracle(leaves[:half]) + oracle(leaves[half:])).digest()


def test_the_empty_tree_is_the_hash_of_nothing() -> None:
    assert root([]) == EMPTY_ROOT == oracle([])
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_the_known_ones(size: int) -> None:
    assert root(LEAVES[:size]).hex() == oracle(LEAVES[:size]).hex() == ROOTS[size - 1]


def test_inclusion_proofs_are_the_known_ones() -> None:
    """RFC 6962, 2.1.3: the proof of d0 in a tree of seven is [b, h, l], of d6 [i, k], here from left to right."""
    d = [leaf_hash(leaf) for leaf in LEAVES[:7]]
    pair = [oracle(LEAVES[i : i + 2]) for i in (0, 2, 4)]
    assert range_proof(LEAVES[:7], 0, 1) == [d[1], pair[1], oracle(LEAVES[4:7])]
    assert range_proof(LEAVES[:7], 3, 1) == [pair[0], d[2], oracle(LEAVES[4:7])]
    assert range_proof(LEAVES[:7], 6, 1) == [oracle(LEAVES[:4]), pair[2]]
    assert range_proof(LEAVES[:7], 0, 7) == []


def test_every_range_of_every_small_tree_is_proven_by_the_fewest_hashes() -> None:
    for size in range(1, 18):
        hashes = [leaf_hash(bytes([n])) for n in range(size)]
        tree = MerkleTree(hashes)
        for first in range(size):
            for count in range(1, size - first + 1):
                proof = tree.range_proof(first, count)
                known = hashes[first : first + count]
                assert root_from_range(known, first, size, proof) == tree.root
                assert len(proof) == _outside(0, size, first, first + count)
                with pytest.raises(ProofError, match="more than the hashes"):
                    root_from_range(known, first, size, [*proof, hashes[0]])
                if proof:
                    with pytest.raises(ProofError, match="no hash for leaves"):
                        root_from_range(known, first, size, proof[:-1])


def _outside(start: int, end: int, first: int, after: int) -> int:
    """How many maximal subtrees hold no leaf of the range."""
    if end <= first or start >= after:
        return 1
    if end - start == 1:
        return 0
    half = 1
    while half * 2 < end - start:
        half *= 2
    return _outside(start, start + half, first, after) + _outside(start + half, end, first, after)


@pytest.mark.parametrize(("first", "count"), [(0, 0), (-1, 1), (2, 1), (1, 2), (0, 3)])
def test_a_range_outside_of_the_tree_is_refused(first: int, count: int) -> None:
    with pytest.raises(ProofError, match="no range of a tree of 2 leaves"):
        range_proof(LEAVES[:2], first, count)


def test_a_tree_of_absurd_size_is_refused() -> None:
    with pytest.raises(ProofError, match="no range"):
        root_from_range([leaf_hash(b"")], 0, 10**4000, [])

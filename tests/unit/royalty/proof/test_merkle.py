"""RFC 6962 trees against known answers and a recursive oracle."""

import hashlib

import pytest

from tribute.errors import ProofError
from tribute.royalty.proof.merkle import EMPTY_ROOT, MerkleTree, leaf_hash, root_from_proof

LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"
    )
]  # fmt: skip
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
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
"""Roots of the first 1 to 8 leaves, from the reference data of Certificate Transparency."""


def oracle(leaves: list[bytes]) -> bytes:
    """Merkle tree hash by the recursive definition of RFC 6962, section 2.1."""
    if len(leaves) < 2:
        return hashlib.sha256(b"\x00" + leaves[0] if leaves else b"").digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\x01" + oracle(leaves[:half]) + oracle(leaves[half:])).digest()


def test_the_root_of_no_leaves_is_the_hash_of_no_bytes() -> None:
    assert MerkleTree([]).root == EMPTY_ROOT == oracle([])
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_the_known_ones(size: int) -> None:
    assert MerkleTree(HASHES[:size]).root.hex() == oracle(LEAVES[:size]).hex() == ROOTS[size - 1]


def test_inclusion_proofs_are_the_known_ones() -> None:
    """RFC 6962, section 2.1.3, seven leaves: the proof of d0 is [b, h, l], of d3 [c, g, l], of d6 [i, k]."""
    tree = MerkleTree(HASHES[:7])
    g, h, i_j = (oracle(LEAVES[i : i + 2]) for i in (0, 2, 4))
    left, right = oracle(LEAVES[:4]), oracle(LEAVES[4:7])
    assert tree.inclusion_proof(0) == [HASHES[1], h, right]
    assert tree.inclusion_proof(3) == [HASHES[2], g, right]
    assert tree.inclusion_proof(6) == [i_j, left]
    assert MerkleTree(HASHES[:1]).inclusion_proof(0) == []


def test_every_leaf_of_every_small_tree_is_proven_in_its_place_only() -> None:
    for size in range(1, 34):
        hashes = [leaf_hash(bytes([n])) for n in range(size)]
        tree = MerkleTree(hashes)
        for index, leaf in enumerate(hashes):
            proof = tree.inclusion_proof(index)
            assert root_from_proof(leaf, index, size, proof) == tree.root
            with pytest.raises(ProofError, match=f"needs {len(proof)}"):
                root_from_proof(leaf, index, size, [*proof, leaf])
            if proof:
                with pytest.raises(ProofError, match="too few"):
                    root_from_proof(leaf, index, size, proof[:-1])


@pytest.mark.parametrize("index", [-1, 2, 10**30])
def test_an_index_outside_the_tree_is_refused(index: int) -> None:
    for refused in (
        lambda: MerkleTree(HASHES[:2]).inclusion_proof(index),
        lambda: root_from_proof(b"", index, 2, []),
    ):
        with pytest.raises(ProofError, match="A tree of 2 leaves has no leaf"):
            refused()


def test_a_tree_of_absurd_size_is_refused_at_once() -> None:
    with pytest.raises(ProofError, match="too few"):
        root_from_proof(HASHES[0], 0, 10**30, [])

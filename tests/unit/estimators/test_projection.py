"""Random projections against the matrices that they stand for, and their dot products on average."""

import math

import numpy as np
import pytest
import torch

from tribute.errors import ConfigError
from tribute.estimators.projection import ENTRIES, BlockProjection, Projection, check_entries


def matrix(projection: Projection, inputs: int) -> torch.Tensor:
    """The matrix of a projection, [P, k], from what it makes of unit vectors."""
    return projection(torch.eye(inputs))


@pytest.mark.parametrize("entries", ENTRIES)
def test_a_key_is_a_matrix_in_every_precision_and_block_of_vectors(entries: str) -> None:
    values_BP = torch.randn(5, 2500, dtype=torch.float64)
    one = Projection(2500, 7, (3, 1), entries)
    found_Bk = one(values_BP)
    again = Projection(2500, 7, (3, 1), entries)
    torch.testing.assert_close(again(values_BP.float()).double(), found_Bk, rtol=1e-4, atol=1e-4)
    row_by_row = torch.stack([Projection(2500, 7, (3, 1), entries)(row_P) for row_P in values_BP])
    torch.testing.assert_close(row_by_row, found_Bk, rtol=1e-12, atol=1e-12)
    other = Projection(2500, 7, (3, 2), entries)(values_BP)
    assert (other - found_Bk).abs().min() > 0


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("outputs", [7, 3000])
def test_lifting_is_the_transpose(outputs: int) -> None:
    projection = Projection(2500, outputs, (3, 1), "rademacher")
    values_BP, told_Gk = torch.randn(3, 2500), torch.randn(2, projection.outputs)
    torch.testing.assert_close(values_BP @ projection.lifted(told_Gk).T, projection(values_BP) @ told_Gk.T)


@pytest.mark.parametrize("entries", ENTRIES)
def test_rows_that_are_not_cached_are_drawn_again(entries: str) -> None:
    values_BP = torch.randn(2, 3000)
    expected = Projection(3000, 5, (0, 0), entries)(values_BP)
    size = {"rademacher": 1, "gaussian": 4}[entries]
    tight = Projection(3000, 5, (0, 0), entries, cached_bytes=1500 * 5 * size)  # room for half of the rows
    assert torch.equal(tight(values_BP), expected)
    assert torch.equal(tight(values_BP), expected)
    assert [begin for begin, _ in tight._cached] == [0]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("entries", ENTRIES)
def test_dot_products_are_kept_on_average(entries: str) -> None:
    one_P, other_P = torch.randn(2, 20)
    found = torch.stack(
        [(p(one_P) @ p(other_P)) for p in (Projection(20, 16, (s,), entries) for s in range(2000))]
    )
    error = found.std() / math.sqrt(2000)
    assert abs(found.mean() - one_P @ other_P) < 4 * error


def test_signs_are_these_on_every_machine() -> None:
    signs = (matrix(Projection(4, 3, (0, 0), "rademacher"), 4) * math.sqrt(3)).round().int()
    assert set(signs.flatten().tolist()) == {-1, 1}
    bits = np.unpackbits(np.random.PCG64([0, 0, 0]).random_raw(1).astype("<u8").view(np.uint8), count=12)
    assert signs.flatten().tolist() == (2 * bits.astype(int) - 1).tolist()
    assert bits.tolist() == [0, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0]


def test_no_projection_where_it_would_not_shorten() -> None:
    values = torch.randn(3, 4)
    assert torch.equal(Projection(4, 4, (0,), "rademacher")(values), values)
    assert Projection(4, 9, (0,), "gaussian").outputs == 4


@pytest.mark.usefixtures("float64")
def test_matrices_are_projected_from_both_sides() -> None:
    shapes = [(6, 5), (3,), (5, 2, 3), (2, 2)]
    blocks = BlockProjection(shapes, 4, 9, "gaussian")
    values_BP = torch.randn(3, 30 + 3 + 30 + 4)
    found = blocks(values_BP)
    assert blocks.sizes == [16, 3, 16, 4] == [part.shape[1] for part in found]
    first = values_BP[:, :30].view(3, 6, 5)
    left = matrix(Projection(6, 4, (9, 0, 0), "gaussian"), 6)
    right = matrix(Projection(5, 4, (9, 0, 1), "gaussian"), 5)
    expected = torch.stack([left.T @ each @ right for each in first])
    torch.testing.assert_close(found[0].view(3, 4, 4).mT, expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(found[1], values_BP[:, 30:33])
    assert torch.equal(found[3].view(3, 2, 2).mT.flatten(1), values_BP[:, 63:])


def test_unknown_entries_are_told() -> None:
    with pytest.raises(ConfigError, match=r"entries is 'sparse'. Set it to one of rademacher, gaussian"):
        check_entries("sparse")

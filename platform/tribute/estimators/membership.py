"""What estimators keep of groups that see no model: who is in which.

Legend: N training examples, n of a block of them, G groups, R rows.
"""

import torch
from torch import Tensor

from tribute.estimators.estimator import Groups, Kept


def membership(groups: Groups, device: torch.device) -> Kept:
    """The group of every training example, [N], -1 in none; and how many each group has, [G]."""
    group_N = torch.from_numpy(groups.group_N).to(device)
    return {"group_N": group_N, "size_G": torch.bincount(group_N[group_N >= 0], minlength=groups.count)}


def by_group(value_Rn: Tensor, member: Kept, first: int = 0) -> Tensor:
    """Values of consecutive training examples, of which `first` is the first, summed by group, [R, G]."""
    group_n = member["group_N"][first : first + value_Rn.shape[1]]
    inside_n = group_n >= 0
    found_RG = value_Rn.new_zeros(len(value_Rn), len(member["size_G"]))
    return found_RG.index_add_(1, group_n[inside_n], value_Rn[:, inside_n])

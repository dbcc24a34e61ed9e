"""The bank of retrained values: what is written is read again, and what was changed is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.banks import linear_bank
from tribute.errors import ConfigError, DamagedFile, TributeError
from tribute.evaluation.bank import SUMS, RetrainBank, settings_in


def test_a_bank_is_read_as_it_was_written(tmp_path: Path) -> None:
    bank, _ = linear_bank()
    bank.write(tmp_path)
    found = RetrainBank.read(tmp_path, "linear")
    assert found.settings == bank.settings
    for name in ("kept_MN", "kind_M", "seed_M", "measured_MQ", "base_BQ", "base_seed_B"):
        one, other = getattr(found, name), getattr(bank, name)
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


def test_equal_banks_are_equal_bytes_and_settings_share_a_folder(tmp_path: Path) -> None:
    bank, _ = linear_bank()
    bank.write(tmp_path / "one")
    for name in ("other", "linear", "linear"):
        replace(bank, settings=bank.settings.model_copy(update={"name": name})).write(tmp_path / "two")
    for file in ("linear.npz", "linear.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    assert settings_in(tmp_path / "two") == ["linear", "other"]
    assert len((tmp_path / "two" / SUMS).read_text().splitlines()) == 4


@pytest.mark.parametrize("file", ["linear.npz", "linear.json"])
def test_a_changed_or_unlisted_file_is_refused_by_name(tmp_path: Path, file: str) -> None:
    linear_bank()[0].write(tmp_path)
    path = tmp_path / file
    content = path.read_bytes()
    path.write_bytes(content[:-2] + b"x" + content[-1:])
    with pytest.raises(DamagedFile, match=rf"{file} has SHA-256 \w+, SHA256SUMS says \w+. .* from the repository"):
        RetrainBank.read(tmp_path, "linear")
    path.write_bytes(content)
    listed = (tmp_path / SUMS).read_text().splitlines(keepends=True)
    (tmp_path / SUMS).write_text("".join(line for line in listed if file not in line))
    with pytest.raises(DamagedFile, match=f"{file} .*SHA256SUMS says nothing"):
        RetrainBank.read(tmp_path, "linear")


def test_an_unknown_setting_or_folder_says_what_there_is(tmp_path: Path) -> None:
    linear_bank()[0].write(tmp_path)
    with pytest.raises(ConfigError, match=r"no setting 'logistic'\. There are: linear"):
        RetrainBank.read(tmp_path, "logistic")
    with pytest.raises(ConfigError, match="holds no bank: it has no file SHA256SUMS"):
        RetrainBank.read(tmp_path / "absent", "linear")


def test_arrays_that_contradict_each_other_are_refused() -> None:
    bank, _ = linear_bank()
    kept_MN, kind_M, measured_MQ = bank.kept_MN.copy(), bank.kind_M.copy(), bank.measured_MQ.copy()
    kept_MN[bank.chosen("deleted")] = bank.kept_MN[bank.chosen("half")][0]
    kind_M[0], measured_MQ[3, 2] = "quarter", np.nan
    wrong = {
        r"measured is \(\d+, 8\), expected \(\d+, 9\)": {"measured_MQ": bank.measured_MQ[:, :-1]},
        "kind 'quarter' is none of half, percent, leave_one_out, deleted": {"kind_M": kind_M},
        "left out more than one example": {"kept_MN": kept_MN},
        "left out nothing or everything": {"kept_MN": np.ones_like(bank.kept_MN)},
        "base has no training of seed 0": {"base_BQ": bank.base_BQ[1:], "base_seed_B": bank.base_seed_B[1:]},
        "a measurement is not finite": {"measured_MQ": measured_MQ},
    }
    for message, changed in wrong.items():
        with pytest.raises(TributeError, match=rf"setting linear: .*{message}.*Make it anew: make bench"):
            replace(bank, **changed)

"""Hostile files are refused at once, run nothing, and leave nothing."""

import json
import shutil

import h5py
import make_hostile
import numpy as np
import pytest
import torch
from conftest import FIXTURES

FOLDER = FIXTURES / "hostile"
RULES = json.loads((FOLDER / "index.json").read_text())
SECONDS, MEGABYTES = 1.0, 200


def attempt(ckpt, folder, *arguments):
    """Runs the command in an empty folder, and holds it to its limits."""
    result = ckpt.measured(*arguments, cwd=folder)
    assert not (folder / "EXECUTED").exists(), f"the payload ran: {result}"
    assert result.cpu_seconds < SECONDS, f"took {result.cpu_seconds:.2f} s: {result}"
    assert result.peak_mb < MEGABYTES, f"took {result.peak_mb:.0f} MB: {result}"
    return result


@pytest.fixture
def folder(tmp_path):
    inner = tmp_path / "work"
    inner.mkdir()
    return inner


@pytest.mark.parametrize("file", RULES)
def test_conversion_is_refused(ckpt, folder, file):
    out = "out.pt" if file.endswith(".h5") else "out.h5"
    result = attempt(ckpt, folder, "convert", FOLDER / file, out)
    assert result.code == 65, f"{RULES[file]}: {result}"
    assert result.err.startswith("ckpt: error: ") and file in result.err, result
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", ["inspect", "verify"])
@pytest.mark.parametrize("file", RULES)
def test_looking_is_harmless(ckpt, folder, command, file):
    result = attempt(ckpt, folder, command, FOLDER / file)
    allowed = (0, 65) if command == "inspect" else (1, 65)
    assert result.code in allowed, f"{RULES[file]}: {result}"
    assert list(folder.iterdir()) == []


def test_the_same_pickle_without_malice_is_taken(ckpt, folder):
    """So the others are refused for the rule they break, and not for how they are made."""
    good = make_hostile.checkpoint(make_hostile.program(make_hostile.mapping(weight=make_hostile.tensor())))
    (folder / "good.pt").write_bytes(good)
    assert torch.load(folder / "good.pt")["weight"].tolist() == [1, 2, 3, 4]
    ckpt.succeed("convert", folder / "good.pt", folder / "good.h5")
    ckpt.succeed("verify", folder / "good.pt", folder / "good.h5")


@pytest.fixture(scope="module")
def our_file(ckpt, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ours")
    torch.save({"good": torch.arange(4.0)}, folder / "good.pt")
    ckpt.succeed("convert", folder / "good.pt", folder / "good.h5")
    return folder / "good.h5"


@pytest.mark.parametrize("evil", sorted(set(make_hostile.HDF5_EVILS) - {"hdf5_userblock.h5"}))
def test_evil_in_a_file_of_ours_is_refused(ckpt, our_file, folder, tmp_path, evil):
    spoiled = tmp_path / "spoiled.h5"
    shutil.copy(our_file, spoiled)
    with h5py.File(spoiled, "r+") as file:
        make_hostile.HDF5_EVILS[evil](file)
    result = attempt(ckpt, folder, "convert", spoiled, "out.pt")
    assert result.code == 65, f"{RULES[evil]}: {result}"
    assert list(folder.iterdir()) == []


def test_overlapping_tensors_are_refused(ckpt, our_file, folder, tmp_path):
    """Two datasets over the same bytes, without being links to one object."""
    spoiled = tmp_path / "spoiled.h5"
    shutil.copy(our_file, spoiled)
    with h5py.File(spoiled, "r+") as file:
        first = file["model/good"].id.get_offset()
        other = make_hostile.add_tensor(file["model"], "evil", data=np.arange(4, dtype="<f4"))
        second = other.id.get_offset()
    data = spoiled.read_bytes()
    address = second.to_bytes(8, "little")
    assert data.count(address) == 1
    spoiled.write_bytes(data.replace(address, first.to_bytes(8, "little")))
    assert attempt(ckpt, folder, "convert", spoiled, "out.pt").code == 65

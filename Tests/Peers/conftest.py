"""The command under test, and each fixture's journey .pt -> .h5 -> .pt, made once per session."""

import os
import pathlib
import shutil
import sys
import warnings
from dataclasses import dataclass

import pytest
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "fixtures"
sys.path.insert(0, str(FIXTURES))

from command import Command  # noqa: E402

warnings.filterwarnings("ignore", category=UserWarning, module="torch")
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def ckpt():
    path = (ROOT / os.environ.get("CKPT", ".build/release/ckpt")).resolve()
    assert path.is_file(), f"no binary at {path}; run `make build`, or set CKPT to its path"
    return Command(path)


@pytest.fixture(scope="session")
def hdf5_tool():
    """Runs h5ls, h5dump and their like."""

    def run(name, *arguments):
        assert shutil.which(name), f"{name} is missing; install hdf5-tools"
        return Command(name).succeed(*arguments).out

    return run


@dataclass
class Journey:
    pt: pathlib.Path
    h5: pathlib.Path
    back: pathlib.Path
    warnings: str


@pytest.fixture(scope="session")
def journey(ckpt, tmp_path_factory):
    """journey(fixture name): the fixture, its HDF5 file, and the .pt made from that."""
    folder = tmp_path_factory.mktemp("journeys")
    made = {}

    def travel(name):
        if name not in made:
            source = FIXTURES / "torch" / name
            h5, back = folder / f"{source.stem}.h5", folder / f"{source.stem}.pt"
            there = ckpt.succeed("convert", source, h5)
            return_ = ckpt.succeed("convert", h5, back)
            made[name] = Journey(source, h5, back, there.err + return_.err)
        return made[name]

    return travel

"""What other programs do to our files: repacked, copied or edited ones stay readable, in the right order."""

import subprocess

import h5py
import pytest


@pytest.fixture
def original(journey):
    return journey("transformer_adamw.pt").h5


def h5repack(*arguments):
    subprocess.run(["h5repack", *map(str, arguments)], check=True, capture_output=True)


@pytest.mark.parametrize("filters", [[], ["-f", "GZIP=6"], ["-f", "SHUF", "-f", "GZIP=1"]])
def test_repacked_file_holds_the_same(ckpt, original, tmp_path, filters):
    """h5repack moves everything, loses creation order, and compresses: the tree is the same, in the same order."""
    repacked = tmp_path / "repacked.h5"
    h5repack(*filters, original, repacked)
    ckpt.succeed("diff", original, repacked)
    assert "manifest" in ckpt.succeed("inspect", repacked).out
    problems = ckpt.json("verify", repacked, code=1)["files"][0]["problems"]
    assert [problem["where"] for problem in problems] == ["/manifest"]


def test_converting_a_repacked_file_renews_its_manifest(ckpt, original, tmp_path):
    h5repack("-f", "GZIP=6", original, tmp_path / "repacked.h5")
    ckpt.succeed("convert", tmp_path / "repacked.h5", tmp_path / "renewed.h5")
    ckpt.succeed("verify", tmp_path / "renewed.h5")
    ckpt.succeed("diff", original, tmp_path / "renewed.h5")


def test_file_copied_object_by_object_holds_the_same(ckpt, original, tmp_path):
    with h5py.File(original) as source, h5py.File(tmp_path / "copy.h5", "w") as copy:
        copy.attrs.update(source.attrs)
        for name in source:
            source.copy(name, copy)
    ckpt.succeed("diff", original, tmp_path / "copy.h5")

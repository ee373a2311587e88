"""`ckpt convert --salvage`: what is intact of a damaged file, in a file that torch reads."""

import pytest
import torch
from checkpoints import load_safely
from conftest import FIXTURES

WHOLE = FIXTURES / "torch/transformer_adamw.pt"


@pytest.mark.parametrize("share", [0.4, 0.9])
def test_torch_reads_what_was_saved(ckpt, tmp_path, share):
    data = WHOLE.read_bytes()
    (tmp_path / "cut.pt").write_bytes(data[: int(len(data) * share)])
    ckpt.expect(65, "convert", tmp_path / "cut.pt", tmp_path / "x.pt")
    result = ckpt.expect(1, "convert", tmp_path / "cut.pt", tmp_path / "rest.pt", "--salvage", "--json")
    lost = set(result.json()["lost"])
    whole, rest = load_safely(WHOLE), load_safely(tmp_path / "rest.pt")
    kept = [name for name in whole["model"] if f"model.{name}" not in lost]
    assert list(rest["model"]) == kept and kept
    for name in kept:
        assert torch.equal(rest["model"][name], whole["model"][name])
    for key, slots in whole["optimizer"]["state"].items():
        names = [slot for slot in slots if f"optimizer.state.{key}.{slot}" not in lost]
        assert list(rest["optimizer"]["state"][key]) == names
    assert lost and all(path in result.err for path in lost)


def test_a_sound_file_comes_through_whole(ckpt, tmp_path):
    result = ckpt.succeed("convert", WHOLE, tmp_path / "x.h5", "--salvage")
    assert "lost" not in result.out + result.err
    ckpt.succeed("diff", WHOLE, tmp_path / "x.h5")


def test_damage_in_an_h5_costs_one_tensor(ckpt, tmp_path):
    ckpt.succeed("convert", WHOLE, tmp_path / "x.h5")
    listing = {t["path"]: t for t in ckpt.json("inspect", tmp_path / "x.h5")["tensors"]}
    name = "model.transformer.h.1.mlp.c_fc.weight"
    data = bytearray((tmp_path / "x.h5").read_bytes())
    whole = load_safely(WHOLE)["model"][name.removeprefix("model.")].numpy().tobytes()
    data[data.index(whole) + 100] ^= 1
    (tmp_path / "x.h5").write_bytes(data)
    result = ckpt.expect(1, "convert", tmp_path / "x.h5", tmp_path / "rest.h5", "--salvage", "--json")
    assert result.json()["lost"] == [name] and name in listing
    ckpt.succeed("verify", tmp_path / "rest.h5")

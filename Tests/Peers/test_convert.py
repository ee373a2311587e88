"""The options of `convert`."""

from collections import OrderedDict

import h5py
import pytest
import torch
from checkpoints import FOLDER, load_safely
from equality import assert_same


@pytest.fixture
def converted(ckpt, tmp_path):
    """converted(source, options...): what torch loads after a conversion to .pt."""

    def convert(source, *options):
        if not hasattr(source, "exists"):
            torch.save(source, tmp_path / "source.pt")
            source = tmp_path / "source.pt"
        ckpt.succeed("convert", source, tmp_path / "out.pt", *options, "--overwrite")
        return load_safely(tmp_path / "out.pt")

    return convert


@pytest.fixture
def weights():
    torch.manual_seed(0)
    return OrderedDict((name, torch.randn(3, 2)) for name in ("conv.weight", "conv.bias", "fc.weight", "fc.bias"))


def chosen(weights, *names):
    return {name: weights[name] for name in names}


def test_include(converted, weights):
    assert_same(chosen(weights, "conv.weight", "fc.weight"), dict(converted(weights, "--include", "*.weight")))


def test_include_twice(converted, weights):
    got = converted(weights, "--include", "conv.weight", "--include", "fc.*")
    assert_same(chosen(weights, "conv.weight", "fc.weight", "fc.bias"), dict(got))


def test_exclude(converted, weights):
    assert_same(chosen(weights, "conv.weight", "fc.weight"), dict(converted(weights, "--exclude", "*.bias")))


def test_include_and_exclude(converted, weights):
    assert_same(chosen(weights, "fc.weight"), dict(converted(weights, "--include", "fc.*", "--exclude", "*.bias")))


def test_rename(converted, weights):
    got = converted(weights, "--rename", "^conv=features.0")
    assert list(got) == ["features.0.weight", "features.0.bias", "fc.weight", "fc.bias"]
    assert_same(weights["conv.weight"], got["features.0.weight"])


def test_rename_clash_is_refused(ckpt, weights, tmp_path):
    torch.save(weights, tmp_path / "a.pt")
    result = ckpt.run("convert", tmp_path / "a.pt", tmp_path / "b.pt", "--rename", "^conv=fc")
    assert result.code in (64, 65), result
    assert not (tmp_path / "b.pt").exists()


def test_strip_prefix(converted, weights):
    wrapped = OrderedDict((f"module.{name}", tensor) for name, tensor in weights.items())
    assert_same(dict(weights), dict(converted(wrapped, "--strip-prefix", "module.")))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_dtype(converted, dtype):
    source = load_safely(FOLDER / "state_dict.pt")
    got = converted(FOLDER / "state_dict.pt", "--dtype", dtype)
    for name, tensor in source.items():
        expected = tensor.to(getattr(torch, dtype)) if tensor.is_floating_point() else tensor
        assert_same(expected, got[name])


def test_dtype_of_some(converted, weights):
    got = converted(weights, "--dtype", "conv.*=bfloat16")
    assert {name: str(tensor.dtype) for name, tensor in got.items()} == {
        "conv.weight": "torch.bfloat16", "conv.bias": "torch.bfloat16", "fc.weight": "torch.float32", "fc.bias": "torch.float32",
    }  # fmt: skip


def test_dtype_rounds_as_torch_does(converted):
    patterns = torch.arange(0, 2**32, 104_729, dtype=torch.int64).to(torch.uint32).view(torch.float32)
    finite = patterns[patterns.isfinite()]
    for dtype in (torch.bfloat16, torch.float16):
        got = converted({"x": finite.clone()}, "--dtype", str(dtype).removeprefix("torch."))
        assert_same({"x": finite.to(dtype)}, got)


def test_model_only(converted):
    source = load_safely(FOLDER / "transformer_adamw.pt")
    got = converted(FOLDER / "transformer_adamw.pt", "--model-only")
    model = got.get("model", got)
    assert_same(source["model"], model)
    assert "optimizer" not in got and "rng" not in got


def test_key(converted):
    source = load_safely(FOLDER / "lightning.pt")
    assert_same(source["state_dict"], converted(FOLDER / "lightning.pt", "--key", "state_dict"))
    assert_same(source["optimizer_states"][0], converted(FOLDER / "lightning.pt", "--key", "optimizer_states.0"))


def test_key_that_is_not_there(ckpt, tmp_path):
    result = ckpt.run("convert", FOLDER / "lightning.pt", tmp_path / "a.pt", "--key", "nonsense")
    assert result.code in (64, 65), result
    assert "nonsense" in result.err


def test_optimizer_keys_as_names(converted):
    source = load_safely(FOLDER / "transformer_adamw.pt")
    optimizer = converted(FOLDER / "transformer_adamw.pt", "--optimizer-keys", "names")["optimizer"]
    members = [name for group in optimizer["param_groups"] for name in group["params"]]
    assert set(members) == set(source["model"]) - {"lm_head.weight"}
    assert list(optimizer["state"]) == members
    assert_same(source["optimizer"]["state"][0], optimizer["state"]["transformer.wte.weight"])


def test_optimizer_keys_as_ids(converted):
    source = load_safely(FOLDER / "optimizer_fsdp_names.pt")
    optimizer = converted(FOLDER / "optimizer_fsdp_names.pt", "--optimizer-keys", "ids")["optimizer"]
    assert list(optimizer["state"]) == [0, 1, 2, 3]
    assert optimizer["param_groups"][0]["params"] == [0, 1, 2, 3]
    assert_same(list(source["optimizer"]["state"].values()), list(optimizer["state"].values()))


def test_optimizer_keys_there_and_back(ckpt, tmp_path):
    """Through names and back to ids, the checkpoint is what it was, and the names stay, where torch keeps them."""
    source = load_safely(FOLDER / "transformer_adamw.pt")
    ckpt.succeed("convert", FOLDER / "transformer_adamw.pt", tmp_path / "names.pt", "--optimizer-keys", "names")
    ckpt.succeed("convert", tmp_path / "names.pt", tmp_path / "ids.pt", "--optimizer-keys", "ids")
    back = load_safely(tmp_path / "ids.pt")
    names = [name for group in back["optimizer"]["param_groups"] for name in group.pop("param_names")]
    assert set(names) == set(source["model"]) - {"lm_head.weight"}
    assert_same(source, back)


@pytest.mark.parametrize("algorithm, digits", [("xxh3", 32), ("sha256", 64)])
def test_digest(ckpt, tmp_path, algorithm, digits):
    ckpt.succeed("convert", FOLDER / "state_dict.pt", tmp_path / "a.h5", "--digest", algorithm)
    name, value = ckpt.json("inspect", tmp_path / "a.h5")["content_digest"].split(":")
    assert name == {"xxh3": "xxh3-128", "sha256": "sha256"}[algorithm] and len(value) == digits
    with h5py.File(tmp_path / "a.h5", "r") as file:
        assert file.attrs["content_digest"].decode() == f"{name}:{value}"
    ckpt.succeed("verify", tmp_path / "a.h5")


def test_joined_inputs(ckpt, tmp_path, weights):
    torch.save({"model": weights}, tmp_path / "a.pt")
    torch.save({"step": 5}, tmp_path / "b.pt")
    ckpt.succeed("convert", tmp_path / "a.pt", tmp_path / "b.pt", tmp_path / "c.pt")
    assert_same({"model": weights, "step": 5}, load_safely(tmp_path / "c.pt"))


def test_joined_inputs_that_clash(ckpt, tmp_path, weights):
    for name in ("a.pt", "b.pt"):
        torch.save({"model": weights, name: 1}, tmp_path / name)
    result = ckpt.run("convert", tmp_path / "a.pt", tmp_path / "b.pt", tmp_path / "c.pt")
    assert result.code in (64, 65), result
    assert "model" in result.err
    assert not (tmp_path / "c.pt").exists()


def test_forced_kinds(ckpt, tmp_path):
    ckpt.succeed("convert", FOLDER / "state_dict.pt", tmp_path / "a.data", "--from", "pt", "--to", "ckpt")
    ckpt.succeed("convert", tmp_path / "a.data", tmp_path / "b.data", "--to", "pt")
    assert_same(load_safely(FOLDER / "state_dict.pt"), load_safely(tmp_path / "b.data"))


def test_unverified_source(ckpt, tmp_path):
    """A wrong CRC stops a conversion unless it is told not to look."""
    weight = load_safely(FOLDER / "state_dict.pt")["conv2.weight"].numpy().tobytes()
    data = bytearray((FOLDER / "state_dict.pt").read_bytes())
    data[data.index(weight)] ^= 1
    (tmp_path / "flipped.pt").write_bytes(data)
    ckpt.expect(65, "convert", tmp_path / "flipped.pt", tmp_path / "a.h5")
    ckpt.succeed("convert", tmp_path / "flipped.pt", tmp_path / "a.h5", "--no-verify-source")

"""safetensors: what the library writes comes back byte for byte, and it opens what `ckpt` writes."""

import json

import numpy as np
import pytest
import torch
from checkpoints import FOLDER, load_safely
from equality import assert_same
from safetensors import safe_open
from safetensors.torch import load_file, load_model, save_file, save_model

TRAINING = FOLDER / "transformer_adamw.pt"
TYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz,
    torch.float8_e5m2fnuz, torch.float8_e8m0fnu, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint64, torch.uint32,
    torch.uint16, torch.uint8, torch.bool, torch.complex64,
]  # fmt: skip


def sample(dtype, shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    size = torch.tensor([], dtype=dtype).element_size() * int(np.prod(shape))
    return torch.randint(0, 2 if dtype == torch.bool else 256, (size,), dtype=torch.uint8, generator=generator).view(dtype).reshape(shape)


def bits(tensor):
    tensor = tensor.contiguous()
    return tensor.reshape(1).view(torch.uint8) if tensor.dim() == 0 else tensor.view(torch.uint8)


def assert_same_tensors(expected, got):
    assert list(expected) == list(got) or sorted(expected) == sorted(got)
    for name, tensor in expected.items():
        assert (tensor.dtype, tensor.shape) == (got[name].dtype, got[name].shape), name
        assert torch.equal(bits(tensor), bits(got[name])), name


@pytest.mark.parametrize("seed", range(8))
def test_what_the_library_writes_comes_back_byte_for_byte(ckpt, tmp_path, seed):
    generator = np.random.default_rng(seed)
    tensors = {}
    for number in range(generator.integers(0, 40)):
        shape = tuple(int(size) for size in generator.integers(0, 5, generator.integers(0, 4)))
        dtype = TYPES[generator.integers(len(TYPES))]
        tensors[f"{'Äa.ü'[number % 4]}.{number}\n"] = sample(dtype, shape, number)
    metadata = [None, {"format": "pt"}, {"note": 'q"\\\x01\x7f'}][seed % 3]
    save_file(tensors, tmp_path / "a.safetensors", metadata=metadata)
    ckpt.succeed("convert", tmp_path / "a.safetensors", tmp_path / "a.h5")
    ckpt.succeed("convert", tmp_path / "a.h5", tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_weights_of_a_pt_are_the_librarys_file(ckpt, tmp_path):
    tensors = {str(dtype): sample(dtype, (2, 3)) for dtype in TYPES}
    torch.save(tensors, tmp_path / "a.pt")
    save_file(tensors, tmp_path / "a.safetensors", metadata={"format": "pt"})
    ckpt.succeed("convert", tmp_path / "a.pt", tmp_path / "b.safetensors", "--model-only")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_a_training_checkpoint_is_whole_and_the_library_reads_its_tensors(ckpt, tmp_path):
    ckpt.succeed("convert", TRAINING, tmp_path / "a.safetensors")
    source = load_safely(TRAINING)
    got = load_file(tmp_path / "a.safetensors")
    weights = source["model"]
    shared = {"lm_head.weight", "transformer.wte.weight"}
    assert_same_tensors({n: t for n, t in weights.items() if n not in shared}, {n: got[n] for n in weights if n not in shared})
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        metadata = file.metadata()
    assert metadata["format"] == "pt"
    assert metadata["transformer.wte.weight"] == "lm_head.weight"  # as save_model names them
    assert torch.equal(got["lm_head.weight"], weights["transformer.wte.weight"])
    rest = json.loads(metadata["ckpt.training"])
    assert rest["version"] == 1
    assert rest["content_digest"] == ckpt.json("inspect", tmp_path / "a.safetensors")["content_digest"]
    moments = [name for name in got if name.startswith("optimizer.exp_avg.")]
    assert len(moments) == len(source["optimizer"]["state"])
    first = source["optimizer"]["state"][0]["exp_avg"]
    assert any(torch.equal(first, got[name]) for name in moments)
    # And back: the same tree as PyTorch had.
    ckpt.succeed("convert", tmp_path / "a.safetensors", tmp_path / "b.pt")
    assert_same(source, load_safely(tmp_path / "b.pt"))
    assert ckpt.json("diff", TRAINING, tmp_path / "a.safetensors")["equal"]


class Tied(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.wte = torch.nn.Embedding(5, 4)
        self.fc = torch.nn.Linear(4, 4)
        self.lm_head = torch.nn.Linear(4, 5, bias=False)
        self.lm_head.weight = self.wte.weight


def test_ties_are_hints_both_ways(ckpt, tmp_path):
    model = Tied()
    save_model(model, str(tmp_path / "a.safetensors"))
    ckpt.succeed("convert", tmp_path / "a.safetensors", tmp_path / "a.pt")
    loaded = load_safely(tmp_path / "a.pt")
    assert loaded["wte.weight"].data_ptr() == loaded["lm_head.weight"].data_ptr()
    torch.save(model.state_dict(), tmp_path / "b.pt")
    ckpt.succeed("convert", tmp_path / "b.pt", tmp_path / "b.safetensors")
    other = Tied()
    assert load_model(other, str(tmp_path / "b.safetensors")) == (set(), [])
    assert_same_tensors(model.state_dict(), other.state_dict())


@pytest.mark.parametrize("out", ["set", "set.safetensors", "set.safetensors.index.json"])
def test_sets_are_what_the_hub_writes(ckpt, tmp_path, out):
    weights = {f"block.{number}.weight": torch.rand(16, 16) for number in range(9)}
    weights["block.0.weight"] = torch.rand(64, 64)
    torch.save(weights, tmp_path / "a.pt")
    ckpt.succeed("convert", tmp_path / "a.pt", tmp_path / out, "--to", "safetensors", "--max-shard-size", "4KB")
    folder, stem = (tmp_path / "set", "model") if out == "set" else (tmp_path, "set")
    index = json.loads((folder / f"{stem}.safetensors.index.json").read_text())
    files = sorted(set(index["weight_map"].values()))
    assert files == [f"{stem}-{number:05}-of-{len(files):05}.safetensors" for number in range(1, len(files) + 1)]
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in weights.values())
    got = {}
    for file in files:
        part = load_file(folder / file)
        assert sorted(part) == sorted(name for name, owner in index["weight_map"].items() if owner == file)
        assert len(part) == 1 or sum(tensor.nbytes for tensor in part.values()) <= 4000
        got |= part
    assert_same_tensors(weights, got)
    where = folder if out == "set" else folder / "set.safetensors.index.json"
    ckpt.succeed("convert", where, tmp_path / "back.pt")
    assert_same(weights, load_safely(tmp_path / "back.pt"))


@pytest.mark.parametrize("size", ["0", "-1", "five", "5QB", "", "nan", "1e300GB"])
def test_a_size_that_is_none_is_refused(ckpt, tmp_path, size):
    result = ckpt.expect(64, "convert", TRAINING, tmp_path / "a", "--to", "safetensors", f"--max-shard-size={size}")
    assert "max-shard-size" in result.err


def test_only_safetensors_are_split_by_size(ckpt, tmp_path):
    ckpt.expect(64, "convert", TRAINING, tmp_path / "a.pt", "--max-shard-size", "5GB")
    assert not (tmp_path / "a.pt").exists()


def test_casts_and_names_act_on_every_format(ckpt, tmp_path):
    ckpt.succeed(
        "convert", TRAINING, tmp_path / "a.safetensors", "--dtype", "bfloat16", "--rename", r"^transformer\.=t.", "--include", "*wpe*",
    )  # fmt: skip
    got, source = load_file(tmp_path / "a.safetensors"), load_safely(TRAINING)
    names = list(source["model"])
    position = [name for name in names if "wpe" in name]
    assert sorted(got) == sorted(
        ["t.wpe.weight", "optimizer.exp_avg.t.wpe.weight", "optimizer.exp_avg_sq.t.wpe.weight", "optimizer.step.t.wpe.weight"]
    )
    assert torch.equal(got["t.wpe.weight"], source["model"][position[0]].bfloat16())
    assert got["optimizer.exp_avg.t.wpe.weight"].dtype == torch.float32


def test_a_flipped_bit_stops_a_conversion(ckpt, tmp_path):
    ckpt.succeed("convert", TRAINING, tmp_path / "a.safetensors")
    data = bytearray((tmp_path / "a.safetensors").read_bytes())
    data[-3] ^= 4
    (tmp_path / "a.safetensors").write_bytes(data)
    assert ckpt.json("verify", tmp_path / "a.safetensors", code=1)["ok"] is False
    result = ckpt.expect(65, "convert", tmp_path / "a.safetensors", tmp_path / "a.pt")
    assert "content digest" in result.err
    assert not (tmp_path / "a.pt").exists()
    ckpt.succeed("convert", tmp_path / "a.safetensors", tmp_path / "a.pt", "--no-verify-source")

"""NumPy: what it writes comes back, and it opens what `ckpt` writes."""

import io
import json
import zipfile

import ml_dtypes
import numpy as np
import pytest
import torch
from checkpoints import FOLDER, load_safely
from equality import assert_same

TRAINING = FOLDER / "transformer_adamw.pt"
CODES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "c8", "c16"]


def sample(generator, dtype, shape):
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return generator.integers(0, 2, shape).astype(dtype)
    # Through a scalar of one dimension, which alone can be reinterpreted.
    size = int(np.prod(shape)) * dtype.itemsize
    return np.frombuffer(generator.bytes(size), dtype).reshape(shape)


def random_arrays(seed):
    generator = np.random.default_rng(seed)
    arrays = {}
    for number in range(generator.integers(1, 30)):
        shape = tuple(int(size) for size in generator.integers(0, 5, generator.integers(0, 4)))
        array = sample(generator, CODES[generator.integers(len(CODES))], shape)
        if generator.integers(2):
            array = np.asfortranarray(array)
        if generator.integers(3) == 0:
            array = array.astype(array.dtype.newbyteorder(">"))
        arrays[f"{'Äa.ü/'[number % 5]}.{number}\n"] = array
    return arrays


def assert_same_arrays(expected, got):
    assert list(expected) == list(got)
    for name, array in expected.items():
        assert (array.dtype.newbyteorder("<"), array.shape) == (got[name].dtype, got[name].shape), name
        little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"))
        assert little.tobytes() == got[name].tobytes(), name


@pytest.mark.parametrize("seed", range(8))
def test_archives_come_back(ckpt, tmp_path, seed):
    arrays = random_arrays(seed)
    save = np.savez_compressed if seed % 2 else np.savez
    save(tmp_path / "a.npz", **arrays)
    ckpt.succeed("convert", tmp_path / "a.npz", tmp_path / "a.h5")
    ckpt.succeed("convert", tmp_path / "a.h5", tmp_path / "b.npz")
    with np.load(tmp_path / "b.npz") as got:
        assert_same_arrays(arrays, dict(got))
    assert ckpt.json("diff", tmp_path / "a.npz", tmp_path / "b.npz")["equal"]


@pytest.mark.parametrize("seed", range(4))
def test_one_array_is_numpys_file(ckpt, tmp_path, seed):
    generator = np.random.default_rng(seed)
    array = sample(generator, CODES[seed * 3], (2, 3, 4)[: seed + 1])
    np.save(tmp_path / "a.npy", array)
    ckpt.succeed("convert", tmp_path / "a.npy", tmp_path / "a.h5")
    ckpt.succeed("convert", tmp_path / "a.h5", tmp_path / "b.npy")
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_versions(ckpt, tmp_path, version):
    with open(tmp_path / "a.npy", "wb") as file:
        np.lib.format.write_array(file, np.arange(6.0).reshape(2, 3), version)
    ckpt.succeed("convert", tmp_path / "a.npy", tmp_path / "a.pt")
    assert torch.equal(load_safely(tmp_path / "a.pt"), torch.arange(6.0, dtype=torch.float64).reshape(2, 3))


def test_a_training_checkpoint_is_whole_and_numpy_reads_its_tensors(ckpt, tmp_path):
    ckpt.succeed("convert", TRAINING, tmp_path / "a.npz")
    source = load_safely(TRAINING)
    with np.load(tmp_path / "a.npz") as got:
        for name, tensor in source["model"].items():
            assert np.array_equal(got[name], tensor.numpy()), name
        first = source["optimizer"]["state"][0]["exp_avg"].numpy()
        assert any(name.startswith("optimizer.exp_avg.") and np.array_equal(first, got[name]) for name in got)
        rest = json.loads(got["ckpt.training"].item())
    assert rest["version"] == 1
    assert rest["content_digest"] == ckpt.json("inspect", tmp_path / "a.npz")["content_digest"]
    assert ckpt.json("diff", TRAINING, tmp_path / "a.npz")["equal"]
    ckpt.succeed("convert", tmp_path / "a.npz", tmp_path / "b.pt")
    assert_same(source, load_safely(tmp_path / "b.pt"))


def test_weights_alone_are_arrays_alone(ckpt, tmp_path):
    ckpt.succeed("convert", TRAINING, tmp_path / "a.npz", "--model-only")
    with np.load(tmp_path / "a.npz") as got:
        assert list(got) == list(load_safely(TRAINING)["model"])
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert archive.testzip() is None
        assert all(info.date_time == (1980, 1, 1, 0, 0, 0) for info in archive.infolist())


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"])
def test_types_that_numpy_lacks_are_fields_that_it_opens(ckpt, tmp_path, name):
    dtype = getattr(torch, name)
    bits = torch.arange(1, 7, dtype=torch.uint8).repeat_interleave(dtype.itemsize).view(dtype).reshape(2, 3)
    torch.save({"w": bits}, tmp_path / "a.pt")
    ckpt.succeed("convert", tmp_path / "a.pt", tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as got:
        array = got["w"]
    assert array.dtype.names == (name,)
    numbers = array[name].view(getattr(ml_dtypes, name)).astype(np.float32)
    assert np.array_equal(numbers, bits.float().numpy(), equal_nan=True)
    # As NumPy writes it, too.
    np.savez(tmp_path / "b.npz", w=numbers.astype(getattr(ml_dtypes, name)).view([(name, array.dtype[0])]))
    ckpt.succeed("convert", tmp_path / "b.npz", tmp_path / "b.pt")
    back = load_safely(tmp_path / "b.pt")["w"]
    assert back.dtype == dtype
    assert np.array_equal(back.float().numpy(), numbers, equal_nan=True)


def test_data_can_be_mapped(ckpt, tmp_path):
    ckpt.succeed("convert", TRAINING, tmp_path / "a.npz")
    data = (tmp_path / "a.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        for info in archive.infolist():
            start = data.index(b"\x93NUMPY", info.header_offset)
            assert start % 64 == 0
            assert archive.read(info) == data[start : start + info.file_size]


def test_what_cannot_be_read_is_refused_by_name(ckpt, tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(2), bad=np.array([{}, 1], object))
    result = ckpt.expect(65, "convert", tmp_path / "a.npz", tmp_path / "a.pt")
    assert "bad.npy" in result.err and "never run" in result.err
    np.savez(tmp_path / "b.npz", x=np.arange(2), words=np.array(["a"]))
    assert "words" in ckpt.succeed("convert", tmp_path / "b.npz", tmp_path / "b.pt").err
    assert list(load_safely(tmp_path / "b.pt")) == ["x"]
    result = ckpt.expect(64, "convert", TRAINING, tmp_path / "c.npy")
    assert "--include" in result.err
    ckpt.succeed("convert", TRAINING, tmp_path / "c.npy", "--key", "model", "--include", "transformer.wpe.weight")
    assert np.array_equal(np.load(tmp_path / "c.npy"), load_safely(TRAINING)["model"]["transformer.wpe.weight"].numpy())


def test_damage_is_found(ckpt, tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, x=np.arange(100), y=np.arange(100))
    data = bytearray(buffer.getvalue())
    data[600] ^= 1
    (tmp_path / "a.npz").write_bytes(data)
    assert "record x.npy" in str(ckpt.json("verify", tmp_path / "a.npz", code=1))
    ckpt.expect(65, "convert", tmp_path / "a.npz", tmp_path / "a.h5")

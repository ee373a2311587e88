"""ONNX: models of the package onnx, and of random content."""

import pathlib

import numpy as np
import onnx
import pytest
import torch
from checkpoints import load_safely
from onnx import TensorProto, helper, numpy_helper

ONNX = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "onnx"
TYPES = [np.float32, np.float64, np.float16, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64,
         np.bool_, np.complex64, np.complex128]  # fmt: skip


def random_model(seed):
    generator = np.random.default_rng(seed)
    arrays = {}
    for number in range(20):
        dtype = np.dtype(TYPES[generator.integers(len(TYPES))])
        shape = tuple(int(size) for size in generator.integers(0, 5, generator.integers(0, 4)))
        size = int(np.prod(shape)) * dtype.itemsize
        raw = generator.integers(0, 2, size).astype(np.uint8).tobytes() if dtype.kind == "b" else generator.bytes(size)
        arrays[f"layer.{number}/ü"] = np.frombuffer(raw, dtype).reshape(shape)
    tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    return helper.make_model(helper.make_graph([], "g", [], [], tensors), producer_name="peer"), arrays


def assert_read(ckpt, path, arrays, tmp_path):
    ckpt.succeed("convert", path, tmp_path / "out.pt", "--overwrite")
    got = load_safely(tmp_path / "out.pt")
    assert list(got) == list(arrays)
    for name, array in arrays.items():
        tensor = got[name]
        assert tuple(tensor.shape) == array.shape, name
        assert tensor.numpy().dtype == array.dtype, name
        assert tensor.numpy().tobytes() == array.tobytes(), name


@pytest.mark.parametrize("seed", range(3))
def test_initializers_are_the_packages(ckpt, tmp_path, seed):
    model, arrays = random_model(seed)
    onnx.save_model(model, tmp_path / "a.onnx")
    assert_read(ckpt, tmp_path / "a.onnx", arrays, tmp_path)
    report = ckpt.json("inspect", tmp_path / "a.onnx")
    assert report["format"] == "onnx"
    ckpt.succeed("verify", tmp_path / "a.onnx")


@pytest.mark.parametrize("one_file", [True, False])
def test_external_data(ckpt, tmp_path, one_file):
    model, arrays = random_model(7)
    onnx.save_model(model, tmp_path / "a.onnx", save_as_external_data=True, all_tensors_to_one_file=one_file, size_threshold=8,
                    location="a.data" if one_file else None)  # fmt: skip
    assert_read(ckpt, tmp_path / "a.onnx", arrays, tmp_path)


def test_weights_of_a_module(ckpt, tmp_path):
    """The names and bytes of a small network's state dict, as an exporter stores them."""
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    tensors = [numpy_helper.from_array(value.numpy(), name) for name, value in module.state_dict().items()]
    onnx.save_model(helper.make_model(helper.make_graph([], "g", [], [], tensors)), tmp_path / "a.onnx")
    ckpt.succeed("convert", tmp_path / "a.onnx", tmp_path / "a.pt")
    module.load_state_dict(load_safely(tmp_path / "a.pt"))


def test_nothing_outside_of_the_folder_is_read(ckpt, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(8))
    (tmp_path / "model").mkdir()
    tensor = TensorProto(name="x", dims=[2], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../secret")
    model = helper.make_model(helper.make_graph([], "g", [], [], [tensor]))
    (tmp_path / "model" / "a.onnx").write_bytes(model.SerializeToString())
    for location in ["../secret", str(tmp_path / "secret"), "link"]:
        (tmp_path / "model" / "link").unlink(missing_ok=True)
        (tmp_path / "model" / "link").symlink_to("../secret")
        model.graph.initializer[0].external_data[0].value = location
        (tmp_path / "model" / "a.onnx").write_bytes(model.SerializeToString())
        result = ckpt.expect(65, "convert", tmp_path / "model/a.onnx", tmp_path / "a.pt")
        assert location in result.err
        assert not (tmp_path / "a.pt").exists()
    ckpt.expect(64, "convert", ONNX / "types.onnx", tmp_path / "b.onnx")

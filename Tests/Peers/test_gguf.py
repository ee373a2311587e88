"""GGUF files against the package gguf: what it reads of ours, and what we read of its."""

import pathlib
import struct

import gguf
import h5py
import numpy as np
import pytest
import torch
from conftest import FIXTURES

FOLDER = FIXTURES / "gguf"
Q = gguf.GGMLQuantizationType
DECODED = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "MXFP4", "NVFP4", "IQ4_NL", "IQ4_XS", "TQ1_0", "TQ2_0"]


def same(a, b):
    """Equal bits, but for the sign and payload of NaN."""
    assert a.shape == b.shape and a.dtype == b.dtype
    return bool(((a.view(np.uint32) == b.view(np.uint32)) | (np.isnan(a) & np.isnan(b))).all())


@pytest.mark.parametrize("name", DECODED)
def test_blocks_of_random_bytes_are_decoded_as_the_package_does(ckpt, tmp_path, name):
    elements, size = gguf.GGML_QUANT_SIZES[Q[name]]
    rows = np.random.default_rng(7).integers(0, 256, (7, 1100 * size), dtype=np.uint8)
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "llama")
    writer.add_tensor("t", rows, raw_dtype=Q[name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    ckpt.succeed("convert", tmp_path / "a.gguf", tmp_path / "a.h5", "--dequantize")
    with np.errstate(all="ignore"):
        expected = gguf.dequantize(rows, Q[name])
    with h5py.File(tmp_path / "a.h5") as file:
        assert same(file["tensors/t"][...], expected)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("[!sv]*.gguf")), ids=lambda path: path.name)
def test_a_file_of_the_package_comes_back_byte_for_byte(ckpt, tmp_path, path):
    ckpt.succeed("convert", path, tmp_path / "a.h5")
    ckpt.succeed("diff", path, tmp_path / "a.h5")
    ckpt.succeed("convert", tmp_path / "a.h5", tmp_path / "a.gguf")
    assert (tmp_path / "a.gguf").read_bytes() == path.read_bytes()


def contents(path):
    reader = gguf.GGUFReader(path)
    fields = {key: (field.types, field.contents()) for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    return fields, {tensor.name: tensor for tensor in reader.tensors}


@pytest.mark.parametrize("name", ["transformer_adamw", "dtypes", "gan", "state_dict", "quantised"])
def test_the_package_reads_what_we_write(ckpt, tmp_path, name):
    out = tmp_path / "a.gguf"
    ckpt.succeed("convert", FIXTURES / "torch" / f"{name}.pt", out)
    ckpt.succeed("diff", FIXTURES / "torch" / f"{name}.pt", out)
    fields, tensors = contents(out)
    assert next(iter(fields)) == "general.architecture"
    listed = {tensor["path"]: tensor for tensor in ckpt.json("inspect", out)["tensors"]}
    assert len(tensors) <= len(listed)
    offsets = [tensor.data_offset for tensor in tensors.values()]
    assert all(offset % 32 == 0 for offset in offsets)


def test_names_and_numbers_are_pytorchs(ckpt, tmp_path):
    source = FIXTURES / "torch" / "transformer_adamw.pt"
    ckpt.succeed("convert", source, tmp_path / "a.gguf")
    fields, tensors = contents(tmp_path / "a.gguf")
    saved = torch.load(source, weights_only=False)
    for name, value in saved["model"].items():
        if name == "transformer.wte.weight":  # tied to lm_head.weight
            continue
        assert np.array_equal(tensors[name].data, value.numpy()), name
    assert fields["step"] == ([gguf.GGUFValueType.INT64], saved["step"])
    slots = [name for name in tensors if name.startswith("optimizer.exp_avg.")]
    names = saved["optimizer"]["state"]
    assert len(slots) == len(names) and all(name.removeprefix("optimizer.exp_avg.") in saved["model"] for name in slots)


def test_weights_alone_are_a_model(ckpt, tmp_path):
    source = FIXTURES / "torch" / "transformer_adamw.pt"
    ckpt.succeed("convert", source, tmp_path / "a.gguf", "--model-only", "--dtype", "float16")
    fields, tensors = contents(tmp_path / "a.gguf")
    saved = torch.load(source, weights_only=False)["model"]
    assert list(fields) == ["general.architecture"]
    assert list(tensors) == list(saved)
    for name, value in saved.items():
        if value.is_floating_point():
            assert np.array_equal(tensors[name].data, value.half().numpy()), name


def test_a_split_set_is_one_model(ckpt, tmp_path):
    ckpt.succeed("convert", FOLDER / "set-00002-of-00003.gguf", tmp_path / "one.gguf")
    fields, tensors = contents(tmp_path / "one.gguf")
    assert list(tensors) == [f"blk.{number}.weight" for number in range(5)]
    assert list(fields) == ["general.architecture", "general.name", "llama.context_length"]
    assert [tensor.data.max() for tensor in tensors.values()] == [0, 1, 2, 3, 4]


def test_big_endian_and_old_files_are_named(ckpt, tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "big.gguf", "llama", endianess=gguf.GGUFEndian.BIG)
    writer.add_tensor("t", np.ones(3, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert "big-endian" in ckpt.expect(65, "inspect", tmp_path / "big.gguf").err
    (tmp_path / "old.gguf").write_bytes(b"GGUF" + struct.pack("<III", 1, 0, 0) + bytes(64))
    assert "version 1" in ckpt.expect(65, "convert", tmp_path / "old.gguf", tmp_path / "a.h5").err


def test_inspect_shows_blocks_as_the_tensors_that_they_are(ckpt):
    shown = ckpt.succeed("inspect", FOLDER / "blocks.gguf").out
    row = next(line for line in shown.splitlines() if "random.Q4_K" in line)
    assert row.split()[1:4] == ["Q4_K", "[2,", "256]"]
    tensor = next(row for row in ckpt.json("inspect", FOLDER / "blocks.gguf")["tensors"] if row["name"] == "random.Q4_K")
    assert (tensor["path"], tensor["dtype"], tensor["shape"]) == ("tensors.random.Q4_K", "uint8", [2, 144])
    assert (tensor["block_type"], tensor["block_shape"]) == ("Q4_K", [2, 256])


def test_metadata_is_seen(ckpt):
    shown = ckpt.succeed("inspect", FOLDER / "aligned.gguf").out
    assert "general.name 'aligned'" in shown and "metadata.tokenizer.ggml.tokens" in shown

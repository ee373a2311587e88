"""The HDF5 files as h5py and the HDF5 tools see them, with no help from us."""

import h5py
import numpy as np
import pytest
import torch
from checkpoints import load_original, load_safely

MOMENTS = ["exp_avg", "exp_avg_sq"]


@pytest.fixture(scope="module")
def transformer(journey):
    trip = journey("transformer_adamw.pt")
    with h5py.File(trip.h5, "r") as file:
        yield load_safely(trip.pt), file


def parameter_names(checkpoint):
    """Names by torch's id: matrices first, then vectors, the tied head left out."""
    weights = {name: tensor for name, tensor in checkpoint["model"].items() if name != "lm_head.weight"}
    return [name for name in weights if weights[name].dim() >= 2] + [name for name in weights if weights[name].dim() < 2]


def test_marker(transformer):
    _, file = transformer
    assert text(file.attrs["format"]) == "ckpt"
    assert text(file.attrs["format_version"]) == "1.0"
    assert text(file.attrs["content_digest"]).startswith("xxh3-128:")


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def test_marker_is_fixed_length(transformer):
    """Variable-length strings lie in a heap without a checksum."""
    _, file = transformer
    for name in ("format", "format_version", "content_digest"):
        kind = file.attrs.get_id(name).get_type()
        assert not kind.is_variable_str(), name


def test_weights(transformer):
    checkpoint, file = transformer
    for name, tensor in checkpoint["model"].items():
        np.testing.assert_array_equal(file[f"model/{name}"][()], tensor.numpy(), err_msg=name)


def test_order_of_weights(transformer):
    checkpoint, file = transformer
    assert list(file["model"]) == list(checkpoint["model"])


def test_tied_weights_are_one_object(transformer):
    _, file = transformer
    assert file["model/lm_head.weight"] == file["model/transformer.wte.weight"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_moments(transformer, moment):
    checkpoint, file = transformer
    states = checkpoint["optimizer"]["state"]
    for index, name in enumerate(parameter_names(checkpoint)):
        np.testing.assert_array_equal(file[f"optimizer/{moment}/{name}"][()], states[index][moment].numpy(), err_msg=name)


def test_steps(transformer):
    checkpoint, file = transformer
    steps = file["optimizer/step"]
    assert steps.dtype == np.int64
    assert steps[()].tolist() == [50] * len(parameter_names(checkpoint))


def test_parameter_names(transformer):
    checkpoint, file = transformer
    assert [text(name) for name in file["optimizer/params"][()]] == parameter_names(checkpoint)


@pytest.mark.parametrize("key", ["lr", "weight_decay", "eps"])
def test_groups(transformer, key):
    checkpoint, file = transformer
    for index, group in enumerate(checkpoint["optimizer"]["param_groups"]):
        assert file[f"optimizer/param_groups/{index}"].attrs[key] == group[key]


def test_group_betas_and_members(transformer):
    checkpoint, file = transformer
    for index, group in enumerate(checkpoint["optimizer"]["param_groups"]):
        stored = file[f"optimizer/param_groups/{index}"]
        assert tuple(stored.attrs["betas"]) == group["betas"]
        assert stored["params"][()].tolist() == group["params"]


def test_amsgrad(journey):
    trip = journey("cnn_adam_amsgrad.pt")
    states = load_safely(trip.pt)["optimizer"]["state"]
    with h5py.File(trip.h5, "r") as file:
        np.testing.assert_array_equal(file["optimizer/max_exp_avg_sq/conv1.weight"][()], states[0]["max_exp_avg_sq"].numpy())


def test_gan(journey):
    trip = journey("gan.pt")
    states = load_safely(trip.pt)["optimizerD"]["state"]
    with h5py.File(trip.h5, "r") as file:
        np.testing.assert_array_equal(file["optimizerD/exp_avg/0.weight"][()], states[0]["exp_avg"].numpy())
        assert file["optimizerG/param_groups/0"].attrs["lr"] == 2e-4


def test_bare_state_dict_lies_at_model(journey):
    trip = journey("state_dict.pt")
    with h5py.File(trip.h5, "r") as file:
        assert text(file.attrs["root"]) == "/model"
        assert list(file["model"]) == list(load_safely(trip.pt))
        assert file["model/bn1.num_batches_tracked"].shape == ()


def test_dtypes(journey):
    trip = journey("dtypes.pt")
    tensors = load_safely(trip.pt)["tensors"]
    with h5py.File(trip.h5, "r") as file:
        group = file["tensors"]
        for name, tensor in tensors.items():
            assert text(group[name].attrs["dtype"]) == name
            if not name.startswith(("float8", "float4", "bits")):
                compare(group[name][()], tensor, name)


def compare(stored, tensor, name):
    if name == "bfloat16":
        assert stored.dtype == np.float32
        tensor = tensor.float()
    if name == "complex32":
        stored, tensor = stored.view(np.float16), torch.view_as_real(tensor).flatten()
    expected = tensor.numpy()
    assert stored.dtype == expected.dtype, name
    np.testing.assert_array_equal(stored, expected, err_msg=name)


def test_bytes_of_small_floats(journey):
    """fp8 and its like are uint8 with the name beside them."""
    trip = journey("dtypes.pt")
    with h5py.File(trip.h5, "r") as file:
        for name, tensor in load_safely(trip.pt)["tensors"].items():
            if name.startswith(("float8", "float4", "bits8")):
                stored = file["tensors"][name][()]
                assert stored.dtype == np.uint8
                np.testing.assert_array_equal(stored, tensor.view(torch.uint8).numpy(), err_msg=name)


def test_scalars_and_empties_keep_their_shape(journey):
    trip = journey("dtypes.pt")
    with h5py.File(trip.h5, "r") as file:
        assert file["scalars/float32"].shape == ()
        assert file["empty/float32"].shape == (0, 3)
        assert file["shapes/3x0x2"].shape == (3, 0, 2)


def test_tensors_are_aligned(transformer):
    _, file = transformer
    offsets = [dataset.id.get_offset() for dataset in file["model"].values()]
    assert all(offset is not None and offset % 64 == 0 for offset in offsets)


@pytest.mark.parametrize("name", ["transformer_adamw.pt", "dtypes.pt"])
def test_at_most_six_attributes(journey, name):
    """More would cost two kilobytes a dataset."""
    crowded = []

    def visit(path, item):
        if isinstance(item, h5py.Dataset) and len(item.attrs) > 6:
            crowded.append(path)

    with h5py.File(journey(name).h5, "r") as file:
        file.visititems(visit)
    assert crowded == []


def test_h5ls(journey, hdf5_tool):
    listing = hdf5_tool("h5ls", "-r", journey("transformer_adamw.pt").h5)
    for line in ("/model/transformer.h.0.attn.c_attn.weight", "/optimizer/exp_avg/transformer.ln_f.bias", "/optimizer/param_groups/1", "/manifest"):
        assert any(row.startswith(line) for row in listing.splitlines()), f"{line} is not in\n{listing}"


def test_h5dump(journey, hdf5_tool):
    dump = hdf5_tool("h5dump", "-A", journey("state_dict.pt").h5)
    for name in ('ATTRIBUTE "format"', 'DATASET "conv1.weight"', 'DATASET "bn1.num_batches_tracked"'):
        assert name in dump


def test_odd_names_are_links(journey, hdf5_tool):
    trip = journey("odd_names.pt")
    model = load_original(trip.pt)["model"]
    with h5py.File(trip.h5, "r") as file:
        stored = [file["model"][link][()].tolist() for link in file["model"]]
        assert sorted(stored) == sorted(tensor.tolist() for tensor in model.values())
        assert file["model/cafe\u0301"][()] != file["model/caf\u00e9"][()]
        assert file["model/a%2Fb"][()] == model["a/b"].numpy()
    hdf5_tool("h5ls", "-r", trip.h5)

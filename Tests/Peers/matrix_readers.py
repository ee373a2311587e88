"""How the real library of each format reads a file: its tensors as (dtype's name, shape, bytes) by name.

A dtype is torch's; None where the library has no such type and the file holds its bits as another.
"""

import os

import numpy as np
import torch
from checkpoints import tensors

# Where GGUF has no type, and as what the bits are stored.
GGUF_TYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64"}


def facts(tensor):
    """Of a torch tensor or a NumPy array."""
    if isinstance(tensor, np.ndarray):
        return str(tensor.dtype), tuple(tensor.shape), tensor.tobytes()
    flat = tensor.detach().contiguous().reshape(-1)
    return str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape), flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def read_pt(path):
    return {name: facts(tensor) for name, tensor in tensors(torch.load(path, weights_only=True))}


def read_ckpt(path):
    import h5py

    found = {}

    def visit(group, path):
        for key, item in group.items():  # visititems would pass over the second name of a tied tensor
            name = (*path, key)
            if isinstance(item, h5py.Group):
                visit(item, name)
            elif "dtype" in item.attrs and "encoding-type" not in item.attrs:
                dtype = np.asarray(item.attrs["dtype"]).astype(str).item()
                data = np.asarray(item[()])
                if dtype == "bfloat16":  # h5py shows float32; the bits are those of its upper half
                    data = (data.view(np.uint32) >> 16).astype(np.uint16)
                found[".".join(name)] = (dtype, item.shape, data.tobytes())

    with h5py.File(path) as file:
        visit(file, ())
    return found


def read_dcp(path):
    from torch.distributed.checkpoint import FileSystemReader
    from torch.distributed.checkpoint.default_planner import _EmptyStateDictLoadPlanner
    from torch.distributed.checkpoint.state_dict_loader import _load_state_dict

    state = {}
    _load_state_dict(state, storage_reader=FileSystemReader(path), planner=_EmptyStateDictLoadPlanner(), no_dist=True)
    return {name: facts(tensor) for name, tensor in tensors(state)}


def read_safetensors(path):
    from safetensors import safe_open
    from safetensors.torch import load_file

    found = {name: facts(tensor) for name, tensor in load_file(path).items()}
    with safe_open(path, "pt") as file:  # load_model's hints of tied weights
        hints = file.metadata() or {}
    return found | {dropped: found[kept] for dropped, kept in hints.items() if kept in found}


def read_npz(path):
    with np.load(path, allow_pickle=False) as file:
        return {name: array_facts(file[name]) for name in file.files}


def read_npy(path):
    return {"": array_facts(np.load(path, allow_pickle=False))}


def array_facts(array):
    if array.dtype.names:  # a type that NumPy lacks, under its name
        (name,) = array.dtype.names
        return name, array.shape, array.tobytes()
    return facts(array)


def read_gguf(path):
    import gguf

    found = {}
    for tensor in gguf.GGUFReader(path).tensors:
        dtype = GGUF_TYPES.get(tensor.tensor_type.name)
        found[tensor.name] = (dtype, tuple(int(size) for size in reversed(tensor.shape)), tensor.data.tobytes())
    return found


def read_keras_weights(path):
    import h5py

    found = {}

    def visit(group, path):
        for key, item in group.items():
            name = (*path, key)
            if isinstance(item, h5py.Group):
                visit(item, name)
            else:
                found[".".join(name)] = (item.attrs.get("dtype", str(item.dtype)), item.shape, np.asarray(item[()]).tobytes())

    with h5py.File(path) as file:
        visit(file, ())
    return found


READERS = {
    "pt": read_pt, "ckpt": read_ckpt, "dcp": read_dcp, "safetensors": read_safetensors, "npz": read_npz, "npy": read_npy,
    "gguf": read_gguf, "keras-weights": read_keras_weights,
}  # fmt: skip

os.environ.setdefault("KERAS_BACKEND", "torch")

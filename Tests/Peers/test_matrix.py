"""Every format that is read, into every format that is written: the target's own library finds each tensor of the model, bit for bit.

What a conversion keeps is written into spec/conversions.md: `make matrix` makes it anew, and a test compares it.
"""

import os
import re
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from checkpoints import FOLDER, tensors
from conftest import ROOT
from matrix_readers import READERS, facts

DOCUMENT = ROOT / "spec" / "conversions.md"
SUFFIXES = {
    "pt": ".pt", "ckpt": ".h5", "dcp": ".dcp", "safetensors": ".safetensors", "npz": ".npz", "npy": ".npy", "gguf": ".gguf",
    "keras-weights": ".weights.h5", "keras": ".keras", "onnx": ".onnx",
}  # fmt: skip
TRAINING = FOLDER / "transformer_adamw.pt"


def sample(dtype, shape, seed):
    generator = torch.Generator().manual_seed(seed)
    size = torch.tensor([], dtype=dtype).element_size() * int(np.prod(shape))
    return torch.randint(0, 2 if dtype == torch.bool else 100, (size,), dtype=torch.uint8, generator=generator).view(dtype).reshape(shape)


WEIGHTS = {
    f"block.{index}.{str(dtype).removeprefix('torch.')}": sample(dtype, shape, index)
    for index, (dtype, shape) in enumerate(
        [
            (torch.float32, (3, 4)), (torch.float16, (5,)), (torch.bfloat16, (2, 3)), (torch.float64, (2, 2, 2)),
            (torch.int64, (3,)), (torch.int32, (1, 2)), (torch.int16, (4,)), (torch.int8, (2, 3)), (torch.uint8, (3, 2)),
            (torch.bool, (6,)), (torch.float8_e4m3fn, (4,)), (torch.float32, ()), (torch.float32, (0, 3)),
        ]
    )
}  # fmt: skip
ONE = "block.0.float32"


@dataclass
class Cell:
    whole: bool
    warnings: list


@pytest.fixture(scope="session")
def formats(ckpt):
    return ckpt.json("formats")["formats"]


@pytest.fixture(scope="session")
def kinds(formats):
    """The kinds that are read, and those that are written."""
    read = list(dict.fromkeys(entry["kind"] for entry in formats))
    return read, [kind for kind in read if any(entry["kind"] == kind and entry["writes"] for entry in formats)]


@pytest.fixture(scope="session")
def sources(ckpt, kinds, tmp_path_factory):
    """sources(kind, what): a file of that kind with WEIGHTS or the checkpoint of a training run, and the model in it."""
    folder = tmp_path_factory.mktemp("sources")
    torch.save(WEIGHTS, folder / "weights.pt")
    made = {}

    def source(kind, what):
        if (kind, what) not in made:
            made[kind, what] = make(kind, what)
        return made[kind, what]

    def make(kind, what):
        path = folder / f"{what}-{kind}{SUFFIXES[kind]}"
        if kind in FOREIGN:
            return FOREIGN[kind](path)
        start = TRAINING if what == "training" else folder / "weights.pt"
        model = torch.load(start, weights_only=True)
        expected = {name: facts(tensor) for name, tensor in tensors(model.get("model", model))}
        if kind == "npy":
            ckpt.succeed("convert", start, path, "--include", ONE)
            return path, {"": expected[ONE]}
        ckpt.succeed("convert", start, path, "--to", kind)
        return path, expected

    return source


def make_onnx(path):
    """The types that ONNX has, by the real library."""
    import onnx

    arrays = {name: tensor.numpy() for name, tensor in WEIGHTS.items() if tensor.dtype not in (torch.bfloat16, torch.float8_e4m3fn)}
    initializers = [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()]
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], initializers)), path)
    return path, {name: facts(array) for name, array in arrays.items()}


def make_keras(path):
    """A model with its optimizer, by the real library."""
    import h5py
    import keras
    import zipfile

    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, name="a"), keras.layers.Dense(2, name="b")])
    model.compile("adam", "mse")
    model.fit(np.ones((4, 3), np.float32), np.ones((4, 2), np.float32), verbose=0)
    model.save(path)
    with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as member, h5py.File(member) as file:
        found = {}
        file.visititems(lambda name, item: found.update({name.replace("/", "."): item[()]}) if isinstance(item, h5py.Dataset) else None)
    return path, {name: facts(np.asarray(array)) for name, array in found.items()}


FOREIGN = {"onnx": make_onnx, "keras": make_keras}


def convert(ckpt, source, target, kind, name):
    options = ["--include", name, "--model-only"] if kind == "npy" and name else []
    result = ckpt.succeed("convert", source, target, "--to", kind, *options)
    warnings = [line.removeprefix("ckpt: warning: ") for line in result.err.splitlines() if line.startswith("ckpt: warning: ")]
    same = ckpt.run("diff", source, target)
    assert same.code in (0, 1), same
    return Cell(same.code == 0, warnings)


def check(expected, got, kind):
    """Each tensor once, under its name or a longer path that ends with it; its bits, and its type where the target has one."""
    for name, (dtype, shape, content) in expected.items():
        found = [got[name]] if name in got else [got[path] for path in got if is_models(path, name) or kind == "npy"]
        assert len(found) == 1, f"{name}: {len(found)} times among {list(got)[:20]}"
        (its_dtype, its_shape, its_content) = found[0]
        assert its_content == content, name
        if kind in ("gguf", "keras-weights"):
            continue  # types and shapes that they lack are stored as others: the tests of these formats look at them
        assert its_dtype == dtype and tuple(its_shape) == tuple(shape), f"{name}: {its_dtype} {its_shape}"


def is_models(path, name):
    """Whether this is the model's tensor of that name; an array alone has none, and gets one."""
    if name == "":
        return path not in ("ckpt.training", "manifest")
    return path.endswith("." + name) and not path.startswith("optimizer.")


def pairs():
    read = ["ckpt", "pt", "dcp", "safetensors", "npz", "npy", "keras", "keras-weights", "gguf", "onnx"]
    written = [kind for kind in read if kind in READERS]
    return [(source, target) for source in read for target in written]


@pytest.fixture(scope="session")
def cell(ckpt, sources, tmp_path_factory):
    """cell(source, target, what): one conversion, done once: what came of it, the output, and what has to be in it."""
    folder = tmp_path_factory.mktemp("matrix")
    done = {}

    def convert_once(source, target, what):
        if (source, target, what) not in done:
            path, expected = sources(source, what)
            one = ONE if ONE in expected else next(iter(expected))
            if target == "npy":
                expected = {one: expected[one]}
            out = folder / f"{source}-{what}{SUFFIXES[target]}"
            done[source, target, what] = convert(ckpt, path, out, target, one), out, expected
        return done[source, target, what]

    return convert_once


def subjects(source, target):
    """What is converted: tensors of many types, and a run's checkpoint where both can hold more than a tensor or a model."""
    return ["weights"] if source in FOREIGN or "npy" in (source, target) else ["weights", "training"]


def test_every_format_is_in_the_matrix(kinds):
    read, written = kinds
    assert {source for source, _ in pairs()} == set(read)
    assert {target for _, target in pairs()} == set(written)


@pytest.mark.parametrize("source, target", pairs(), ids=lambda kind: kind)
def test_the_targets_library_finds_every_tensor(cell, source, target):
    for what in subjects(source, target):
        _, out, expected = cell(source, target, what)
        check(expected, READERS[target](out), target)


WRITTEN = ["ckpt", "pt", "dcp", "safetensors", "npz", "gguf", "keras-weights"]


@pytest.mark.parametrize("target", WRITTEN)
def test_casts_names_and_choices_act_on_every_format(ckpt, tmp_path, target):
    """To bfloat16 by the nearest even; moments and steps keep their types and bits; the optimizer's names follow the model's."""
    out = tmp_path / f"out{SUFFIXES[target]}"
    options = ["--dtype", "bfloat16", "--include", "*.wpe.weight", "--rename", r"^transformer\.=gpt.", "--optimizer-keys", "names"]
    ckpt.succeed("convert", TRAINING, out, "--to", target, *options)
    source = torch.load(TRAINING, weights_only=True)
    place = list(source["model"]).index("transformer.wpe.weight")
    weight = source["model"]["transformer.wpe.weight"]
    found = [tensor for name, tensor in READERS[target](out).items() if name.endswith("wpe.weight") or "wpe.weight." in name]
    contents = [content for _, _, content in found]
    assert facts(weight.bfloat16())[2] in contents
    moments = [slots for slots in source["optimizer"]["state"].values() if slots["exp_avg"].shape == weight.shape]
    assert len(moments) == 1 and place >= 0
    assert facts(moments[0]["exp_avg"])[2] in contents and facts(moments[0]["exp_avg_sq"])[2] in contents
    assert not any("transformer." in name for name in READERS[target](out))


def test_a_cast_that_overflows_is_told(ckpt, tmp_path):
    torch.save({"a": torch.tensor([1e38, 1.0])}, tmp_path / "a.pt")
    for target in WRITTEN:
        out = tmp_path / f"out{SUFFIXES[target]}"
        assert "too large for float16" in ckpt.succeed("convert", tmp_path / "a.pt", out, "--to", target, "--dtype", "float16").err


def test_the_document_says_what_the_conversions_did(cell):
    text = document({(a, b, what): cell(a, b, what)[0] for a, b in pairs() for what in subjects(a, b)})
    if os.environ.get("CKPT_WRITE_MATRIX"):
        DOCUMENT.write_text(text)
    assert DOCUMENT.read_text() == text, "run `make matrix`"


def document(cells):
    """The table, and for each target what it leaves out of a training run's checkpoint."""
    read = list(dict.fromkeys(source for source, _ in pairs()))
    written = list(dict.fromkeys(target for _, target in pairs()))
    lines = [
        "# What conversions keep",
        "",
        "Made by `Tests/Peers/test_matrix.py` (`make matrix`), which converts a file with tensors of many types and the checkpoint of a",
        "training run from each format (rows) to each other (columns) and lets the target's own library read every tensor of the model.",
        "*all*: `ckpt diff` finds the whole tree equal, optimizer, counters, order and ties included. *tensors*: names, types, shapes and",
        "bits of the model's tensors are kept, and a warning names what is not.",
        "",
        "| from \\ to | " + " | ".join(written) + " |",
        "|---" * (len(written) + 1) + "|",
    ]
    for source in read:
        row = []
        for target in written:
            found = [cell for (a, b, _), cell in cells.items() if (a, b) == (source, target)]
            row.append("" if not found else "all" if all(cell.whole for cell in found) else "tensors")
        lines.append(f"| {source} | " + " | ".join(row) + " |")
    lines += ["", "What `convert` says of the checkpoint of a training run:", ""]
    for target in written:
        cell = cells.get(("pt", target, "training")) or cells.get(("ckpt", target, "weights"))
        lines.append(f"- **{target}**: " + ("; ".join(shortened(text) for text in cell.warnings) if cell and cell.warnings else "nothing"))
    return "\n".join(lines) + "\n"


def shortened(warning):
    """Without the paths that belong to the example."""
    return re.sub(r": [\w.~=, ]+(, … \(\d+ in all\))?$", "", warning)


@pytest.mark.parametrize(
    "options", [("a.h5", "--dequantize"), ("a.h5", "--layout", "torch"), ("a.h5", "--layout", "keras"), ("a.npz", "--layout", "keras")]
)
def test_an_option_that_does_nothing_is_refused(ckpt, tmp_path, options):
    out, *words = options
    result = ckpt.expect(64, "convert", TRAINING, tmp_path / out, *words)
    assert "does nothing here" in result.err
    assert not (tmp_path / out).exists()

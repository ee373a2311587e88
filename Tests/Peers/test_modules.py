"""Modules that were pickled whole: what comes out is torch's own `state_dict()`, and loads into the module again."""

import io
import pathlib
from collections import OrderedDict

import fixture_modules
import h5py
import make_module_fixtures as modules
import pytest
import torch
from checkpoints import load_safely, tensors
from conftest import FIXTURES
from equality import assert_same, plain
from torch import nn

FILES = sorted(path for path in (FIXTURES / "modules").iterdir() if path.suffix in (".pt", ".pkl"))
FILES += [FIXTURES / name for name in modules.OLD]


def label(path):
    return f"{path.parent.name}/{path.name}"


def journey(ckpt, path, folder):
    """Through an .h5 into a .pt, and what the safe loader finds there."""
    ckpt.succeed("convert", path, folder / "a.h5")
    ckpt.succeed("verify", folder / "a.h5")
    assert ckpt.json("diff", path, folder / "a.h5")["equal"]
    ckpt.succeed("convert", folder / "a.h5", folder / "a.pt")
    return load_safely(folder / "a.pt")


@pytest.mark.parametrize("path", FILES, ids=label)
def test_state_dict_after_both_conversions(ckpt, path, tmp_path):
    expected = modules.as_state_dicts(modules.load(path))
    assert_same(plain(expected), journey(ckpt, path, tmp_path))


@pytest.mark.parametrize("path", FILES, ids=label)
def test_inspect_names_what_torch_names(ckpt, path, tmp_path):
    ckpt.succeed("convert", path, tmp_path / "a.h5")
    expected = [name for name, _ in tensors(modules.as_state_dicts(modules.load(path)))]
    for file in (path, tmp_path / "a.h5"):
        listed = [tensor["path"] for tensor in ckpt.json("inspect", file)["tensors"]]
        assert [name for name in listed if name in expected] == expected
        assert all(is_attribute(path.stem, name) for name in set(listed) - set(expected))


def is_attribute(stem, name):
    """Whether a tensor is one that the module had besides its parameters and buffers."""
    if stem.startswith("script"):
        return name.startswith(("@constants.", "first.scales.", "1._packed_params.")) or name == "first.steps"
    if stem.startswith("old"):
        return name.endswith("scale")
    return {"mixed": name in ("steps", "history.losses.1"), "normed": name == "0.weight"}.get(stem.split("_")[0], False)


@pytest.mark.parametrize("name", ["mixed.pt", "mixed_protocol4.pkl"])
def test_it_loads_into_the_class(ckpt, name, tmp_path):
    path = FIXTURES / "modules" / name
    state = journey(ckpt, path, tmp_path)
    model = fixture_modules.Mixed().to(state["embed.weight"].dtype)
    assert not any(model.load_state_dict(state, strict=True))
    old = modules.load(path)
    assert all(torch.equal(a, b) for a, b in zip(old.state_dict().values(), model.state_dict().values()))


def test_the_class_is_shown(ckpt, tmp_path):
    path = FIXTURES / "modules" / "mixed.pt"
    ckpt.succeed("convert", path, tmp_path / "a.h5")
    for file in (path, tmp_path / "a.h5"):
        assert "fixture_modules.Mixed" in ckpt.succeed("inspect", file).out
        values = {value["path"]: value["value"] for value in ckpt.json("inspect", file)["values"]}
        assert values["@module.class"] == "fixture_modules.Mixed"
        assert values["@module.modules.conv.0.class"] == "torch.nn.modules.conv.Conv1d"
        assert values["@module.training"] is True


def test_code_of_a_graph_is_not_run(ckpt, tmp_path):
    """torch.fx keeps generated code; a reader that ran it would leave a mark."""
    graph = torch.fx.symbolic_trace(fixture_modules.Traced())
    mark = tmp_path / "RUN"
    graph._code = f"open({str(mark)!r}, 'w')\n" + graph._code
    state = graph.__dict__.copy()
    buffer = io.BytesIO()
    torch.save(graph, buffer)
    (tmp_path / "g.pt").write_bytes(buffer.getvalue())
    got = journey(ckpt, tmp_path / "g.pt", tmp_path)
    assert not mark.exists()
    assert list(got) == list(graph.state_dict()) and state


def test_a_compiled_module(ckpt, tmp_path):
    """Its names have the prefix that torch gives them; the compiler's callbacks, bound methods among them, are left out."""
    model = torch.compile(fixture_modules.Traced())
    torch.save(model, tmp_path / "m.pt")
    got = journey(ckpt, tmp_path / "m.pt", tmp_path)
    assert_same(plain(modules.as_state_dicts(model)), got)
    assert "_orig_mod.layer.weight" in got


def test_a_bound_method_is_kept_as_data(ckpt, tmp_path):
    """How pickle writes one is `getattr` of an instance: nothing that runs unless something calls the result."""
    torch.save({"weight": torch.ones(2), "callback": fixture_modules.Block().norm.extra_repr}, tmp_path / "m.pt")
    with_callback = journey(ckpt, tmp_path / "m.pt", tmp_path)
    assert torch.equal(with_callback["weight"], torch.ones(2))
    assert list(with_callback["callback"]["args"][0]) == ["weight", "bias"]


def test_dicts_by_tensor_and_object_keep_their_values(ckpt, tmp_path):
    """As optimizers of other libraries have them: keys that no safe loader takes, in pairs."""
    parameter = nn.Parameter(torch.ones(2))
    by_parameter = OrderedDict([(parameter, {"velocity": torch.full((2,), 0.5)}), ("other", 1)])
    torch.save({"weight": parameter, "state": by_parameter, "names": {pathlib.PurePosixPath("a/b"): torch.zeros(1)}}, tmp_path / "m.pt")
    got = journey(ckpt, tmp_path / "m.pt", tmp_path)
    (key, slots), other = got["state"]["args"][0]
    assert torch.equal(key, parameter) and key.data_ptr() == got["weight"].data_ptr()
    assert slots["velocity"].tolist() == [0.5, 0.5] and other == ("other", 1)
    assert got["names"]["args"][0][0][0] == "a/b"


@pytest.mark.parametrize("seed", range(4))
def test_random_nests_of_modules(ckpt, seed, tmp_path):
    torch.manual_seed(seed)
    path = tmp_path / "m.pt"
    model = random_module(depth=4)
    torch.save({"net": model, "step": seed}, path)
    expected = {"net": modules.as_state_dicts(model), "step": seed}
    assert_same(plain(expected), journey(ckpt, path, tmp_path))


def random_module(depth, kinds=7):
    kind = int(torch.randint(0, kinds if depth else 3, ()))
    below = [random_module(depth - 1, kinds) for _ in range(3)] if kind > 2 else []
    if kind > 4:
        below.append(below[0])  # shared
    return {
        0: lambda: nn.Linear(2, 1, bias=False), 1: lambda: nn.BatchNorm1d(2, affine=False), 2: lambda: nn.GRU(1, 1),
        3: lambda: nn.ModuleDict({f"é{i}": m for i, m in enumerate(below)}), 4: lambda: nn.ModuleList(below),
        5: lambda: nn.Sequential(*below), 6: lambda: nn.Sequential(nn.Bilinear(1, 2, 1), *below),
    }[kind]()  # fmt: skip


# TorchScript: the same fixtures are above; here what only archives of programs have.


def test_a_program_is_told_from_a_checkpoint(ckpt, tmp_path):
    for path in FILES:
        program = path.stem.startswith("script")
        assert (ckpt.json("inspect", path)["format"] == "torchscript") == program
    buffer = io.BytesIO()
    torch.save({"/constants.pkl": torch.ones(3), "text": "archive/constants.pkl"}, buffer)
    (tmp_path / "a.pt").write_bytes(buffer.getvalue())
    assert ckpt.json("inspect", tmp_path / "a.pt")["format"] == "torch-zip"


def test_constants_of_a_frozen_program(ckpt, tmp_path):
    """They are no state dict, so that a .pt has none of them; inspect and the .h5 have."""
    path = FIXTURES / "modules" / "script_frozen.pt"
    assert journey(ckpt, path, tmp_path) == {}
    program = torch.jit.load(path)
    constants = [node for node in program.graph.findAllNodes("prim::Constant") if node.hasAttribute("value")]
    wanted = {tuple(node.t("value").flatten().tolist()) for node in constants if node.kindOf("value") == "t"}
    with h5py.File(tmp_path / "a.h5") as file:
        found = {tuple(dataset[()].flatten().tolist()) for dataset in file["model"].values()}
    assert wanted and wanted <= found


@pytest.mark.parametrize("seed", range(3))
def test_random_programs(ckpt, seed, tmp_path):
    torch.manual_seed(seed)
    model = nn.ModuleList(random_module(depth=3, kinds=5) for _ in range(3))  # nothing that calls its children
    torch.jit.save(torch.jit.script(Holder(model)), tmp_path / "m.pt")
    expected = modules.as_state_dicts(torch.jit.load(tmp_path / "m.pt"))
    assert_same(plain(expected), journey(ckpt, tmp_path / "m.pt", tmp_path))
    assert [name.removeprefix("net.") for name in expected] == list(model.state_dict())


class Holder(nn.Module):
    """Modules that nobody calls are kept all the same."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor):
        return x

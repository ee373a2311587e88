"""What Hugging Face's Trainer, Accelerate and Lightning saved goes through the command and back into torch."""

import json

import pytest
import torch
from checkpoints import load, load_safely
from conftest import FIXTURES
from equality import assert_same, plain
from safetensors.torch import load_file, save_file

FOLDER = FIXTURES / "frameworks"
CASES = ["trainer", "accelerate", "sharded", "sharded_bin", "lightning.ckpt"]


@pytest.mark.parametrize("name", CASES)
def test_every_command_takes_it(ckpt, name, tmp_path):
    h5 = tmp_path / "a.h5"
    ckpt.succeed("inspect", FOLDER / name)
    report = ckpt.json("verify", FOLDER / name)
    assert report["ok"] and len(report["files"][0]["checked"]) >= 2
    ckpt.succeed("convert", FOLDER / name, h5)
    assert ckpt.json("diff", FOLDER / name, h5)["equal"]
    ckpt.succeed("verify", h5)
    old, new = ckpt.json("inspect", FOLDER / name), ckpt.json("inspect", h5)
    for key in ("tensors", "values"):
        assert [row["path"] for row in old[key]] == [row["path"] for row in new[key]]


def test_a_trainers_folder_comes_back_part_by_part(ckpt, tmp_path):
    ckpt.succeed("convert", FOLDER / "trainer", tmp_path / "a.h5")
    ckpt.succeed("convert", tmp_path / "a.h5", tmp_path / "a.pt")
    got = load_safely(tmp_path / "a.pt")
    assert_same(dict(load_file(FOLDER / "trainer" / "model.safetensors")), dict(got["model"]))
    for key, file in (("optimizer", "optimizer.pt"), ("scheduler", "scheduler.pt"), ("rng", "rng_state.pth")):
        assert_same(plain(load(FOLDER / "trainer" / file, weights_only=False)), got[key])
    assert got["training"] == json.loads((FOLDER / "trainer" / "trainer_state.json").read_text())


def test_an_accelerate_folder_comes_back_part_by_part(ckpt, tmp_path):
    ckpt.succeed("convert", FOLDER / "accelerate", tmp_path / "a.pt")
    got = load_safely(tmp_path / "a.pt")
    assert_same(dict(load_file(FOLDER / "accelerate" / "model.safetensors")), dict(got["model"]))
    for key, file in (("optimizer", "optimizer.bin"), ("scheduler", "scheduler.bin")):
        assert_same(plain(load(FOLDER / "accelerate" / file, weights_only=False)), got[key])
    assert_same(plain(load(FOLDER / "accelerate" / "random_states_0.pkl", weights_only=False)), got["rng"][0])
    assert_same(plain(load(FOLDER / "accelerate" / "custom_checkpoint_0.pkl", weights_only=False)), got["custom"][0])


@pytest.mark.parametrize("name", ["sharded", "sharded_bin"])
def test_shards_are_the_whole_model(ckpt, name, tmp_path):
    ckpt.succeed("convert", FOLDER / name, tmp_path / "a.pt")
    want = load_file(FOLDER / "trainer" / "model.safetensors")
    got = load_safely(tmp_path / "a.pt")
    assert_same({key: want[key] for key in sorted(want)}, {key: got[key] for key in sorted(got)})


def test_safetensors_files_are_read(ckpt, tmp_path):
    types = (torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool, torch.float8_e4m3fn, torch.complex64)
    tensors = {str(dtype).removeprefix("torch."): torch.arange(6).to(dtype).reshape(2, 3) for dtype in types}
    tensors |= {"scalar": torch.tensor(2.5), "empty": torch.zeros(0, 4)}
    save_file(tensors, tmp_path / "a.safetensors", metadata={"format": "pt", "note": "häßlich"})
    report = ckpt.json("inspect", tmp_path / "a.safetensors")
    assert report["format"] == "safetensors"
    ckpt.succeed("convert", tmp_path / "a.safetensors", tmp_path / "a.h5")
    ckpt.succeed("convert", tmp_path / "a.h5", tmp_path / "a.pt")
    got = load_safely(tmp_path / "a.pt")
    assert {row["path"] for row in report["tensors"]} == set(tensors)
    for name, tensor in tensors.items():
        assert_same(tensor, got[name])
    data = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(data[:-1])
    ckpt.expect(65, "convert", tmp_path / "cut.safetensors", tmp_path / "b.h5")
    ckpt.expect(1, "verify", tmp_path / "cut.safetensors")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_forward_module.", "module._orig_mod."])
def test_wrappers_names_are_seen_and_taken_off(ckpt, prefix, tmp_path):
    model, optimizer = trained()
    state = {prefix + name: tensor for name, tensor in model.state_dict().items()}
    torch.save({"model": state, "optimizer": optimizer.state_dict()}, tmp_path / "a.pt")
    shown = " ".join(ckpt.succeed("inspect", tmp_path / "a.pt").out.split())
    parts = [part + "." for part in prefix.split(".") if part]
    assert " ".join(f"--strip-prefix {part}" for part in parts) in shown
    options = [word for part in parts for word in ("--strip-prefix", part)]
    ckpt.succeed("convert", tmp_path / "a.pt", tmp_path / "b.pt", "--optimizer-keys", "names", *options)
    got = load_safely(tmp_path / "b.pt")
    assert list(got["model"]) == list(model.state_dict())
    assert got["optimizer"]["param_groups"][0]["params"] == list(model.state_dict())


@pytest.mark.parametrize("inner", ["_fsdp_wrapped_module.", "_checkpoint_wrapped_module."])
def test_wrappers_within_names_are_taken_off(ckpt, inner, tmp_path):
    model, optimizer = trained()
    state = {name[:2] + inner + name[2:]: tensor for name, tensor in model.state_dict().items()}
    torch.save({"model": state, "optimizer": optimizer.state_dict()}, tmp_path / "a.pt")
    assert f"--strip-prefix {inner}" in ckpt.succeed("inspect", tmp_path / "a.pt").out
    ckpt.succeed("convert", tmp_path / "a.pt", tmp_path / "b.pt", "--optimizer-keys", "names", "--strip-prefix", inner)
    got = load_safely(tmp_path / "b.pt")
    assert list(got["model"]) == list(model.state_dict())
    assert got["optimizer"]["param_groups"][0]["params"] == list(model.state_dict())


@pytest.mark.parametrize("shards", [1, 2])
def test_names_are_never_guessed_from_safetensors(ckpt, shards, tmp_path):
    """Such files sort the names: parameters of one shape keep their numbers, and it is said."""
    torch.manual_seed(0)
    names = ["z", "b.10", "b.2", "a"]
    model = torch.nn.ParameterDict({name.replace(".", "_"): torch.nn.Parameter(torch.randn(4, 4)) for name in names})
    optimizer = torch.optim.AdamW(model.values())
    sum(p.sum() for p in model.values()).backward()
    optimizer.step()
    folder = tmp_path / "checkpoint-1"
    folder.mkdir()
    state = dict(model.state_dict())
    if shards == 1:
        save_file(state, folder / "model.safetensors")
    else:
        owners = {name: f"model-{i % 2}.safetensors" for i, name in enumerate(state)}
        for file in set(owners.values()):
            save_file({name: state[name] for name in state if owners[name] == file}, folder / file)
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": owners}))
    torch.save(optimizer.state_dict(), folder / "optimizer.pt")
    torch.save({}, folder / "scheduler.pt")
    for path in (folder, tmp_path / "a.h5"):
        if path != folder:
            ckpt.succeed("convert", folder, path)
        report = ckpt.json("inspect", path)
        assert any("no name could be told" in text or "not known" in text for text in report["warnings"]), report["warnings"]
    done = ckpt.succeed("convert", folder, tmp_path / "b.pt", "--optimizer-keys", "names")
    params = load_safely(tmp_path / "b.pt")["optimizer"]["param_groups"][0]["params"]
    assert params == [f"param.{i}" for i in range(4)], done.err
    # A .pt does not say where its dict comes from, but that it may be so.
    ckpt.succeed("convert", folder, tmp_path / "c.pt")
    assert any("are sorted" in text for text in ckpt.json("inspect", tmp_path / "c.pt")["warnings"])


def test_plain_names_are_left_alone(ckpt, tmp_path):
    """A module that is called `module` is no wrapper's doing unless all names say so."""
    torch.save({"module.a": torch.ones(1), "head": torch.ones(1)}, tmp_path / "a.pt")
    assert "--strip-prefix" not in ckpt.succeed("inspect", tmp_path / "a.pt").out


def trained():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 2))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    return model, optimizer


FRAMEWORKS = {
    "Lightning 2.6": {"pytorch-lightning_version": "2.6", "state_dict": {}, "optimizer_states": []},
    "Megatron": {"checkpoint_version": 3.0, "iteration": 5, "args": None, "model": {}},
    "fairseq": {"last_optimizer_state": {}, "optimizer_history": [], "extra_state": {}, "model": {}},
    "MMEngine 0.10.0": {"meta": {"mmengine_version": "0.10.0"}, "state_dict": {}},
    "DeepSpeed 0.14.0": {"ds_version": "0.14.0", "module": {}},
    "Detectron2": {"__author__": "Detectron2 Model Zoo", "model": {}},
}


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_framework_is_named(ckpt, name, tmp_path):
    """Its model and optimizer are found where it keeps them."""
    model, optimizer = trained()
    root = dict(FRAMEWORKS[name])
    for key in ("state_dict", "model", "module"):
        if key in root:
            root[key] = {"encoder": model.state_dict()} if name == "Megatron" else model.state_dict()
    if name.startswith("Lightning"):
        root["optimizer_states"] = [optimizer.state_dict()]
    elif name == "Megatron":
        root["optimizer"] = {"optimizer": optimizer.state_dict()}
    elif name == "fairseq":
        root["last_optimizer_state"] = optimizer.state_dict()
    else:
        root["optimizer"] = optimizer.state_dict()
    torch.save(root, tmp_path / "a.pt")
    assert f"saved by {name}" in " ".join(ckpt.succeed("inspect", tmp_path / "a.pt").out.split())
    sections = ckpt.json("inspect", tmp_path / "a.pt")["sections"]
    found = [section for section in sections if section["kind"] == "optimizer"]
    assert [group["params"] for group in found[0]["groups"]] == [list(model.state_dict())]
    assert any(section["kind"] == "state-dict" for section in sections)

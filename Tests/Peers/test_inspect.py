"""`inspect --json`, held against what torch sees in the same file."""

import math
import shutil

import h5py
import pytest
import torch
from checkpoints import NAMES, SUBSTITUTED, dtype_name, load_original, load_safely, tensors

# Files whose keys are plain texts and numbers and whose tensors are all dense, so that torch's view gives the paths.
PLAIN = [
    "transformer_adamw.pt", "cnn_adam_amsgrad.pt", "gan.pt", "state_dict.pt", "parameters.pt", "views.pt", "big_endian.pt", "deflated.pt", "no_crc.pt",
    "minimal.pt", "sgd_momentum.pt", "sgd_plain.pt", "adam_tensor_lr.pt", "adam_int_step.pt", "optimizer_object_ids.pt", "optimizer_param_names.pt",
    "optimizer_fsdp_names.pt", "optimizer_unstepped.pt", "optimizer_partial_state.pt", "optimizer_alone.pt", "optimizer_mixed_steps.pt",
    "optimizer_others.pt", "lightning.pt",
]  # fmt: skip


@pytest.fixture(scope="session")
def report(ckpt, journey):
    """report(fixture, "pt" | "h5" | "back"): the parsed JSON."""
    made = {}

    def inspect(name, which="h5"):
        if (name, which) not in made:
            made[name, which] = ckpt.json("inspect", getattr(journey(name), which))
        return made[name, which]

    return inspect


@pytest.mark.parametrize("which", ["pt", "h5", "back"])
@pytest.mark.parametrize("name", PLAIN)
def test_tensors_as_torch_sees_them(report, journey, name, which):
    expected = [
        (path, dtype_name(tensor), list(tensor.shape), tensor.numel() * tensor.element_size()) for path, tensor in tensors(load_original(journey(name).pt))
    ]
    assert [(row["path"], row["dtype"], row["shape"], row["bytes"]) for row in report(name, which)["tensors"]] == expected


@pytest.mark.parametrize("name", NAMES)
def test_both_containers_list_the_same(report, name):
    pt, h5, back = (report(name, which) for which in ("pt", "h5", "back"))
    paths = [row["path"] for row in h5["tensors"]]
    assert [row["path"] for row in pt["tensors"]] == paths
    if name not in SUBSTITUTED:
        assert [row["path"] for row in back["tensors"]] == paths
        assert pt["values"] == h5["values"] == back["values"]


@pytest.mark.parametrize("name", sorted(set(NAMES) - SUBSTITUTED))
def test_content_digest_does_not_depend_on_the_container(ckpt, report, journey, tmp_path, name):
    """.pt -> .h5 -> .pt -> .h5 ends with the digest it began with."""
    again = tmp_path / "again.h5"
    ckpt.succeed("convert", journey(name).back, again)
    assert ckpt.json("inspect", again)["content_digest"] == report(name)["content_digest"]


def test_head(report, journey):
    h5, pt = report("state_dict.pt"), report("state_dict.pt", "pt")
    assert h5["schema"] == pt["schema"] == "ckpt.inspect/1"
    assert (h5["format"], pt["format"]) == ("ckpt-h5", "torch-zip")
    assert h5["format_version"] == "1.0"
    assert h5["bytes"] == journey("state_dict.pt").h5.stat().st_size
    assert h5["path"] == str(journey("state_dict.pt").h5)
    algorithm, digits = h5["content_digest"].split(":")
    assert algorithm == "xxh3-128" and len(digits) == 32 and int(digits, 16)


def test_every_key_of_the_schema_is_there(report):
    for which in ("h5", "pt"):
        inspected = report("transformer_adamw.pt", which)
        assert {"schema", "path", "bytes", "format", "format_version", "content_digest", "sections", "values", "tensors", "warnings"} <= set(inspected)
        for row in inspected["tensors"]:
            assert {"path", "section", "name", "dtype", "shape", "bytes", "digest", "alias_of"} <= set(row)


def test_tie_is_an_alias(report):
    for which in ("h5", "pt"):
        rows = {row["path"]: row for row in report("transformer_adamw.pt", which)["tensors"]}
        head, embedding = rows["model.lm_head.weight"], rows["model.transformer.wte.weight"]
        assert embedding["alias_of"] is None
        assert head["alias_of"] == "model.transformer.wte.weight"
        assert head["digest"] == embedding["digest"]


def sections(inspected):
    return {section["path"]: section for section in inspected["sections"]}


SECTIONS = {
    "transformer_adamw.pt": {"model": "state-dict", "optimizer": "optimizer"},
    "gan.pt": {"netG": "state-dict", "netD": "state-dict", "optimizerG": "optimizer", "optimizerD": "optimizer"},
    "state_dict.pt": {"": "state-dict"},
    "lightning.pt": {"state_dict": "state-dict", "optimizer_states.0": "optimizer"},
}


@pytest.mark.parametrize("which", ["pt", "h5"])
def test_sections(report, which):
    for name, expected in SECTIONS.items():
        assert {path: section["kind"] for path, section in sections(report(name, which)).items()} == expected


@pytest.mark.parametrize("which", ["pt", "h5"])
def test_optimizer(report, journey, which):
    optimizer = sections(report("transformer_adamw.pt", which))["optimizer"]
    groups = load_safely(journey("transformer_adamw.pt").pt)["optimizer"]["param_groups"]
    assert optimizer["algorithm"] == "AdamW"
    assert optimizer["step"] == 50
    assert {"exp_avg", "exp_avg_sq"} <= set(optimizer["slots"])
    for shown, group in zip(optimizer["groups"], groups, strict=True):
        assert (shown["lr"], shown["weight_decay"], shown["eps"], tuple(shown["betas"])) == (group["lr"], group["weight_decay"], group["eps"], group["betas"])
        assert len(shown["params"]) == len(group["params"])
    assert "transformer.wte.weight" in optimizer["groups"][0]["params"]
    assert "transformer.ln_f.bias" in optimizer["groups"][1]["params"]


ALGORITHMS = {"cnn_adam_amsgrad.pt": ("Adam", 5), "sgd_momentum.pt": ("SGD", None), "optimizer_unstepped.pt": ("AdamW", None), "adam_int_step.pt": (None, 3)}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_algorithms(report, name):
    algorithm, step = ALGORITHMS[name]
    optimizer = sections(report(name))["optimizer"]
    assert optimizer["step"] == step
    if algorithm:
        assert optimizer["algorithm"] == algorithm


NAMED = ["transformer_adamw.pt", "cnn_adam_amsgrad.pt", "sgd_momentum.pt", "optimizer_object_ids.pt", "optimizer_param_names.pt", "optimizer_fsdp_names.pt"]


@pytest.mark.parametrize("name", NAMED)
def test_moments_are_named(report, journey, name):
    """Each moment carries the name of a weight of its shape, and each weight but tied ones and buffers gets one."""
    model = next(value for key, value in load_safely(journey(name).pt).items() if key in ("model", "state_dict"))
    rows = [row for row in report(name)["tensors"] if row["section"] == "optimizer" and row.get("slot") in ("exp_avg", "momentum_buffer")]
    assert rows and all(row["shape"] == list(model[row["name"]].shape) for row in rows)
    trained = [key for key in model if key != "lm_head.weight" and not key.endswith(("running_mean", "running_var", "num_batches_tracked"))]
    assert sorted(row["name"] for row in rows) == sorted(trained)


def test_unknown_names_are_warned_of(report):
    inspected = report("optimizer_alone.pt")
    rows = [row for row in inspected["tensors"] if row.get("slot") == "exp_avg"]
    assert [row["name"] for row in rows] == ["param.0", "param.1", "param.2", "param.3"]
    assert inspected["warnings"]


@pytest.mark.parametrize("which", ["pt", "h5"])
def test_values(report, journey, which):
    checkpoint = load_safely(journey("transformer_adamw.pt").pt)
    values = {value["path"]: value["value"] for value in report("transformer_adamw.pt", which)["values"]}
    for key in ("step", "epoch", "best_loss"):
        assert values[key] == checkpoint[key]
    for key in ("layers", "dropout", "name", "init_from", "compile"):
        assert values[f"config.{key}"] == checkpoint["config"][key]


def test_values_that_json_cannot_hold(ckpt, tmp_path):
    torch.save({"nan": math.nan, "inf": -math.inf, "big": 2**53 + 1, "small": 2**53 - 1, "true": True}, tmp_path / "a.pt")
    values = {value["path"]: value["value"] for value in ckpt.json("inspect", tmp_path / "a.pt")["values"]}
    assert isinstance(values["nan"], str) and isinstance(values["inf"], str)
    assert values["big"] == str(2**53 + 1)
    assert values["small"] == 2**53 - 1
    assert values["true"] is True


@pytest.mark.parametrize("which", ["pt", "h5"])
def test_statistics(ckpt, journey, which):
    trip = journey("cnn_adam_amsgrad.pt")
    weights = load_safely(trip.pt)["state_dict"]
    rows = {row["path"]: row for row in ckpt.json("inspect", getattr(trip, which), "--stats")["tensors"]}
    for name in ("conv1.weight", "fc.bias", "bn1.running_var"):
        row, tensor = rows[f"state_dict.{name}"], weights[name].double()
        assert row["min"] == pytest.approx(tensor.min().item(), rel=1e-6)
        assert row["max"] == pytest.approx(tensor.max().item(), rel=1e-6)
        assert row["mean"] == pytest.approx(tensor.mean().item(), rel=1e-5, abs=1e-9)
        assert (row["nan"], row["inf"], row["zeros"]) == (0, 0, 0)


def test_statistics_count_odd_values(ckpt, tmp_path):
    torch.save({"a": torch.tensor([math.nan, math.inf, -math.inf, 0.0, -0.0, 2.0])}, tmp_path / "a.pt")
    row = ckpt.json("inspect", tmp_path / "a.pt", "--stats")["tensors"][0]
    assert (row["nan"], row["inf"], row["zeros"]) == (1, 2, 2)


def test_filter(ckpt, journey):
    rows = ckpt.json("inspect", journey("state_dict.pt").h5, "--filter", "conv*")["tensors"]
    assert [row["path"] for row in rows] == ["conv1.weight", "conv2.weight", "conv2.bias"]


def test_sort_by_size(ckpt, journey):
    rows = ckpt.json("inspect", journey("state_dict.pt").h5, "--sort", "size")["tensors"]
    sizes = [row["bytes"] for row in rows]
    assert sizes in (sorted(sizes), sorted(sizes, reverse=True))


@pytest.mark.parametrize("which", ["pt", "h5"])
def test_human_view(ckpt, journey, which):
    view = ckpt.succeed("inspect", getattr(journey("transformer_adamw.pt"), which)).out
    for word in ("AdamW", "50", "transformer.wte.weight", "float32"):
        assert word in view, f"{word} is not in\n{view}"
    assert "\x1b" not in view


def test_values_of_a_tensor(ckpt, journey):
    view = ckpt.succeed("inspect", journey("state_dict.pt").h5, "--values", "bn1.running_var").out
    assert "1" in view


def test_foreign_hdf5_is_shown(ckpt, tmp_path):
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["group/data"] = [1.0, 2.0]
    assert ckpt.json("inspect", tmp_path / "foreign.h5")["format"] == "hdf5"


def test_file_edited_with_h5py_stays_readable(ckpt, journey, tmp_path):
    """It is read, inspect says that the manifest is stale, verify says what changed."""
    edited = tmp_path / "edited.h5"
    shutil.copy(journey("state_dict.pt").h5, edited)
    with h5py.File(edited, "r+") as file:
        file["model/fc.bias"][0] = 42
    ckpt.succeed("inspect", edited)
    result = ckpt.expect(1, "verify", edited)
    assert "fc.bias" in result.out + result.err

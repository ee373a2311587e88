"""What is wrong is told before anything is run or written: the file, the line, and what to do."""

import json

import numpy as np
import pytest
from train_runs import CASES, config, step_file

MLP = """\
model:
  sequential:
    - linear: {in: 4, out: 8}
    - relu: {}
    - linear: {in: 8, out: 3}
data:
  train: {file: data.npz, inputs: x, targets: y}
  batch: 8
loss: cross_entropy
optimizer:
  adamw: {lr: 0.01}
steps: 5
out: run
"""


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(1)
    np.savez(
        tmp_path / "data.npz", x=random.standard_normal((20, 4), dtype=np.float32), y=random.integers(0, 3, 20))
    return tmp_path


def refuse(ckpt, folder, text, code, *words):
    """Runs a config that is wrong: the report is short, and there is nothing new on the disk."""
    path = folder / "config.yaml"
    path.write_text(text)
    before = sorted(folder.rglob("*"))
    result = ckpt.expect(code, "train", path)
    assert result.err.startswith("ckpt: error: "), result
    assert len(result.err.splitlines()) >= 2, f"there is something to do: {result}"
    for word in words:
        assert word in result.err, f"'{word}' is not in it: {result}"
    assert sorted(folder.rglob("*")) == before
    return result


def changed(old, new):
    assert old in MLP
    return MLP.replace(old, new)


@pytest.mark.parametrize("old,new,words", [
    ("batch: 8", "batch: many", ["config.yaml:8:", "data.batch", "many"]),
    ("steps: 5", "steps: 0", ["config.yaml:12:", "steps", "0"]),
    ("lr: 0.01", "lr: [1]", ["config.yaml:11:", "optimizer.adamw.lr"]),
    ("lr: 0.01", "lr: .nan", ["config.yaml:11:", "optimizer.adamw.lr"]),
    ("batch: 8", "bacth: 8", ["config.yaml:8:", "bacth", "batch"]),
    ("adamw:", "adamv:", ["config.yaml:11:", "adamv", "adamw"]),
    ("relu: {}", "rellu: {}", ["config.yaml:4:", "rellu", "relu"]),
    ("in: 8,", "in: 9,", ["config.yaml:5:", "[N, …, 9]", "8"]),
    ("in: 4,", "in: 5,", ["config.yaml:3:", "[N, …, 5]", "[N, 4]"]),
    ("loss: cross_entropy", "loss: mse", ["config.yaml:7:", "shape"]),
    ("steps: 5\n", "", ["steps", "epochs"]),
    ("out: run\n", "", ["out"]),
    ("steps: 5", "steps: 5\nsteps: 6", ["config.yaml:1", "steps"]),
    ("  batch: 8", "\tbatch: 8", ["config.yaml:8:"]),
])
def test_configs(ckpt, folder, old, new, words):
    refuse(ckpt, folder, changed(old, new), 65, *words)


def test_all_mistakes_of_a_config_are_told_at_once(ckpt, folder):
    text = MLP.replace("batch: 8", "batch: many").replace("relu: {}", "rellu: {}").replace("steps: 5", "stesp: 5")
    refuse(ckpt, folder, text, 65, "config.yaml:4:", "config.yaml:8:", "config.yaml:12:", "'steps'")


def test_a_label_that_the_model_has_no_place_for(ckpt, folder):
    arrays = dict(np.load(folder / "data.npz"))
    arrays["y"][13] = 3
    np.savez(folder / "data.npz", **arrays)
    refuse(ckpt, folder, MLP, 65, "data.npz", "13", "3")
    arrays["y"][13] = -1
    np.savez(folder / "data.npz", **arrays)
    refuse(ckpt, folder, MLP, 65, "data.npz", "13", "-1")


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_number_that_is_none(ckpt, folder, number):
    arrays = dict(np.load(folder / "data.npz"))
    arrays["x"][11, 2] = number
    np.savez(folder / "data.npz", **arrays)
    refuse(ckpt, folder, MLP, 65, "data.npz", "x", "11")


CSV = changed("{file: data.npz, inputs: x, targets: y}", "{file: data.csv, inputs: [a, b, c, d], targets: [y]}")
ROWS = "a,b,c,d,y\n1,2,3,4,0\n1,2,3,4,1\n"


@pytest.mark.parametrize("text,words", [
    ("", ["data.csv", "empty"]),
    ("a,b,c,d,y\n", ["data.csv", "row"]),
    (ROWS + "1,2,3,4\n", ["data.csv", "4", "5"]),
    (ROWS + "1,2,3,4,1,6\n", ["data.csv", "6", "5"]),
    (ROWS + "1,2,three,4,1\n", ["data.csv", "4", "c", "three"]),
    (ROWS + "1,2,nan,4,1\n", ["data.csv", "4", "c"]),
    (ROWS + "1,2,,4,1\n", ["data.csv", "4", "c"]),
    (ROWS + "1,2,3,4,7\n", ["data.csv", "7"]),
    (ROWS + "1,2,3,4,0.5\n", ["data.csv", "0.5"]),
])
def test_tables(ckpt, folder, text, words):
    (folder / "data.csv").write_text(text)
    refuse(ckpt, folder, CSV, 65, *words)


@pytest.mark.parametrize("old,new,code,words", [
    ("data.npz", "dada.npz", 66, ["dada.npz", "config.yaml:7:", "--set data.train.file="]),
    ("inputs: x", "inputs: z", 64, ["data.npz", "'z'", "'x'"]),
    ("out: run", "out: data.npz/run", 73, ["data.npz/run", "--out"]),
    ("out: run", "out: data.npz", 73, ["data.npz", "--out"]),
    ("out: run", "out: /proc/run", 73, ["/proc/run", "--out"]),
    ("out: run", "out: run\ninit: none.pt", 66, ["none.pt"]),
    ("out: run", "out: run\ninit: config.yaml", 65, ["config.yaml"]),
    ("out: run", "out: run\ninit: data.npz", 64, ["data.npz", "does not fit", "missing: 0.weight"]),
])
def test_files(ckpt, folder, old, new, code, words):
    refuse(ckpt, folder, changed(old, new), code, *words)


def test_a_column_that_is_not_there(ckpt, folder):
    (folder / "data.csv").write_text(ROWS.replace("c", "e"))
    refuse(ckpt, folder, CSV, 64, "data.csv", "'c'", "a, b, e, d, y")


def test_a_file_that_is_cut_short(ckpt, folder):
    (folder / "data.npz").write_bytes((folder / "data.npz").read_bytes()[:-40])
    refuse(ckpt, folder, MLP, 65, "data.npz")


def test_no_such_config(ckpt, folder):
    assert "no.yaml" in ckpt.expect(66, "train", folder / "no.yaml").err


def test_a_config_that_is_no_text(ckpt, folder):
    assert "data.npz" in ckpt.expect(65, "train", folder / "data.npz").err


@pytest.mark.parametrize("words", [
    [], ["--steps", "0"], ["--steps", "x"], ["--set", "steps"], ["--out", ""], ["--overwrite", "--resume", "x"], ["--whatever"],
])
def test_command_lines(ckpt, folder, words):
    (folder / "config.yaml").write_text(MLP)
    positional = [folder / "config.yaml"] if words and "--resume" not in words else []
    assert ckpt.expect(64, "train", *positional, *words).err.startswith("ckpt: error: ")
    assert not (folder / "run").exists()


def test_a_wrong_set_is_told_as_what_it_is(ckpt, folder):
    (folder / "config.yaml").write_text(MLP)
    result = ckpt.expect(64, "train", folder / "config.yaml", "--set", "optimizer.adamw.lt=1")
    assert "--set" in result.err and "lt" in result.err and "lr" in result.err, result


def test_a_run_of_another_model_is_not_gone_on_with(ckpt, folder, tmp_path):
    path = folder / "config.yaml"
    path.write_text(MLP)
    ckpt.succeed("train", path, "--quiet")
    before = step_file(folder / "run", 5).read_bytes()
    path.write_text(MLP.replace("out: 8", "out: 9").replace("in: 8", "in: 9"))
    result = ckpt.expect(64, "train", path, "--resume", folder / "run")
    for name in ("0.weight", "0.bias", "2.weight"):
        assert name in result.err, result
    assert sorted(file.name for file in (folder / "run").glob("*.h5")) == ["step-00000005.h5"]
    assert step_file(folder / "run", 5).read_bytes() == before


def test_data_that_have_moved_are_found_with_set(ckpt, tmp_path):
    data, _ = CASES["mlp"].data(tmp_path)
    path = config("mlp", tmp_path, data, steps=6)
    ckpt.succeed("train", path, "--steps", 3, "--quiet")
    (tmp_path / "data.npz").rename(tmp_path / "moved.npz")
    result = ckpt.expect(66, "train", "--resume", tmp_path / "run")
    assert "--set data.train.file=" in result.err, result
    ckpt.succeed("train", "--resume", tmp_path / "run", "--set", f"data.train.file={tmp_path / 'moved.npz'}", "--quiet")
    assert step_file(tmp_path / "run", 6).exists()


def test_text_with_more_characters_than_the_model_knows(ckpt, tmp_path):
    (tmp_path / "text.txt").write_text("abcdefghij" * 20)
    settings = {
        "model": {"gpt": {"layers": 1, "heads": 1, "width": 8, "context": 8, "vocab": 9}}, "loss": "cross_entropy",
        "data": {"train": {"text": "text.txt"}, "batch": 2}, "optimizer": {"adam": {}}, "steps": 2, "out": "run"}
    refuse(ckpt, tmp_path, json.dumps(settings), 65, "model.gpt.vocab", "10", "9")
    settings["model"]["gpt"] |= {"vocab": 10, "context": 500}
    refuse(ckpt, tmp_path, json.dumps(settings), 65, "text.txt", "500", "200")
    (tmp_path / "text.txt").write_bytes(b"")
    refuse(ckpt, tmp_path, json.dumps(settings), 65, "text.txt")

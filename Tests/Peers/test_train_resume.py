"""A run that is stopped, or killed, and continued ends with the bits of one that nobody disturbed."""

import json
import random
import shutil
import signal
import subprocess
import time

import h5py
import pytest
import yaml
from conftest import FIXTURES

EXAMPLES = FIXTURES / "examples"


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    for file in EXAMPLES.iterdir():
        shutil.copy(file, folder)
    return folder


def write_config(examples, name, **changes):
    """An example's config, with dropout and shuffling as it has them, made short."""
    settings = yaml.safe_load((examples / f"{name}.yaml").read_text())
    settings.pop("epochs", None)
    settings.update(changes)
    path = examples / f"short-{name}.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return path


# Steps of the whole run, and where it is stopped: within an epoch, at its end, right after the start.
SHORT = {"linear-adam": (60, [1, 7, 20]), "digits-mlp": (60, [1, 13, 30]), "digits-cnn": (40, [7, 20]), "gpt": (12, [1, 5])}


@pytest.fixture(scope="module")
def whole(ckpt, examples):
    """The uninterrupted runs, with two threads: config and last checkpoint by name."""
    made = {}

    def run(name):
        if name not in made:
            steps, _ = SHORT[name]
            config = write_config(
                examples, name, steps=steps, out=f"runs/{name}", checkpoint={"every": 10}, ema=0.9, log_every=4,
                evaluate={"every": 10}, threads=2)
            ckpt.succeed("train", config, "--quiet")
            made[name] = config, examples / f"runs/{name}/step-{steps:08}.h5"
        return made[name]

    return run


def digest(path):
    with h5py.File(path) as file:
        return file.attrs["content_digest"]


def assert_equal(ckpt, a, b):
    ckpt.succeed("diff", a, b)
    assert digest(a) == digest(b)


@pytest.mark.parametrize("name,stop", [(name, stop) for name, (_, stops) in SHORT.items() for stop in stops])
def test_stopped_and_resumed(ckpt, examples, whole, tmp_path, name, stop):
    config, expected = whole(name)
    ckpt.succeed("train", config, "--out", tmp_path / "run", "--steps", stop, "--quiet")
    ckpt.succeed("train", "--resume", tmp_path / "run", "--quiet")
    assert_equal(ckpt, expected, tmp_path / "run" / expected.name)
    ckpt.succeed("verify", tmp_path / "run" / expected.name)


@pytest.mark.parametrize("name", SHORT)
def test_one_thread_gives_the_bits_of_two(ckpt, whole, tmp_path, name):
    config, expected = whole(name)
    ckpt.succeed("train", config, "--out", tmp_path / "run", "--set", "threads=1", "--quiet")
    assert_equal(ckpt, expected, tmp_path / "run" / expected.name)


def test_resumed_from_a_file_of_the_middle(ckpt, whole, tmp_path):
    config, expected = whole("digits-mlp")
    shutil.copy(expected.with_name("step-00000020.h5"), tmp_path / "moved.h5")
    ckpt.succeed("train", config, "--resume", tmp_path / "moved.h5", "--out", tmp_path / "run", "--quiet")
    assert_equal(ckpt, expected, tmp_path / "run" / expected.name)


def test_killed_at_random_moments_fifty_times(ckpt, examples, tmp_path):
    """kill -9, fifty times: whatever is on the disk then is sound, and the end is the same."""
    config = write_config(
        examples, "digits-mlp", steps=1500, out=str(tmp_path / "undisturbed"), log_every=10,
        checkpoint={"every": 20, "keep": 3}, evaluate={"every": 500})
    start = time.monotonic()
    ckpt.succeed("train", config, "--quiet")
    duration = time.monotonic() - start
    chance = random.Random(20)
    folder = tmp_path / "killed"
    words = [ckpt.path, "train", str(config), "--out", str(folder), "--quiet"]
    kills = 0
    for _ in range(400):
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            if kills < 50:
                time.sleep(chance.uniform(0.005, min(duration / 6, 0.5)))
                process.send_signal(signal.SIGKILL)
            _, errors = process.communicate(timeout=120)
        finally:
            process.kill()
        if process.returncode == -signal.SIGKILL:
            kills += 1
        else:
            assert process.returncode == 0, errors.decode()
            if kills >= 50:
                break
            # The run was over before its time: start anew, the kills go on.
            shutil.rmtree(folder)
        started = folder.is_dir() and any(folder.glob("step-*.h5"))
        words = [ckpt.path, "train", "--resume", str(folder), "--quiet"] if started else [
            ckpt.path, "train", str(config), "--out", str(folder), "--overwrite", "--quiet"]
        for file in folder.glob("step-*.h5"):
            ckpt.succeed("verify", file)
    assert kills == 50
    assert_equal(ckpt, tmp_path / "undisturbed/step-00001500.h5", folder / "step-00001500.h5")
    assert len(list(folder.glob("step-*.h5"))) <= 3
    steps = [int(line.split(",")[0]) for line in (folder / "metrics.csv").read_text().splitlines()[1:]]
    assert steps == sorted(set(steps)), "a step was logged twice, or out of order"


def test_a_signal_saves_and_says_how_to_go_on(ckpt, examples, tmp_path):
    config = write_config(examples, "digits-mlp", steps=2_000_000, out=str(tmp_path / "run"), log_every=1000, checkpoint={"every": 1_000_000})
    for number in (signal.SIGTERM, signal.SIGINT):
        words = ["train", str(config)] if number == signal.SIGTERM else ["train", "--resume", str(tmp_path / "run")]
        process = subprocess.Popen([ckpt.path, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(0.7)
        process.send_signal(number)
        out, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert "--resume" in out + errors
    files = sorted((tmp_path / "run").glob("step-*.h5"))
    assert files
    ckpt.succeed("verify", *files)


def test_resume_passes_over_damage_and_says_so(ckpt, whole, tmp_path):
    _, expected = whole("digits-mlp")
    shutil.copytree(expected.parent, tmp_path / "run")
    newest = tmp_path / "run" / expected.name
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    result = ckpt.succeed("train", "--resume", tmp_path / "run")
    assert newest.name in result.err + result.out
    assert_equal(ckpt, expected, newest)


def test_the_tree_has_what_a_run_needs(ckpt, whole):
    _, expected = whole("digits-mlp")
    listing = ckpt.json("inspect", expected)
    values = {entry["path"]: entry["value"] for entry in listing["values"]}
    tensors = {entry["path"] for entry in listing["tensors"]}
    assert values["training.step"] == values["training.target_step"] == 60
    assert values["training.rng.algorithm"] == "philox4x32-10"
    assert any(path.startswith("training.data.") for path in values)
    assert any(path.startswith("training.config.") for path in values)
    assert any(path.startswith("training.schedule.") for path in values)
    assert {f"training.metrics.{name}" for name in ("step", "epoch", "loss", "lr", "grad_norm", "val_loss")} <= tensors
    sections = {section["path"] for section in listing["sections"]}
    assert {"model", "optimizer", "ema"} <= sections
    assert json.dumps(str(expected.parent)) not in json.dumps(values), "no path of this machine is in the tree"

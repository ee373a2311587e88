"""A run that is stopped, or killed, and continued ends with the bits of one that nobody disturbed."""

import json
import random
import shutil
import signal
import subprocess
import time

import pytest
import yaml
from conftest import FIXTURES
from train_runs import column, config, digest, step_file, steps_of
from train_runs import classes as make_classes

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
    if name == "gpt":
        settings["schedule"]["cosine"]["warmup"] = 4
    if "validation" not in settings["data"] or not settings.get("evaluate"):
        settings.pop("evaluate", None)
    path = examples / f"short-{name}-{len(list(examples.glob('short-*')))}.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return path


# Steps of the whole run, and where it is stopped: within an epoch, at its end, right after the start.
SHORT = {
    "linear-adam": (60, [1, 7, 20]), "linear-adamw": (60, [9]), "digits-mlp": (60, [1, 13, 23, 30]),
    "digits-cnn": (40, [7, 20, 23]), "gpt": (12, [1, 5]),
}


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


def kill_at_random(words, seconds):
    """Whether it was killed before it ended."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode in (0, -signal.SIGKILL), errors.decode()
    return process.returncode != 0


def test_killed_at_random_moments_fifty_times(ckpt, examples, tmp_path):
    """kill -9, fifty times: whatever is on the disk then is sound, and the end is the same."""
    settings = write_config(
        examples, "digits-mlp", steps=1500, out=str(tmp_path / "undisturbed"), log_every=10,
        checkpoint={"every": 20, "keep": 3, "keep_best": "val_loss"}, evaluate={"every": 100})
    start = time.monotonic()
    ckpt.succeed("train", settings, "--quiet")
    duration = time.monotonic() - start
    chance = random.Random(20)
    folder = tmp_path / "killed"
    kills = 0
    while kills < 50:
        resume = [ckpt.path, "train", "--resume", str(folder), "--quiet"]
        words = resume if steps_of(folder) else [
            ckpt.path, "train", str(settings), "--out", str(folder), "--overwrite", "--quiet"]
        if kill_at_random(words, chance.uniform(0.001, min(duration / 5, 0.4))):
            kills += 1
            sound = [step_file(folder, step) for step in steps_of(folder)]
            if sound:
                ckpt.succeed("verify", *sound)
        elif kills < 50:
            # The run was over before its time: start anew, the kills go on.
            shutil.rmtree(folder)
    # It may have been killed before it had saved anything.
    words = ["--resume", folder] if steps_of(folder) else [settings, "--out", folder, "--overwrite"]
    ckpt.succeed("train", *words, "--quiet")
    assert_equal(ckpt, step_file(tmp_path / "undisturbed", 1500), step_file(folder, 1500))
    assert digest(folder / "best.h5") == digest(tmp_path / "undisturbed/best.h5")
    assert len(steps_of(folder)) <= 3
    assert not list(folder.glob(".*")), "what the killed ones left is cleared away"
    steps = column(folder, "step")
    assert steps == [1, *range(10, 1501, 10)], "each step is logged once, and in order"
    assert column(folder, "loss") == column(tmp_path / "undisturbed", "loss")


LAYERS = [
    {"linear": {"in": 64, "out": 24}}, {"batch_norm1d": {"num_features": 24}}, {"relu": {}}, {"dropout": {"p": 0.2}},
    {"linear": {"in": 24, "out": 10}},
]
VARIANTS = {
    "accumulate": {"accumulate": 2},
    "clip_grad_norm": {"clip_grad_norm": 0.1},
    "clip_grad_value": {"clip_grad_value": 0.001, "accumulate": 3},
    "ema": {"ema": 0.9},
    "constant": {"schedule": {"constant": {"warmup": 12}}},
    "linear": {"schedule": {"linear": {"start_factor": 0.1, "end_factor": 1, "total_iters": 20}}},
    "cosine": {"schedule": {"cosine": {"warmup": 5, "min_lr": 1e-5}}},
    "step": {"schedule": {"step": {"step_size": 7, "gamma": 0.5}}},
    "multistep": {"schedule": {"multistep": {"milestones": [5, 12, 20], "gamma": 0.5}}},
    "exponential": {"schedule": {"exponential": {"gamma": 0.95}}},
    "onecycle": {"schedule": {"onecycle": {"max_lr": 0.01}}},
    "amsgrad": {"optimizer": {"adamw": {"amsgrad": True, "lr": 0.01}}},
    "adam": {"optimizer": {"adam": {"weight_decay": 0.1, "no_decay": ["*.bias", "1.*"]}}},
    "sgd": {"optimizer": {"sgd": {"lr": 0.1}}},
    "momentum": {"optimizer": {"sgd": {"lr": 0.1, "momentum": 0.9, "nesterov": True}}},
    "rmsprop": {"optimizer": {"rmsprop": {"centered": True, "momentum": 0.5}}},
    "adagrad": {"optimizer": {"adagrad": {"lr_decay": 0.01, "initial_accumulator_value": 0.1}}},
    "freeze": {"freeze": ["0.*"]},
    "all": {
        "accumulate": 2, "clip_grad_norm": 0.5, "clip_grad_value": 0.1, "ema": 0.99, "evaluate": {"every": 4},
        "schedule": {"cosine": {"warmup": 5}}, "checkpoint": {"every": 6, "keep_best": "val_loss", "async": False},
        "optimizer": {"adamw": {"amsgrad": True, "no_decay": ["*.bias"]}}},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_whatever_a_run_consists_of_is_resumed(ckpt, tmp_path, name):
    """24 steps of 5 in an epoch, stopped at the 11th and, once more, at the 13th."""
    data, _ = make_classes(64, count=150)(tmp_path, 32)
    path = config(
        "mlp", tmp_path, data, steps=24, validation=data, shuffle=True, model={"sequential": LAYERS}, **VARIANTS[name])
    ckpt.succeed("train", path, "--out", tmp_path / "whole", "--quiet")
    ckpt.succeed("train", path, "--out", tmp_path / "parts", "--steps", 11, "--quiet")
    ckpt.succeed("train", "--resume", tmp_path / "parts", "--steps", 13, "--quiet")
    ckpt.succeed("train", "--resume", tmp_path / "parts", "--quiet")
    assert_equal(ckpt, step_file(tmp_path / "whole", 24), step_file(tmp_path / "parts", 24))
    assert column(tmp_path / "parts", "loss") == column(tmp_path / "whole", "loss")
    if name != "freeze":
        # The test would see a difference: another step is another digest.
        assert digest(step_file(tmp_path / "parts", 11)) != digest(step_file(tmp_path / "parts", 13))


@pytest.mark.parametrize("stop", [150, 399])
def test_epochs(ckpt, examples, tmp_path, stop):
    """The example as it is: 100 epochs of 4 steps."""
    path = examples / "linear-adamw.yaml"
    ckpt.succeed("train", path, "--out", tmp_path / "whole", "--quiet")
    ckpt.succeed("train", path, "--out", tmp_path / "parts", "--steps", stop, "--quiet")
    ckpt.succeed("train", "--resume", tmp_path / "parts", "--quiet")
    assert_equal(ckpt, step_file(tmp_path / "whole", 400), step_file(tmp_path / "parts", 400))


def test_windows_of_a_file_of_tokens(ckpt, examples, tmp_path):
    path = write_config(
        examples, "gpt", steps=12, data={"train": {"bin": "tokens.bin"}, "batch": 4, "shuffle": True}, evaluate=None,
        checkpoint={"every": 100}, model={"gpt": {"layers": 1, "heads": 2, "width": 16, "context": 32, "vocab": 65536}})
    ckpt.succeed("train", path, "--out", tmp_path / "whole", "--quiet")
    ckpt.succeed("train", path, "--out", tmp_path / "parts", "--steps", 5, "--quiet")
    ckpt.succeed("train", "--resume", tmp_path / "parts", "--quiet")
    assert_equal(ckpt, step_file(tmp_path / "whole", 12), step_file(tmp_path / "parts", 12))


def test_a_length_in_steps_takes_the_place_of_one_in_epochs(ckpt, examples, tmp_path):
    path = examples / "linear-adam.yaml"
    ckpt.succeed("train", path, "--out", tmp_path / "a", "--set", "steps=7", "--quiet")
    ckpt.succeed("train", "--resume", tmp_path / "a", "--set", "epochs=3", "--quiet")
    assert steps_of(tmp_path / "a") == [7, 12]
    ckpt.succeed("train", "--resume", tmp_path / "a", "--set", "steps=13", "--quiet")
    ckpt.succeed("train", path, "--out", tmp_path / "b", "--set", "steps=13", "--quiet")
    assert column(tmp_path / "b", "step") == [1, 13] and column(tmp_path / "a", "step") == [1, 7, 12, 13]


def test_more_steps_than_were_planned(ckpt, tmp_path):
    """--steps raises the target; a schedule keeps the total that it had."""
    data, _ = make_classes(64)(tmp_path, 32)
    path = config("mlp", tmp_path, data, steps=20, schedule={"exponential": {"gamma": 0.9}}, log_every=1)
    ckpt.succeed("train", path, "--out", tmp_path / "short", "--quiet")
    ckpt.succeed("train", "--resume", tmp_path / "short", "--steps", 35, "--quiet")
    ckpt.succeed("train", path, "--out", tmp_path / "long", "--set", "steps=35", "--quiet")
    differences = ckpt.json("diff", step_file(tmp_path / "short", 35), step_file(tmp_path / "long", 35), code=1)
    assert [entry["path"] for entry in differences["changed"]] == ["training.config.steps"]
    assert not differences["only_in_a"] and not differences["only_in_b"]


def test_a_cosine_ends_where_it_was_to_end(ckpt, tmp_path):
    """Neither a call that stops early nor one that goes on for longer moves its total."""
    data, _ = make_classes(64)(tmp_path, 32)
    path = config("mlp", tmp_path, data, steps=20, schedule={"cosine": {"min_lr": 1e-4}})
    for steps in (5, 25, 30):
        ckpt.succeed("train", *(["--resume", tmp_path / "run"] if steps > 5 else [path]), "--steps", steps, "--quiet")
    rates = column(tmp_path / "run", "lr")
    assert rates[:20] == sorted(rates[:20], reverse=True) and rates[0] == 1e-3
    assert rates[20:] == [1e-4] * 10


def test_resume_passes_over_damage_and_says_so(ckpt, whole):
    _, expected = whole("digits-mlp")
    # Beside the other, where its data are found.
    run = expected.parent.with_name("damaged")
    shutil.copytree(expected.parent, run)
    newest = run / expected.name
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    older = step_file(run, 50)
    older.write_bytes(older.read_bytes()[:-100])
    result = ckpt.succeed("train", "--resume", run)
    warnings = [line for line in result.err.splitlines() if "passed over" in line]
    assert [newest.name in warnings[0], older.name in warnings[1], len(warnings)] == [True, True, 2], result
    assert f"going on from {step_file(run, 40)}" in result.err, result
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


def test_the_digest_knows_nothing_of_place_time_or_threads(ckpt, tmp_path):
    """The same run in another folder, from another place, with another number of threads, in three pieces."""
    digests = []
    for name, words, steps in [
        ("a", ["--set", "threads=1"], [15]), ("b", ["--set", "threads=2", "--out", tmp_path / "elsewhere/x"], [3, 9, 15]),
        ("c", ["--out", "../near"], [8, 15]),
    ]:
        folder = tmp_path / name
        folder.mkdir()
        data, _ = make_classes(64)(folder, 32)
        path = config("mlp", folder, data, steps=15)
        cwd = folder if name == "c" else None
        ckpt.succeed("train", "config.yaml" if cwd else path, *words, "--steps", steps[0], "--quiet", cwd=cwd)
        out = {"a": folder / "run", "b": tmp_path / "elsewhere/x", "c": tmp_path / "near"}[name]
        for step in steps[1:]:
            ckpt.succeed("train", "--resume", out, "--steps", step, "--quiet")
        digests.append(digest(step_file(out, 15)))
    assert digests[0] == digests[1] == digests[2]

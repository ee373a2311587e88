"""`verify` finds damage; exit codes; nothing is overwritten or left behind."""

import json
import random
import resource
import signal

import pytest
import torch
from checkpoints import FOLDER, NAMES
from conftest import FIXTURES


@pytest.mark.parametrize("which", ["pt", "h5", "back"])
def test_all_fixtures_are_sound(ckpt, journey, which):
    files = [getattr(journey(name), which) for name in NAMES]
    report = ckpt.json("verify", *files)
    assert report["schema"] == "ckpt.verify/1"
    assert report["ok"], [file for file in report["files"] if not file["ok"]]
    assert [file["path"] for file in report["files"]] == [str(path) for path in files]
    assert all(file["checked"] and file["problems"] == [] for file in report["files"])


@pytest.mark.parametrize("which", ["pt", "h5"])
def test_flipped_bytes_are_found(ckpt, journey, which, tmp_path):
    """Each flip is found, or the file still holds the same tree."""
    source = getattr(journey("sgd_momentum.pt"), which)
    good = source.read_bytes()
    missed = []
    for position in sample(len(good), 40):
        damaged = tmp_path / f"damaged.{which}"
        damaged.write_bytes(flipped(good, position))
        code = ckpt.run("verify", damaged).code
        assert code in (0, 1, 65), f"byte {position}: exit code {code}"
        if code == 0 and ckpt.run("diff", source, damaged).code != 0:
            missed.append(position)
    assert missed == []


def sample(length, count):
    return sorted(random.Random(length).sample(range(length), count))


def flipped(data, position):
    return data[:position] + bytes([data[position] ^ 1 << position % 8]) + data[position + 1 :]


@pytest.mark.parametrize("which", ["pt", "h5"])
def test_truncations_are_found(ckpt, journey, which, tmp_path):
    good = getattr(journey("sgd_momentum.pt"), which).read_bytes()
    for length in [0, 1, 3, 4, 8, *sample(len(good), 12), len(good) - 22, len(good) - 1]:
        damaged = tmp_path / f"damaged.{which}"
        damaged.write_bytes(good[:length])
        code = ckpt.run("verify", damaged).code
        assert code in (1, 65), f"cut to {length} of {len(good)} bytes: exit code {code}"


def test_damage_is_located(ckpt, journey, tmp_path):
    trip = journey("state_dict.pt")
    weight = torch.load(trip.pt)["conv2.weight"].numpy().tobytes()
    data = trip.h5.read_bytes()
    damaged = tmp_path / "damaged.h5"
    damaged.write_bytes(flipped(data, data.index(weight) + 5))
    report = ckpt.json("verify", damaged, code=1)
    assert not report["ok"]
    assert any("conv2.weight" in problem["where"] + problem["what"] for problem in report["files"][0]["problems"])


def test_one_bad_file_among_good_ones(ckpt, journey, tmp_path):
    good = journey("state_dict.pt").h5
    bad = tmp_path / "bad.h5"
    bad.write_bytes(good.read_bytes()[:-1])
    report = ckpt.json("verify", good, bad, code=1)
    assert [file["ok"] for file in report["files"]] == [True, False]


def test_finite(ckpt, tmp_path):
    torch.save({"a": torch.ones(2), "b": torch.tensor([1.0, float("nan")])}, tmp_path / "a.pt")
    ckpt.succeed("verify", tmp_path / "a.pt")
    result = ckpt.expect(1, "verify", tmp_path / "a.pt", "--finite")
    assert "b" in result.out + result.err


# Exit codes


@pytest.mark.parametrize("arguments", [["--nonsense"], ["nonsense"], ["inspect"], ["convert", "a.pt"], ["inspect", "a.pt", "--sort", "colour"]])
def test_usage(ckpt, arguments):
    ckpt.expect(64, *arguments)


def test_unknown_output_format(ckpt, tmp_path):
    ckpt.expect(64, "convert", FOLDER / "state_dict.pt", tmp_path / "a.nonsense")


@pytest.mark.parametrize("command", [["inspect"], ["verify"]])
def test_missing_input(ckpt, command, tmp_path):
    result = ckpt.expect(66, *command, tmp_path / "missing.pt")
    assert "missing.pt" in result.err


def test_missing_inputs(ckpt, tmp_path):
    ckpt.expect(66, "convert", tmp_path / "missing.pt", tmp_path / "a.h5")
    ckpt.expect(66, "diff", FOLDER / "state_dict.pt", tmp_path / "missing.pt")


UNKNOWN = {"empty": b"", "text": b"not a checkpoint\n" * 10, "noise": random.Random(1).randbytes(4000), "zip": b"PK\5\6" + bytes(18)}


@pytest.mark.parametrize("content", UNKNOWN)
def test_unknown_kind(ckpt, tmp_path, content):
    (tmp_path / "unknown.pt").write_bytes(UNKNOWN[content])
    for command in (["inspect"], ["verify"]):
        result = ckpt.expect(65, *command, tmp_path / "unknown.pt")
        assert "unknown.pt" in result.err
    ckpt.expect(65, "convert", tmp_path / "unknown.pt", tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()


def test_errors_say_what_and_where(ckpt, tmp_path):
    (tmp_path / "cut.pt").write_bytes((FOLDER / "state_dict.pt").read_bytes()[:3000])
    result = ckpt.expect(65, "convert", tmp_path / "cut.pt", tmp_path / "a.h5")
    assert result.err.startswith("ckpt: error: ")
    assert "cut.pt" in result.err
    assert result.out == ""


# Outputs


def test_existing_output_is_refused(ckpt, tmp_path):
    out = tmp_path / "a.h5"
    out.write_text("precious")
    result = ckpt.expect(73, "convert", FOLDER / "state_dict.pt", out)
    assert "--overwrite" in result.err
    assert out.read_text() == "precious"
    ckpt.succeed("convert", FOLDER / "state_dict.pt", out, "--overwrite")
    ckpt.succeed("verify", out)


def test_input_is_never_the_output(ckpt, tmp_path):
    path = tmp_path / "a.pt"
    path.write_bytes((FOLDER / "state_dict.pt").read_bytes())
    ckpt.expect(73, "convert", path, path)
    assert path.read_bytes() == (FOLDER / "state_dict.pt").read_bytes()


def test_output_folder_is_missing(ckpt, tmp_path):
    ckpt.expect(73, "convert", FOLDER / "state_dict.pt", tmp_path / "missing" / "a.h5")
    assert list(tmp_path.iterdir()) == []


def test_no_debris_after_bad_input(ckpt, tmp_path):
    """A storage is found damaged when the output is already half written."""
    good = (FOLDER / "transformer_adamw.pt").read_bytes()
    cut = tmp_path / "in"
    cut.mkdir()
    weight = torch.load(FOLDER / "transformer_adamw.pt")["optimizer"]["state"][1]["exp_avg"].numpy().tobytes()
    (cut / "bad.pt").write_bytes(flipped(good, good.index(weight)))
    out = tmp_path / "out"
    out.mkdir()
    ckpt.expect(65, "convert", cut / "bad.pt", out / "a.h5")
    assert list(out.iterdir()) == []
    (out / "a.h5").write_text("precious")
    ckpt.expect(65, "convert", cut / "bad.pt", out / "a.h5", "--overwrite")
    assert [path.name for path in out.iterdir()] == ["a.h5"] and (out / "a.h5").read_text() == "precious"


@pytest.mark.parametrize("suffix", ["h5", "pt"])
def test_disk_full(ckpt, tmp_path, suffix):
    """A limit on file size stands for a full disk."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    ckpt.expect(74, "convert", FIXTURES / "torch" / "transformer_adamw.pt", tmp_path / f"a.{suffix}", preexec_fn=limit)
    assert list(tmp_path.iterdir()) == []


def test_convert_json_is_json(ckpt, tmp_path):
    result = ckpt.succeed("convert", FOLDER / "state_dict.pt", tmp_path / "a.h5", "--json")
    assert isinstance(json.loads(result.out), dict)


def test_quiet(ckpt, tmp_path):
    result = ckpt.succeed("convert", FOLDER / "state_dict.pt", tmp_path / "a.h5", "--quiet")
    assert result.out + result.err == ""


def test_version_and_help(ckpt):
    assert "convert" in ckpt.succeed("--help").out
    ckpt.succeed("--version")

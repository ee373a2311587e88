""".pt -> .h5 -> .pt gives the same tree, as torch sees it."""

import zipfile

import pytest
import torch
from checkpoints import NAMES, SUBSTITUTED, load_original, load_safely
from equality import assert_same, plain


@pytest.mark.parametrize("mmap", [False, True], ids=["read", "mmap"])
@pytest.mark.parametrize("name", NAMES)
def test_same_tree(journey, name, mmap):
    trip = journey(name)
    expected = plain(load_original(trip.pt))
    assert_same(expected, load_safely(trip.back, mmap=mmap))


@pytest.mark.parametrize("name", ["transformer_adamw.pt", "dtypes.pt", "views.pt"])
def test_same_tree_with_calculated_storage_offsets(journey, name):
    """torch may compute where each record lies instead of asking the archive; it must not be led astray."""
    trip = journey(name)
    with torch.utils.serialization.config.patch("load.calculate_storage_offsets", True):
        got = load_safely(trip.back, mmap=True)
    assert_same(plain(load_original(trip.pt)), got)


@pytest.mark.parametrize("name", NAMES)
def test_archive_is_sound(journey, name):
    """CRCs match, records are stored, and storages lie at multiples of 64."""
    path = journey(name).back
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        for record in archive.infolist():
            assert record.compress_type == zipfile.ZIP_STORED, record.filename
            if "/data/" in record.filename:
                assert payload_offset(data, record) % 64 == 0, record.filename


def payload_offset(data, record):
    name, extra = (int.from_bytes(data[record.header_offset + at :][:2], "little") for at in (26, 28))
    return record.header_offset + 30 + name + extra


@pytest.mark.parametrize("name", sorted(set(NAMES) - SUBSTITUTED))
def test_no_warning_of_substitution(journey, name):
    assert "weights_only" not in journey(name).warnings


def test_substitutions_are_warned_of(journey):
    """Each object that came back in another form is named."""
    warnings = journey("objects.pt").warnings
    names = [
        "namespace", "simple_namespace", "dataclass", "plain", "namedtuple", "numpy_scalars", "numpy_arrays", "numpy_random_state",
        "path", "datetime", "decimal", "enum", "defaultdict", "frozenset",
    ]  # fmt: skip
    assert [name for name in names if name not in warnings] == []


@pytest.mark.parametrize("name", ["transformer_adamw.pt", "odd_names.pt", "views.pt"])
def test_conversion_is_deterministic(ckpt, journey, name, tmp_path):
    trip = journey(name)
    ckpt.succeed("convert", trip.pt, tmp_path / trip.h5.name)
    ckpt.succeed("convert", trip.h5, tmp_path / trip.back.name)
    assert (tmp_path / trip.h5.name).read_bytes() == trip.h5.read_bytes()
    assert (tmp_path / trip.back.name).read_bytes() == trip.back.read_bytes()


def test_small_slice_does_not_carry_its_storage(ckpt, tmp_path):
    torch.save({"slice": torch.zeros(1_000_000)[:10]}, tmp_path / "a.pt")
    ckpt.succeed("convert", tmp_path / "a.pt", tmp_path / "a.h5")
    ckpt.succeed("convert", tmp_path / "a.h5", tmp_path / "b.pt")
    assert (tmp_path / "a.h5").stat().st_size < 100_000
    assert (tmp_path / "b.pt").stat().st_size < 10_000

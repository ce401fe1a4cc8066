"""PyTorch's state dicts, read without PyTorch: every way of writing them, and nothing in them is executed."""

import contextlib
import os
import pickle
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from conftest import random_layers
from torch_files import Parameter, archive, pickled, stream, write_state
from weight_files import torchvision_arrays

from dnr_jax.weights import layer_widths, read_layout, read_weights
from dnr_jax.weights.commands import main
from dnr_jax.weights.torch_file import read_state_dict

WIDTHS = (4, 5, 6, 7, 8)


@pytest.mark.parametrize("zipped", [True, False])
def test_our_reader_of_state_dicts_agrees_with_torch(tmp_path: Path, zipped: bool) -> None:
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(3)
    base = torch.randn(6, 8, generator=generator)
    state = OrderedDict(
        plain=base,
        transposed=base.T,
        part=base[1:5, ::2],
        half=base.half(),
        brain=base.bfloat16(),
        double=base.double(),
        count=torch.tensor(7),
        none=torch.zeros(0, 3),
    )
    torch.save(state, tmp_path / "s.pth", _use_new_zipfile_serialization=zipped)
    ours = read_state_dict(tmp_path / "s.pth")
    theirs = torch.load(tmp_path / "s.pth", weights_only=True)
    assert list(ours) == list(theirs)
    for name, tensor in theirs.items():
        assert ours[name].shape == tuple(tensor.shape)
        np.testing.assert_array_equal(ours[name].read(), tensor.float().numpy())


@pytest.mark.parametrize("zipped", [True, False])
def test_state_dicts_written_without_torch_are_read(tmp_path: Path, zipped: bool) -> None:
    rng = np.random.default_rng(5)
    base = rng.normal(size=(6, 8)).astype(np.float32)
    state: OrderedDict[str, np.ndarray] = OrderedDict(
        plain=base,
        transposed=base.T,
        part=base[1:5, ::2],
        half=rng.normal(size=3).astype(np.float16),
        brain=rng.normal(size=(2, 2)).astype(ml_dtypes.bfloat16),
        double=rng.normal(size=4),
        count=np.array(7),
        none=np.zeros((0, 3), np.float32),
    )
    held: OrderedDict[str, Any] = OrderedDict(state, parameter=Parameter(base[0]))
    held._metadata = OrderedDict({"": {"version": 1}})  # pyright: ignore[reportAttributeAccessIssue]
    write_state(tmp_path / "s.pth", held, zipped=zipped)
    ours = read_state_dict(tmp_path / "s.pth")
    assert list(ours) == list(held)
    for name, array in (*state.items(), ("parameter", base[0])):
        assert ours[name].shape == array.shape
        np.testing.assert_array_equal(ours[name].read(), array.astype(np.float32))


def test_a_state_dict_as_the_first_pytorch_wrote_it_is_read(tmp_path: Path) -> None:
    # torchvision's file is of 2017: pairs in a list, tensors without gradients, storages from a GPU, raw at the end.
    arrays = torchvision_arrays(random_layers(WIDTHS))

    class State:
        def __reduce__(self):
            return OrderedDict, ([[name, array] for name, array in arrays.items()],)

    write_state(tmp_path / "old.pth", State(), zipped=False, old=True)
    tensors = read_state_dict(tmp_path / "old.pth")
    assert list(tensors) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(tensors[name].read(), array)
    assert layer_widths(read_layout(tmp_path / "old.pth").layers) == WIDTHS


class Evil:
    """What a hostile pickle looks like: loading it calls a function."""

    def __init__(self, function: Any, *arguments: Any):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def attacks(trap: Path) -> dict[str, bytes]:
    """Pickles that would make the file `trap`, change what this process holds, or take all of its memory."""
    shell, made = f"touch {trap}", {}
    for protocol in (0, 1, 2, 4):
        made[f"os.system {protocol}"] = pickle.dumps({"features.0.weight": Evil(os.system, shell)}, protocol)
        made[f"key {protocol}"] = pickle.dumps({Evil(os.system, shell): 1}, protocol)
    made["Path.touch"] = pickle.dumps({"a": Evil(Path.touch, trap)}, 2)
    made["eval"] = pickle.dumps({"a": Evil(eval, f"open({str(trap)!r}, 'w')")}, 2)
    made["a tensor's argument"] = pickled({"a": np.ones(2), "b": Evil(os.system, shell)})[0]
    text = repr(shell).encode()
    made["INST"] = b"(S" + text + b"\nios\nsystem\n."
    made["OBJ"] = b"\x80\x02(cos\nsystem\nS" + text + b"\no."
    made["NEWOBJ"] = b"\x80\x02csubprocess\nPopen\n(S" + text + b"\nt\x81."
    made["EXT1"] = b"\x80\x02\x82\x01."
    made["BUILD"] = b"\x80\x02ctorch._utils\n_rebuild_tensor\n}U\x04nameU\x01xsb."
    made["BUILD on a dict's class"] = b"\x80\x02ccollections\nOrderedDict\n}U\x05itemsU\x01xsb."
    made["dotted"] = b"\x80\x04\x8c\x0ctorch._utils\x8c\x0cos.system.xy\x93."
    made["memory of values"] = b"\x80\x02}r\xff\xff\xff\x7f."
    made["memory as text"] = b"}p2000000000\n."
    made["bytes"] = b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b"."
    made["text"] = b"\x80\x04\x8d" + (1 << 40).to_bytes(8, "little") + b"."
    made["storage"] = b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000NJ\xff\xff\xff\xfftQ."
    made["unknown storage"] = b"\x80\x02(X\x07\x00\x00\x00storagecos\nsystem\nX\x01\x00\x00\x000NK\x01tQ."
    made["deep key"] = b"\x80\x02}K\x01" + b"\x85" * 2_000_000 + b"K\x01s."
    made["huge tensor"] = pickled({"a": np.ones(2, np.float32)})[0].replace(b"K\x02\x85", b"J\x00\x00\x00\x7f\x85")
    return made


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_in_a_state_dict_is_executed(tmp_path: Path, capfd: pytest.CaptureFixture[str], zipped: bool) -> None:
    trap = tmp_path / "executed"
    pickle.loads(attacks(tmp_path / "proof")["os.system 2"])
    assert (tmp_path / "proof").exists()
    for name, data in attacks(trap).items():
        path = tmp_path / "evil.pth"
        path.write_bytes((archive if zipped else stream)(data))
        assert main(["weights", "convert", f"--input={path}", f"--output={tmp_path / 'out'}"]) == 2, name
        out, err = capfd.readouterr()
        assert not out
        assert len(err.splitlines()) == 1, name
        assert "evil.pth cannot be read as PyTorch weights" in err, name
        assert not trap.exists(), name
        assert not (tmp_path / "out").exists()


def test_a_tensor_never_reaches_past_what_the_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    held = {"0": np.ones(2, np.float32)}
    data, arrays = pickled({"a": np.ones(4_000_000, np.float32), "b": held["0"]})
    assert list(arrays) == ["0", "1"]
    # Both tensors say that their values are in one storage, of other sizes.
    path.write_bytes(stream(data.replace(b"X\x01\x00\x00\x001", b"X\x01\x00\x00\x000"), held))
    with pytest.raises(ValueError, match=r"storage '0' has two types or sizes: refused"):
        read_state_dict(path)
    # A file that is cut after it was looked at.
    path.write_bytes(stream(data, arrays))
    tensors = read_state_dict(path)
    os.truncate(path, path.stat().st_size - 4_000_016)
    with pytest.raises(ValueError, match="it ends too early"):
        tensors["a"].read()


def test_a_bomb_in_an_archive_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.pth", "w", zipfile.ZIP_DEFLATED) as written:
        written.writestr("archive/data.pkl", pickled({})[0])
        written.writestr("archive/byteorder", b"little" + bytes(1 << 26))
    tracemalloc.start()
    with pytest.raises(ValueError, match="not little-endian"):
        read_state_dict(tmp_path / "evil.pth")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 23


def test_names_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "evil.pth").write_bytes(archive(pickle.dumps({"a": Evil(os.system, "true")}, 2)))
    with pytest.raises(ValueError, match=r"it asks for '(posix|nt)\.system': refused"):
        read_state_dict(tmp_path / "evil.pth")


def test_damaged_state_dicts_are_refused(tmp_path: Path) -> None:
    arrays = torchvision_arrays(random_layers(WIDTHS))
    state = pickled(OrderedDict(arrays))
    old, new = stream(*state), archive(*state)
    cases = {"short": old[:-500], "shorter": old[:600], "cut": new[: len(new) // 2], "list": archive(pickle.dumps([1]))}
    cases["number"] = archive(pickle.dumps({"features.0.weight": 3}, protocol=2))
    cases["named by a number"] = archive(pickle.dumps({3: 3}, protocol=2))
    cases["unmarked"] = archive(b"\x80\x02}u.")
    cases["big-endian"] = archive(*state).replace(b"little", b"big   ")
    for name, data in cases.items():
        path = tmp_path / f"damaged {name}"
        path.write_bytes(data)
        with pytest.raises(ValueError, match=f"damaged {name}"):
            read_weights(path)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("zipped", [True, False])
def test_mutated_state_dicts_are_read_or_refused(tmp_path: Path, zipped: bool, protocol: int) -> None:
    arrays = {name: np.ones((2, 3), np.float32) for name in ("features.0.weight", "features.0.bias", "other")}
    data, held = pickled(OrderedDict(arrays), protocol=protocol)
    rng = np.random.default_rng(4)
    path = tmp_path / "mutated.pth"
    read = 0
    for case in range(400):
        mutated = bytearray(data)
        for place in rng.integers(2, len(data), 1 + case % 3):
            kind = rng.integers(3)
            if kind == 0:
                mutated[place % len(mutated)] = int(rng.integers(256))
            elif kind == 1:
                del mutated[place : place + int(rng.integers(1, 9))]
            else:
                start = int(rng.integers(len(data)))
                mutated[place:place] = data[start : start + int(rng.integers(1, 30))]
        path.write_bytes((archive if zipped else stream)(bytes(mutated), held))
        with contextlib.suppress(ValueError):
            for tensor in read_state_dict(path).values():
                assert tensor.read().shape == tensor.shape
            read += 1
    assert 0 < read < 400

"""PyTorch's state dicts, read without PyTorch: every way of writing them, and nothing in them is executed."""

import contextlib
import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from conftest import random_layers
from weight_files import torchvision_arrays, write_torch

from dnr_jax.weights import layer_widths, read_layout, read_weights
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


def test_a_state_dict_as_the_first_pytorch_wrote_it_is_read(tmp_path: Path) -> None:
    # torchvision's file is of 2017: pairs in a list, tensors without gradients, storages from a GPU, raw at the end.
    torch = pytest.importorskip("torch")
    arrays = torchvision_arrays(random_layers(WIDTHS))

    class Storage(str):
        __slots__ = ()

    class Tensor:
        def __init__(self, name: str):
            self.name = name

        def __reduce__(self):
            array = arrays[self.name]
            strides = tuple(step // 4 for step in array.strides)
            return torch._utils._rebuild_tensor, (Storage(self.name), 0, array.shape, strides)

    class State:
        def __reduce__(self):
            return OrderedDict, ([[name, Tensor(name)] for name in arrays],)

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: object) -> object:
            if not isinstance(obj, Storage):
                return None
            return "storage", torch.FloatStorage, f"key of {obj}", "cuda:0", arrays[obj].size, None

    with (tmp_path / "old.pth").open("wb") as file:
        for header in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}):
            pickle.dump(header, file, protocol=2)
        Pickler(file, protocol=2).dump(State())
        pickle.dump([f"key of {name}" for name in arrays], file, protocol=2)
        for array in arrays.values():
            file.write(array.size.to_bytes(8, "little") + array.tobytes())
    tensors = read_state_dict(tmp_path / "old.pth")
    assert list(tensors) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(tensors[name].read(), array)
    assert layer_widths(read_layout(tmp_path / "old.pth").layers) == WIDTHS


def zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", data)
    return file.getvalue()


class Evil:
    """What a hostile pickle looks like: loading it writes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_in_a_state_dict_is_executed(tmp_path: Path) -> None:
    trap = tmp_path / "executed"
    pickle.loads(pickle.dumps(Evil(tmp_path / "proof")))
    assert (tmp_path / "proof").exists()
    (tmp_path / "evil.pth").write_bytes(zipped(pickle.dumps({"features.0.weight": Evil(trap)}, protocol=2)))
    with pytest.raises(ValueError, match=r"evil.pth cannot be read.*refused"):
        read_weights(tmp_path / "evil.pth")
    assert not trap.exists()


def test_damaged_state_dicts_are_refused(tmp_path: Path) -> None:
    write_torch(tmp_path / "old", random_layers(WIDTHS), zipped=False)
    write_torch(tmp_path / "new", random_layers(WIDTHS))
    old, new = (tmp_path / "old").read_bytes(), (tmp_path / "new").read_bytes()
    cases = {"short": old[:-500], "shorter": old[:600], "cut": new[: len(new) // 2], "list": zipped(pickle.dumps([1]))}
    cases["number"] = zipped(pickle.dumps({"features.0.weight": 3}, protocol=2))
    cases["unmarked"] = zipped(b"\x80\x02}u.")
    rng = np.random.default_rng(4)
    for name, good in (("old", old), ("new", new)):
        head = len(good) if name == "new" else 3000
        for case in range(40):
            damaged = bytearray(good)
            damaged[rng.integers(14, head)] ^= int(rng.integers(1, 256))
            cases[f"{name} {case}"] = bytes(damaged)
    for name, data in cases.items():
        path = tmp_path / f"damaged {name}"
        path.write_bytes(data)
        if name.startswith(("old ", "new ")):
            # One byte of many may not matter; when it does, the file is refused and nothing else happens.
            with contextlib.suppress(ValueError):
                read_weights(path)
        else:
            with pytest.raises(ValueError, match=f"damaged {name}"):
                read_weights(path)

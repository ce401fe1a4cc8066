"""Programs kept on the disk: what comes back from there, what asks for another one, and what is never kept."""

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import keep_programs as keep

from dnr_jax import programs
from dnr_jax.programs import drop, program, run_together


class Pair(NamedTuple):
    first: jax.Array
    second: jax.Array | None


class Scaled(flax.struct.PyTreeNode):
    values: dict[str, Any]
    factor: float = flax.struct.field(pytree_node=False, default=1.0)


traced: list[str] = []


def _work(scaled: Scaled, pair: Pair, number: Any, *, mode: str = "sum", scale: tuple[int, ...] = (1,)) -> Pair:
    traced.append(mode)
    rows = scaled.values["rows"] * scaled.factor
    total = jnp.cumsum(jnp.tanh(rows) + pair.first * number, axis=0)
    return Pair(total * scale[0] if mode == "sum" else total.max(0), pair.second)


def _step(state: jax.Array, more: jax.Array) -> jax.Array:
    return state + more


work = program(static_argnames=("mode", "scale"))(_work)
step = program(donate_argnames=("state",))(_step)


def arguments(length: int = 5, dtype: Any = jnp.float32) -> tuple[Scaled, Pair, Any]:
    rows = jnp.asarray(np.random.default_rng(0).normal(size=(length, 3)), dtype)
    return Scaled({"rows": rows}), Pair(rows + rows, None), 2.0


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Keeps the programs of a test in a folder of its own, as a fresh process that has made none."""
    monkeypatch.setattr(programs, "_OWN", {*programs._OWN, "test_programs"})
    keep(tmp_path)
    like_a_new_process()
    yield tmp_path
    keep(None)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.program"))


def like_a_new_process() -> None:
    drop()
    jax.clear_caches()
    traced.clear()


def assert_same(found: Pair, wanted: Pair) -> None:
    assert isinstance(found, Pair)
    np.testing.assert_array_equal(found.first, wanted.first)
    assert (found.second is None) == (wanted.second is None)


def test_a_kept_program_is_not_traced_again(kept: Path) -> None:
    before = work(*arguments())
    assert traced == ["sum"]
    assert_same(work(*arguments()), before)
    assert traced == ["sum"]
    like_a_new_process()
    assert_same(work(*arguments()), before)
    assert_same(work(scaled=arguments()[0], pair=arguments()[1], number=2.0, mode="sum"), before)
    assert not traced
    (file,) = files(kept)
    assert file.name.startswith("test_programs._work-")


def test_it_is_what_jit_returns(kept: Path) -> None:
    for _ in range(2):
        for mode in ("sum", "most"):
            wanted = jax.jit(_work, static_argnames=("mode",))(*arguments(), mode=mode)
            assert_same(work(*arguments(), mode=mode), wanted)
        like_a_new_process()
    assert len(files(kept)) == 2


def test_other_values_ask_for_no_other_program(kept: Path) -> None:
    scaled, pair, _ = arguments()
    first = work(scaled, pair, 2.0)
    second = work(scaled, pair, 3.0)
    assert len(files(kept)) == 1
    assert not np.array_equal(first.first, second.first)


@pytest.mark.parametrize("other", ["shape", "dtype", "field", "static", "none", "type"])
def test_what_asks_for_another_program(kept: Path, other: str) -> None:
    scaled, pair, number = arguments()
    work(scaled, pair, number)
    like_a_new_process()
    if other == "shape":
        scaled, pair, _ = arguments(6)
    elif other == "dtype":
        scaled, pair, _ = arguments(dtype=jnp.float16)
    elif other == "field":
        scaled = scaled.replace(factor=0.5)
    elif other == "none":
        pair = Pair(pair.first, pair.first)
    elif other == "type":
        number = jnp.float32(2)
    found = work(scaled, pair, number, scale=(2,) if other == "static" else (1,))
    assert traced == ["sum"]
    assert len(files(kept)) == 2
    like_a_new_process()
    assert_same(work(scaled, pair, number, scale=(2,) if other == "static" else (1,)), found)
    assert not traced


@pytest.mark.parametrize("other", ["code", "flags", "processor", "version"])
def test_other_surroundings_ask_for_another_program(kept: Path, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    work(*arguments())
    like_a_new_process()
    if other == "code":
        monkeypatch.setattr(programs, "_code", lambda: "other")
    elif other == "flags":
        monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    elif other == "processor":
        monkeypatch.setattr(programs, "processor_name", lambda: "other")
    elif other == "version":
        monkeypatch.setattr(programs, "jaxlib_version", "0.0")
    keep(kept)
    work(*arguments())
    assert traced == ["sum"]
    assert len(files(kept)) == 2


def test_what_a_file_of_flags_holds_asks_for_another_program(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = tmp_path / "flags.txt"
    monkeypatch.setenv("XLA_FLAGS", str(flags))
    for text in ("--xla_a=1", "--xla_a=1 --xla_b=2"):
        flags.write_text(text)
        like_a_new_process()
        keep(kept)
        work(*arguments())
        work(*arguments())
        assert traced == ["sum"]
    assert len(files(kept)) == 2


def test_a_folder_that_is_not_there_yet_keeps_programs(tmp_path: Path, kept: Path) -> None:
    keep(tmp_path / "new" / "folder")
    work(*arguments())
    assert len(files(tmp_path / "new" / "folder")) == 1


def test_settings_of_a_thread_ask_for_another_program(kept: Path) -> None:
    """Also in a process that holds the one without them; works then run one after the other, in the caller's thread."""
    work(*arguments())
    with jax.default_matmul_precision("float32"):
        work(*arguments())
        here = threading.get_ident()
        assert run_together(threading.get_ident, threading.get_ident) == [here, here]
    assert traced == ["sum", "sum"]
    assert len(files(kept)) == 2
    work(*arguments())
    assert len(traced) == 2


def test_the_code_is_that_of_the_start(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written to the package's files later is not what this process runs."""
    monkeypatch.setattr(programs, "_code", lambda: "later")
    work(*arguments())
    monkeypatch.undo()
    monkeypatch.setattr(programs, "_OWN", {*programs._OWN, "test_programs"})
    keep(kept)
    like_a_new_process()
    work(*arguments())
    assert not traced


def test_what_others_have_written_is_not_kept(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest does not tell of their code; JAX's cache, which sees what it becomes, does."""
    monkeypatch.setattr(programs, "_OWN", programs._OWN - {"test_programs"})
    work(*arguments())
    assert not files(kept)
    step(jnp.ones(4), jnp.ones(4))
    assert len(files(kept)) == 1, "arrays alone are known"


def test_the_digest_of_the_code_is_of_every_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "programs.py").write_text("a = 1")
    (tmp_path / "inner" / "other.py").write_text("b = 1")
    monkeypatch.setattr(programs, "__file__", str(tmp_path / "programs.py"))
    before = programs._code()
    (tmp_path / "inner" / "other.py").write_text("b = 2")
    assert programs._code() != before


def test_consumed_arguments_are_consumed(kept: Path) -> None:
    for _ in range(2):
        state, more = jnp.ones(4), jnp.arange(4.0)
        np.testing.assert_array_equal(step(state, more), [1, 2, 3, 4])
        assert state.is_deleted()
        assert not more.is_deleted()
        like_a_new_process()
    assert len(files(kept)) == 1


def test_traced_calls_are_those_of_jit(kept: Path) -> None:
    rows = jnp.ones((3, 4))
    np.testing.assert_array_equal(
        jax.vmap(step, in_axes=(0, None))(rows, jnp.arange(4.0)), 1 + np.tile(np.arange(4.0), (3, 1))
    )
    np.testing.assert_array_equal(jax.grad(lambda x: step(x, 1 * x).sum())(jnp.ones(4)), 2 * jnp.ones(4))
    np.testing.assert_array_equal(jax.jit(lambda x: step(x, 1 * x))(jnp.ones(4)), 2 * jnp.ones(4))
    assert not files(kept)


def test_without_jit_nothing_is_kept(kept: Path) -> None:
    with jax.disable_jit():
        step(jnp.ones(4), jnp.ones(4))
    assert not files(kept)


def test_a_program_within_another_is_part_of_it(kept: Path) -> None:
    """Also where nothing of its arguments is traced."""
    outer = program()(_outer)
    for _ in range(2):
        np.testing.assert_array_equal(outer(jnp.ones(4)), 1 + 2 * np.arange(4.0))
        like_a_new_process()
    assert [file.name.split("-")[0] for file in files(kept)] == ["test_programs._outer"]


def _outer(x: jax.Array) -> jax.Array:
    return x + step(jnp.arange(4.0), jnp.arange(4.0))


@pytest.mark.parametrize("content", [b"", b"no pickle", None], ids=["empty", "other", "cut"])
def test_a_damaged_file_is_replaced(kept: Path, content: bytes | None) -> None:
    before = work(*arguments())
    (file,) = files(kept)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content is None else content)
    like_a_new_process()
    assert_same(work(*arguments()), before)
    assert traced == ["sum"]
    like_a_new_process()
    assert_same(work(*arguments()), before)
    assert not traced


def test_nothing_is_kept_where_nothing_can_be_written(kept: Path) -> None:
    (kept / "file").write_text("")
    keep(kept / "file")
    work(*arguments())
    work(*arguments())
    assert traced == ["sum"]
    assert (kept / "file").read_text() == ""


def test_what_only_this_process_understands_is_not_kept(kept: Path) -> None:
    scaled, pair, number = arguments()
    work(scaled.replace(factor=_Number()), pair, number)
    assert not files(kept)


class _Number:
    """A static value whose `repr` is an address."""

    def __rmul__(self, other: jax.Array) -> jax.Array:
        return other


@pytest.mark.usefixtures("own_cache")
def test_a_program_that_jax_has_kept_is_compiled_anew(kept: Path) -> None:
    """What XLA has loaded from JAX's cache, it cannot write whole once more."""
    wanted = jax.jit(_work, static_argnames=("mode",))(**dict(zip(("scaled", "pair", "number"), arguments())))  # noqa: B905
    assert list((kept / "jax").glob("*-cache"))
    like_a_new_process()
    for _ in range(2):
        assert_same(work(*arguments()), wanted)
        like_a_new_process()
    assert len(files(kept)) == 1
    assert jax.config.values["jax_enable_compilation_cache"]


@pytest.fixture
def own_cache(tmp_path: Path) -> Iterator[None]:
    """JAX's own cache in a folder of the test's own."""
    from jax.experimental.compilation_cache import compilation_cache

    before = jax.config.values["jax_compilation_cache_dir"]
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "jax"))
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()


def test_threads_may_share_it(kept: Path) -> None:
    found: list[Pair] = []
    threads = [threading.Thread(target=lambda: found.append(work(*arguments()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert traced == ["sum"], "one thread compiles, the others wait"
    for pair in found:
        assert_same(pair, found[0])
    assert len(files(kept)) == 1


def test_without_a_folder_it_is_jit() -> None:
    like_a_new_process()
    work(*arguments())
    work(*arguments())
    assert traced == ["sum"]
    assert not programs._loaded


def test_works_run_together_where_programs_are_kept(kept: Path) -> None:
    barrier = threading.Barrier(2, timeout=20)

    def wait(n: int) -> int:
        barrier.wait()  # Passes only once both are here.
        return n

    assert run_together(partial(wait, 1), partial(wait, 2)) == [1, 2]
    with pytest.raises(ZeroDivisionError):
        run_together(lambda: 1, lambda: 1 // 0)
    keep(None)
    here = threading.get_ident()
    assert run_together(threading.get_ident, threading.get_ident) == [here, here]


def test_what_cannot_be_traced_may_be_tried_again(kept: Path) -> None:
    """The error is the caller's each time, and nothing is left waiting."""
    scaled, pair, number = arguments()
    for _ in range(2):
        with pytest.raises(TypeError):
            work(scaled, Pair(pair.first[:2], None), number)
    assert not files(kept)
    work(scaled, pair, number)
    assert len(files(kept)) == 1

"""Under DNR_COMPLETE=1 a skip that could have been avoided fails, and the others are counted."""

import pytest
from batch_photos import ROOT

pytest_plugins = ["pytester"]

SKIPS = """
import pytest

def test_needs_data():
    pytest.skip("no shared data at /nowhere: set DNR_SHARED")

@pytest.mark.skipif(True, reason="this system has no named pipes")
def test_needs_a_system():
    pass

@pytest.fixture
def rendering():
    pytest.skip("no Chromium: apt-get install chromium")

def test_needs_a_browser(rendering):
    pass

@pytest.mark.xfail(strict=True)
def test_expected_to_fail():
    assert False
"""
AVOIDABLE = """
import pytest

def test_needs_a_package():
    pytest.importorskip("a_package_that_is_not_there")

def test_is_lazy():
    pytest.skip("not today")
"""
WHOLE_MODULE = "import pytest\npytest.importorskip('a_package_that_is_not_there')\n\ndef test_nothing():\n    pass\n"


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A suite of its own, with our rule."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))
    pytester.makeconftest('pytest_plugins = ["complete_runs"]')
    pytester.makepyfile(test_unavoidable=SKIPS, test_avoidable=AVOIDABLE, test_whole=WHOLE_MODULE)
    return pytester


@pytest.mark.parametrize("workers", [pytest.param("-n0", marks=pytest.mark.slow), "-n1"])
def test_a_complete_run_fails_for_what_could_have_been_met(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    monkeypatch.setenv("DNR_COMPLETE", "1")
    result = suite.runpytest_subprocess(workers, "-p", "no:randomly", "--continue-on-collection-errors")
    result.assert_outcomes(failed=2, skipped=3, xfailed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*DNR_COMPLETE=1 and skipped, for a reason that can be met: could not import*",
            "*DNR_COMPLETE=1: 3 skipped*",
            "1 no shared data at /nowhere: set DNR_SHARED",
        ]
    )
    assert result.ret != 0
    unavoidable = suite.runpytest_subprocess(workers, "-p", "no:randomly", "test_unavoidable.py")
    assert unavoidable.ret == 0


def test_other_runs_skip_as_usual(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DNR_COMPLETE", raising=False)
    result = suite.runpytest_subprocess("-n0", "-p", "no:randomly")
    result.assert_outcomes(skipped=6, xfailed=1)
    assert "DNR_COMPLETE" not in result.stdout.str()

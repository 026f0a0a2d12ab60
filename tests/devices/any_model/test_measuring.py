"""Models measured together on a device whose truth is known; what cannot be is named."""

import pytest

import hwnas
from hwnas.devices.any_model import Measured, MeasureOptions, measuring, report
from hwnas.devices.any_model.cases import labels
from hwnas.errors import HwnasError, ModelRejectedError, OptionError
from hwnas.onnx_graph import to_onnx
from hwnas.profilers.protocol import run_rounds
from hwnas.testing import SyntheticRuntime


@pytest.fixture
def files(small_space, tmp_path):
    """Two models, the second of more weights."""
    for name, arch in (("a", [0, 0, 0, 0]), ("b", [5, 5, 5, 5])):
        (tmp_path / f"{name}.onnx").write_bytes(small_space.to_onnx(arch))
    return [tmp_path / "a.onnx", tmp_path / "b.onnx"]


class Explaining(SyntheticRuntime):
    """Ten threads are no faster than one; its profile explains half of each run."""

    def explain(self, model, between=lambda: None):
        from hwnas.profilers.layers import LayerTime

        for _ in range(8):
            between()
        conv, relu = (LayerTime(name, part * self.true_ms(model), {}, name) for name, part in PARTS)
        return [conv, relu, conv]


PARTS = (("Conv", 0.2), ("Relu", 0.1))


def test_one_model_is_a_measurement(files):
    runtime = SyntheticRuntime(noise=0.0, spell=1.0, outliers=0.0, name="board")
    found = hwnas.measure(files[0], runtime=runtime, seconds=0)
    truth = runtime.true_ms(files[0].read_bytes())
    assert isinstance(found, Measured)
    assert (found.label, found.target.device) == ("a.onnx", "board")
    assert found.steady_ms == pytest.approx(truth)
    assert found.interval_ms == pytest.approx((truth, truth))
    assert (found.p90_ms, found.p99_ms) == pytest.approx((truth, truth))
    assert found.latency.runs == 100  # by four loads, 25 each
    assert found.probe.operators == ()  # this runtime makes no profile


def test_spells_show_in_the_percentiles_and_not_in_the_steady_latency(files):
    runtime = SyntheticRuntime(noise=0.01, spell=2.0, outliers=0.0)
    found = hwnas.measure(str(files[1]), runtime=runtime, seconds=20)
    truth = runtime.true_ms(files[1].read_bytes())
    assert found.steady_ms == pytest.approx(truth, rel=0.02)
    assert found.p90_ms == pytest.approx(2 * truth, rel=0.05)
    assert found.p99_ms >= found.p90_ms >= found.median_ms


def test_several_are_interleaved_and_compared(files):
    runtime = SyntheticRuntime(seed=1)
    found = hwnas.measure(files, runtime=runtime, seconds=0)
    truth = [runtime.true_ms(path.read_bytes()) for path in files]
    (compared,) = found.comparisons
    assert (compared.one, compared.other) == ("a.onnx", "b.onnx")
    assert compared.change == pytest.approx(truth[1] / truth[0] - 1, abs=2 * compared.error)
    assert compared.differs
    assert [one.label for one in found.measured] == ["a.onnx", "b.onnx"]
    assert not found.refused


def test_all_are_interleaved_whatever_their_files_are_called(files, monkeypatch):
    companies = []

    def spied(*given, **named):
        for taken in run_rounds(*given, **named):
            companies.append(len(taken.runs_ms))
            yield taken

    monkeypatch.setattr(measuring, "run_rounds", spied)
    odd = files[0].rename(files[0].with_name("network a.onnx"))
    hwnas.measure([odd, files[1]], runtime=SyntheticRuntime(noise=0.0, spell=1.0), seconds=0)
    assert set(companies) == {2 * 4}  # both, by four loads each


def test_operators_are_shares_of_the_whole(files):
    runtime = Explaining(noise=0.0, spell=1.0, outliers=0.0)
    probe = hwnas.measure(files[0], runtime=runtime, seconds=0).probe
    conv, relu = probe.operators
    assert (conv.operator, conv.layers, relu.layers) == ("Conv", 2, 1)
    assert (conv.share, relu.share) == pytest.approx((0.4, 0.1))
    assert probe.operators_sum == pytest.approx(0.5)


def test_what_cannot_be_measured_is_named_and_the_rest_is_measured(files, tmp_path, monkeypatch):
    def refuse(*given):
        raise ModelRejectedError("no tools for that")

    monkeypatch.setattr("hwnas.devices.any_model.converting.run_child", refuse)
    (tmp_path / "page.onnx").write_bytes(b"<html>404</html>")
    models = [*files, tmp_path / "page.onnx", tmp_path / "nowhere.onnx"]
    options = MeasureOptions(
        runtime=SyntheticRuntime(), seconds=0, precision=("fp32", "int8"), batch=(1, 8)
    )
    found = report(models, options)
    assert [one.label for one in found.measured] == [
        "a.onnx, batch 1, fp32",
        "b.onnx, batch 1, fp32",
    ]
    assert len(found.refused) == 2 * 3 + 2 * 4
    assert "is a web page" in found.refused["page.onnx, batch 1, fp32"]
    assert "no ONNX model at" in found.refused["nowhere.onnx, batch 8, int8"]
    assert found.refused["a.onnx, batch 1, int8"] == "no tools for that"
    assert "fixes its batch at 1, got 8" in found.refused["b.onnx, batch 8, fp32"]


def test_a_number_of_threads_that_a_runtime_does_not_heed_is_said(files):
    found = hwnas.measure(files[0], runtime=SyntheticRuntime(), seconds=0, threads=(1, 2))
    assert [one.label for one in found.measured] == ["a.onnx, 1 thread"]
    (remark,) = found.remarks
    assert remark.startswith("2 threads: synthetic on synthetic runs the same with any number")


def test_settings_without_effect_are_said(small_space, tmp_path):
    import onnx

    dynamic = onnx.load_from_string(to_onnx(small_space.graph([0, 0, 0, 0])))
    dynamic.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "n"
    dynamic.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "n"
    path = tmp_path / "dynamic.onnx"
    path.write_bytes(dynamic.SerializeToString())
    # the synthetic device counts nodes and weights: a batch costs nothing
    found = hwnas.measure(path, runtime=SyntheticRuntime(), seconds=0, batch=(1, 4))
    assert [one.target.batch for one in found.measured] == [1, 4]
    (remark,) = found.remarks
    assert remark.startswith("dynamic.onnx: no effect seen of batch 4 against 1")


def test_nothing_to_measure_is_an_error(files, tmp_path):
    with pytest.raises(HwnasError, match=r"^no ONNX model at"):
        hwnas.measure(tmp_path / "nowhere.onnx", runtime=SyntheticRuntime())
    with pytest.raises(OptionError, match="give at least one model"):
        hwnas.measure([], runtime=SyntheticRuntime())
    with pytest.raises(OptionError, match="measure has no argument 'thread': it takes device"):
        hwnas.measure(files[0], thread=2)
    with pytest.raises(OptionError, match="batch: whole numbers above 0, got 0"):
        hwnas.measure(files[0], batch=0)
    with pytest.raises(OptionError, match="precisions are fp32, fp16, int8, got 'fp8'"):
        hwnas.measure(files[0], precision="fp8")


def test_labels_tell_models_apart():
    assert labels(["x/a.onnx", "y/b.onnx"]) == ["a.onnx", "b.onnx"]
    assert labels(["x/a.onnx", "y/a.onnx"]) == ["x/a.onnx", "y/a.onnx"]
    assert labels(["a.onnx", "a.onnx", b"", b""]) == [
        "a.onnx",
        "a.onnx again",
        "model",
        "model again",
    ]


def test_a_runtime_that_this_process_registered_is_probed_in_it(files):
    hwnas.register_runtime("mine", lambda threads: SyntheticRuntime(name=f"{threads} threads"))
    found = hwnas.measure(files[0], runtime="mine", seconds=0, threads=2)
    assert found.target.device == "2 threads"
    assert found.probe.load_ms > 0


@pytest.mark.parametrize(("fit", "loads"), [(100, 4), (3, 3), (1, 1), (0, 1)])
def test_a_model_is_loaded_as_often_as_memory_allows(files, monkeypatch, fit, loads):
    class Counting(SyntheticRuntime):
        sizes = ()

        def load(self, model, *, warm=False):
            self.sizes += (len(model),)
            return super().load(model, warm=warm)

    counting = Counting()
    size = files[0].stat().st_size
    # a load takes a model twice, and all together take a quarter of the memory
    monkeypatch.setattr(measuring, "machine_bytes", lambda: int(4 * 2 * size * (fit + 0.5)))
    hwnas.measure(files[0], runtime=counting, seconds=0)
    assert counting.sizes.count(counting.sizes[1]) == 1 + loads  # that of the probe


def test_a_model_that_loads_no_second_time_is_named(files):
    class Moody(SyntheticRuntime):
        loaded = 0

        def load(self, model, *, warm=False):
            self.loaded += 1
            if self.loaded > 2:  # the small one of the probe, and the first
                raise ModelRejectedError("no memory is left for it")
            return super().load(model, warm=warm)

    with pytest.raises(OptionError, match="no memory is left for it"):
        hwnas.measure(files[0], runtime=Moody(), seconds=0)

"""Several precisions under one budget: the better network, in a precision that pays as measured."""

import json

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from click.testing import CliRunner
from onnx import numpy_helper

import hwnas
from hwnas.cli import group
from hwnas.errors import (
    BudgetMissedError,
    CheckpointError,
    HwnasError,
    InfeasibleBudgetError,
    OptionError,
)
from hwnas.latency_tables import LatencyTable
from hwnas.predictors import load_predictor
from hwnas.profilers import RUNTIMES, Plan, profile_space
from hwnas.search.candidates.twins import not_faster
from hwnas.search.precisions import precisions_of
from hwnas.search.result import summary
from hwnas.search.runs.precision_rows import as_fp32
from hwnas.search.runs.stored import StoredRun
from hwnas.testing import SyntheticRuntime

QUICK = {
    **{"steps": 8, "batch_size": 16, "population": 6, "generations": 2, "parents": 3},
    **{"proxy_input_size": 8, "proxy_width": 1.0, "verify_seconds": 0, "validation_images": 100},
}
BOTH = ("fp32", "int8")


@pytest.fixture(scope="module", autouse=True)
def _quick():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("hwnas.search.searchers.proposals.RANDOM_PATHS", 6)
        patched.setattr("hwnas.search.candidates.evaluation._CALIBRATION_IMAGES", 64)
        patched.setattr("hwnas.search.candidates.verification._PAUSES_S", ())
        patched.setattr("hwnas.devices.any_model.twins._LEAST_RUNS", 5)
        patched.setattr("hwnas.devices.any_model.twins._MOST_RUNS", 5)
        yield


@pytest.fixture(scope="module", autouse=True)
def _short_profiles():
    with pytest.MonkeyPatch.context() as patched:
        plan = Plan(tolerance=0.05, min_runs=10, max_runs=10)
        patched.setattr("hwnas.devices.tables.profile_plan", lambda seconds: plan)
        yield


def board(factor, patched):
    """Make this machine a device whose int8 networks take so many times the time of fp32."""
    quiet = {"noise": 0.001, "spell": 1.0, "outliers": 0.0, "int8_factor": factor}
    made = SyntheticRuntime(**quiet, name=f"int8 x {factor}")
    patched.setitem(RUNTIMES._registered, "synthetic", lambda threads: made)
    return made


@pytest.fixture
def device(monkeypatch):
    return lambda factor: board(factor, monkeypatch)


@pytest.fixture(scope="module")
def faster(tiny, _quick, _short_profiles, tmp_path_factory):
    """A search on a device where int8 is faster, and the latency budget."""
    folder = tmp_path_factory.mktemp("faster")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HWNAS_HOME", str(folder / "home"))
        runtime = board(0.4, patched)
        archs = tiny.sample(40, seed=0)
        limit = float(np.median([runtime.true_ms(tiny.to_onnx(arch)) for arch in archs]))
        return searched(tiny, folder / "run", limit), runtime, limit


def searched(space, out, limit, precision=BOTH, **more):
    return hwnas.find_network(
        space,
        "digits",
        [f"latency<={limit}ms"],
        precision=precision,
        out=out,
        **{"device": "cpu", "runtime": "synthetic", **QUICK, **more},
    )


def accuracy_of(path, data, count=100):
    """Of an ONNX file on the first validation images, one at a time."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    x, y = (np.concatenate(parts)[:count] for parts in zip(*data.validation(), strict=True))
    name = session.get_inputs()[0].name
    outputs = [session.run(None, {name: np.asarray(image[None])})[0][0] for image in x]
    return float((np.argmax(outputs, 1) == y).mean())


def trained_steps(folder):
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [e["step"] for e in map(json.loads, lines) if e["event"] == "trained"]


def test_int8_that_is_faster_is_searched_with_the_supernet_of_fp32(tiny, digits, faster):
    found, runtime, limit = faster
    out = found.folder
    fp32, int8 = found.content["precisions"]
    assert (fp32["precision"], int8["precision"]) == BOTH
    assert (fp32["why_not"], int8["why_not"]) == (None, None)
    assert fp32["measured_ms"] <= limit
    assert int8["measured_ms"] <= limit
    # one supernet
    assert trained_steps(out / "fp32")[-1] == QUICK["steps"]
    assert trained_steps(out / "int8") == []
    # the twins are what the device says of both
    space, arch = found.space, tiny.parse(int8["architecture"])
    own = runtime.true_ms((out / int8["folder"] / "best.onnx").read_bytes())
    twin = runtime.true_ms(space.to_onnx(arch))
    assert int8["twins"]["measured"]
    assert int8["twins"]["own_ms"] == pytest.approx(own, rel=0.02)
    assert int8["twins"]["fp32_ms"] == pytest.approx(twin, rel=0.02)
    assert int8["twins"]["change"] == pytest.approx(own / twin - 1, abs=0.02)
    # the accuracy is that of the file in its precision, and the better one is returned
    for one in (fp32, int8):
        file = out / one["folder"] / "best.onnx"
        assert one["accuracy"] == accuracy_of(file, digits)
    best = max((fp32, int8), key=lambda one: (one["accuracy"], -one["measured_ms"]))
    assert found.content["precision"] == best["precision"]
    assert found.architecture == best["architecture"]
    assert (out / "best.onnx").read_bytes() == (out / best["folder"] / "best.onnx").read_bytes()
    assert found.onnx == (out / "best.onnx").read_bytes()
    # the folder is a run: it is trained further, searched again, and read
    stored = StoredRun.open(out)
    assert tiny.format(stored.architecture()) == found.architecture
    assert stored.home == out / "fp32"
    assert stored.has_supernet
    rows = dict(summary(found.content, out))
    assert rows["precision"] == f"{best['precision']}, the best of what follows"
    assert f"{int8['measured_ms']:.3f} ms measured" in rows["int8"]
    assert "less time than the same in fp32 beside it" in rows["int8"]


def test_int8_that_is_slower_is_never_returned_and_it_is_said(tiny, device, said, tmp_path):
    runtime, out = device(1.3), tmp_path / "run"
    # all of fp32 keeps the budget, and so does most of int8
    limit = 1.2 * max(runtime.true_ms(tiny.to_onnx(a)) for a in tiny.sample(40, seed=0))
    found = searched(tiny, out, limit)
    fp32, int8 = found.content["precisions"]
    assert found.content["precision"] == "fp32"
    assert int8["twins"]["change"] > 0
    assert "int8 is not faster, and not returned" in int8["why_not"]
    assert "int8 is not faster, and not returned" in said()
    assert found.architecture == fp32["architecture"]
    assert "int8 is not faster" in dict(summary(found.content, out))["int8"]
    kinds = {node.op_type for node in onnx.load(out / "best.onnx").graph.node}
    assert "QuantizeLinear" not in kinds


def test_a_budget_that_only_int8_keeps_is_kept_by_it(tiny, device, tmp_path):
    runtime, out = device(0.4), tmp_path / "run"
    limit = 0.8 * min(runtime.true_ms(tiny.to_onnx(a)) for a in tiny.sample(40, seed=0))
    found = searched(tiny, out, limit)
    fp32, _ = found.content["precisions"]
    assert found.content["precision"] == "int8"
    assert fp32["architecture"] is None
    assert "no architecture" in fp32["why_not"]
    assert found.measured_ms <= limit
    assert trained_steps(out / "int8")[-1] == QUICK["steps"]
    assert StoredRun.open(out).home == out / "int8"
    with pytest.raises(InfeasibleBudgetError, match="no precision has a network to return: fp32"):
        searched(tiny, tmp_path / "none", limit / 10)
    assert not (tmp_path / "none").exists()


def test_where_int8_does_not_pay_and_fp32_has_no_network_there_is_none(
    tiny, device, monkeypatch, tmp_path
):
    from hwnas.devices.any_model.twins import Twins

    runtime = device(0.4)
    limit = 0.8 * min(runtime.true_ms(tiny.to_onnx(a)) for a in tiny.sample(40, seed=0))
    same = Twins(own_ms=1.0, fp32_ms=1.01, change=-0.01, error=0.02)
    monkeypatch.setattr("hwnas.search.candidates.twins.measure_twins", lambda *a, **k: same)
    with pytest.raises(BudgetMissedError, match=r"int8: its network takes 1.000 ms .*not faster"):
        searched(tiny, tmp_path / "run", limit)
    assert not (tmp_path / "run" / "result.json").exists()


def test_the_same_call_goes_on_and_ends_the_same(tiny, faster, device, monkeypatch, tmp_path):
    whole, _, limit = faster
    device(0.4)
    out = tmp_path / "run"

    class Killed(BaseException):
        pass

    def kill(*args, **kwargs):
        raise Killed

    for place in (
        "hwnas.search.methods.spos.search",
        "hwnas.search.from_supernet.search_supernet",
        "hwnas.search.precisions.judging.measured_twins",
        "hwnas.search.precisions.searching.Run",
    ):
        with monkeypatch.context() as patched:
            patched.setattr(place, kill)
            with pytest.raises(Killed):
                searched(tiny, out, limit)
        assert not (out / "result.json").exists()
    twins = (out / "int8").rglob("twins.json")
    kept = next(twins).read_bytes()
    found = searched(tiny, out, limit)
    assert trained_steps(out / "int8") == []
    assert next((out / "int8").rglob("twins.json")).read_bytes() == kept  # not measured again
    assert found.architecture == whole.architecture
    for mine, other in zip(found.content["precisions"], whole.content["precisions"], strict=True):
        assert (mine["architecture"], mine["accuracy"]) == (
            other["architecture"],
            other["accuracy"],
        )
    again = searched(tiny, out, limit)
    assert again.content == found.content == json.loads((out / "result.json").read_text())
    with pytest.raises(CheckpointError, match="holds another run"):
        searched(tiny, out / "fp32", limit)
    with pytest.raises(CheckpointError, match="a run with other settings"):
        searched(tiny, out, limit, seed=1)


def test_an_int8_winner_is_trained_exported_as_int8_and_verified(
    tiny, digits, device, hwnas_command, tmp_path
):
    runtime, out = device(0.4), tmp_path / "run"
    limit = 0.8 * min(runtime.true_ms(tiny.to_onnx(a)) for a in tiny.sample(40, seed=0))
    searched(tiny, out, limit, precision="int8")
    words = ("train", out, "--full", "--steps", "30", "--train-batch", "64", "--out", out / "t")
    made = hwnas_command(*words)["in_precision"]
    file = out / "t" / made["file"]
    graph = onnx.load(file).graph
    assert made["precision"] == "int8"
    assert sum(n.op_type == "Conv" for n in graph.node) < sum(
        n.op_type == "QuantizeLinear" for n in graph.node
    )
    x, y = (np.concatenate(part) for part in zip(*digits.test(), strict=True))
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    outputs = [session.run(None, {"input": np.asarray(image[None])})[0][0] for image in x]
    assert made["images"] == len(y)
    assert made["accuracy"] == pytest.approx((np.argmax(outputs, 1) == y).mean())
    # the first pair ends at the largest magnitude of the calibration images
    scale = next(numpy_helper.to_array(t) for t in graph.initializer if t.name == "input.scale")
    assert float(scale) == pytest.approx(float(np.abs(digits.calibration(64)).max()) / 127)
    told = hwnas_command("verify", out, "--network", file, "--seconds", "0")
    assert told["target"]["precision"] == "int8"
    assert told["measured_ms"] == pytest.approx(runtime.true_ms(file.read_bytes()), rel=0.02)
    assert not (out / "verified.json").exists()
    other = tiny.to_onnx([5] * len(tiny.n_choices), metadata={"hwnas.arguments": "{}"})
    (tmp_path / "other.onnx").write_bytes(other)
    with pytest.raises(CheckpointError, match=r"is not the network that result\.json"):
        hwnas_command("verify", out, "--network", tmp_path / "other.onnx")


@pytest.fixture
def hwnas_command():
    """Runs a command line in this process; returns its JSON document."""

    def run(*words):
        done = CliRunner().invoke(group, [*map(str, words), "--json"], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    return run


FLAGS = {"batch_size": "--train-batch"}


def flag(name):
    return f"--{name.replace('_', '-')}"


def test_a_supernet_of_one_precision_is_searched_in_another(
    faster, device, hwnas_command, tmp_path
):
    found, _, limit = faster
    device(0.4)
    words = ("search", "--supernet", found.folder / "fp32", "--latency", f"{limit}ms")
    quick = ("--population", "6", "--generations", "2", "--parents", "3", "--verify-seconds", "0")
    words = (*words, *quick, "--device", "cpu", "--runtime", "synthetic", "--precision", "int8")
    (again,) = hwnas_command(*words, "--out", tmp_path / "again")["budgets"]
    assert again["target"]["precision"] == "int8"
    assert again["architecture"] == found.content["precisions"][1]["architecture"]


SPACE = """
from hwnas import spaces
inner = spaces.space(
    "proxyless", input_size=8, classes=10, stage_widths=(8, 8), stage_depths=(1, 2),
    stage_strides=(1, 2), first_width=8, stem_width=8, head_width=16,
)
space = spaces.SearchSpace("mine", {}, inner.layout)
"""


def test_on_this_machine_as_a_user_types_it(digits, hwnas_command, tmp_path):
    (tmp_path / "my_space.py").write_text(SPACE)
    words = ("search", "--space", f"{tmp_path / 'my_space.py'}:space", "--latency", "1s")
    flags = [word for k, v in QUICK.items() for word in (FLAGS.get(k, flag(k)), v)]
    words = (*words, "--precision", "fp32,int8", *flags, "--out", tmp_path / "run")
    found = hwnas_command(*words)
    fp32, int8 = found["precisions"]
    twins = int8["twins"]
    assert twins["measured"]
    pays = twins["change"] < -twins["error"]
    assert (int8["why_not"] is None) == pays
    if not pays or int8["accuracy"] < fp32["accuracy"]:
        assert found["precision"] == "fp32"
    for one in (fp32, int8):
        assert one["accuracy"] == accuracy_of(
            tmp_path / "run" / one["folder"] / "best.onnx", digits
        )


@pytest.fixture(scope="module")
def tables(tiny, tmp_path_factory):
    """Of a board that is not here: fp32, and int8 that takes 0.4 times as long."""
    folder, plan = tmp_path_factory.mktemp("tables"), Plan(1.0, min_runs=10, max_runs=10)
    runtime = SyntheticRuntime(noise=0.0, spell=1.0, outliers=0.0, int8_factor=0.4)
    for precision in BOTH:
        table = profile_space(tiny, runtime, precision=precision, plan=plan)
        table.save(folder / f"{precision}.json")
    return [str(folder / f"{precision}.json") for precision in BOTH]


def test_without_the_device_predictions_decide(tiny, tables, tmp_path):
    predictors = [load_predictor(LatencyTable.load(path), tiny) for path in tables]
    limit = float(np.median(predictors[0].predict(tiny.sample(40, seed=0))))
    given = {"predictor": tables, "device": "auto", "runtime": None}
    found = searched(tiny, tmp_path / "run", limit, **given)
    _, int8 = found.content["precisions"]
    ms = [float(p.predict(tiny.parse(int8["architecture"])[None])[0]) for p in predictors]
    assert int8["twins"]["measured"] is False
    assert int8["twins"]["change"] == pytest.approx(ms[1] / ms[0] - 1)
    assert int8["why_not"] is None
    assert found.measured_ms is None
    assert found.content["verify"] == f"hwnas verify {tmp_path / 'run'}"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"precision": "fp32,fp8"}, "precision is one of fp32, fp16, int8, or None, got 'fp8'"),
        ({"precision": ("int8", "int8")}, "precision int8 is given twice: give each once"),
        ({"precision": ("int8", "fp16")}, "compared with fp32, got int8,fp16: add fp32"),
        ({"precision": "fp32,fp16"}, "SyntheticRuntime runs fp32, int8, got 'fp16'"),
        ({"precision": 8}, "precision is one of fp32, fp16, int8, or None, got 8"),
        ({"predictor": "a.json"}, "one for each of fp32,int8, in this order, --table FILE,FILE"),
        ({"accuracies": "a.csv:b"}, "accuracies are looked up for one precision"),
    ],
)
def test_what_is_not_allowed_is_refused_before_anything_is_trained(
    tiny, device, tmp_path, given, says
):
    device(0.4)
    with pytest.raises(OptionError, match=says):
        searched(tiny, tmp_path / "run", 1, **given)
    assert not (tmp_path / "run").exists()


def test_tables_are_in_the_order_of_the_precisions(tiny, tables, tmp_path):
    with pytest.raises(HwnasError, match="table for precision fp32 was measured in int8: name the"):
        searched(tiny, tmp_path / "run", 1, predictor=",".join(reversed(tables)), runtime=None)


def test_tables_of_two_spaces_do_not_say_the_space(tmp_path):
    shipped = "amd-epyc-1thread,amd-epyc-1thread-int8"
    says = r"tables are of proxyless.* and resnet18-bits.*: name tables of one space"
    with pytest.raises(OptionError, match=says):
        searched(None, tmp_path / "run", 1, predictor=shipped, runtime=None, proxy_width=0.25)


def test_what_is_not_known_to_be_faster_is_not_returned():
    twins = {"own_ms": 0.9, "fp32_ms": 1.0, "change": -0.1, "error": 0.05, "measured": True}
    assert not_faster("int8", twins) is None
    assert "int8 is not faster" in not_faster("int8", {**twins, "error": 0.1})
    assert "is not known: it is not returned" in not_faster("int8", None)


def test_few_bits_have_one_precision(tmp_path):
    with pytest.raises(OptionError, match="its precision is int8, got fp32"):
        searched("resnet18-bits", tmp_path / "run", 1, proxy_width=0.25)


def test_precisions_are_a_text_or_a_list():
    assert precisions_of(None) == ()
    assert precisions_of("int8") == ("int8",)
    assert precisions_of("fp32, int8") == precisions_of(["fp32", "int8"]) == BOTH


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({"precision": "int8"}, ", as fp32"),
        ({"precision": "fp32"}, ""),
        ({"kind": "cpu"}, ""),  # a damaged file, or one of another version
        ("not said", ""),
    ],
)
def test_accuracies_of_another_precision_are_said_to_be(target, said):
    assert as_fp32({"target": target, "bitops": None}) == said

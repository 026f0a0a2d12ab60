"""Times that ship, and times fitted to a card whose truth is written down."""

import csv
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwnas.errors import DataError, OptionError, PredictorFormatError
from hwnas.kernels.fused import ConvolutionShape
from hwnas.predictors.tensorrt import ConvolutionTimes, shipped_convolutions
from hwnas.predictors.tensorrt.campaign import read_campaign
from hwnas.predictors.tensorrt.fitting import Recipe, fit_convolutions, held_out_groups

PRECISIONS = ("fp32", "fp16", "int8")


@pytest.fixture(scope="module")
def shipped():
    return {precision: ConvolutionTimes.load(precision) for precision in PRECISIONS}


def square(inputs, outputs, size, kernel=1, stride=1, **more):
    after = -(-size // stride)
    return ConvolutionShape(
        *(inputs, outputs, size, size, after, after), (kernel, kernel), (stride, stride), **more
    )


# What ships

#: Rows of the campaign: what was measured in each precision, ms.
MEASURED = [
    ("fp32", square(64, 64, 28, 3), 32, 0.110387),
    ("fp32", square(3, 32, 206, 3, 2), 1, 0.0160768),
    ("fp32", square(3, 32, 206, 3, 2), 128, 0.470323),
    ("fp32", square(192, 192, 28, 5, groups=192), 64, 0.47104),
    ("fp16", square(64, 64, 56, 3), 32, 0.11991),
    ("fp16", square(3, 64, 214, 7, 2), 32, 0.372838),
    ("fp16", square(512, 512, 14, 3, fused_add=True), 64, 0.631501),
    ("int8", square(64, 64, 56, 3), 32, 0.148173),
    ("int8", square(256, 1024, 14), 1, 0.0203776),
    ("int8", square(384, 384, 14, 3, groups=384), 1, 0.0083968),
    ("int8", square(512, 512, 14, 3, fused_add=True), 64, 1.08206),
]


def test_each_precision_ships_below_three_megabytes():
    found = shipped_convolutions()
    assert set(found) == set(PRECISIONS)
    assert all(path.stat().st_size < 3_000_000 for path in found.values())


@pytest.mark.parametrize(("precision", "shape", "batch", "ms"), MEASURED)
def test_measured_times_are_predicted(shipped, precision, shape, batch, ms):
    assert shipped[precision].predict([shape], batch)[0] == pytest.approx(ms, rel=0.1)
    assert shipped[precision].outside([shape], batch) == [None]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_no_time_is_below_the_floor_and_most_grow_with_the_batch(shipped, precision):
    times = shipped[precision]
    shapes = [
        square(inputs, outputs, size, kernel)
        for inputs in (16, 64, 256)
        for outputs in (32, 128)
        for size in (7, 14, 56, 112)
        for kernel in (1, 3, 5)
    ]
    one, eight, full = (times.predict(shapes, batch) for batch in (1, 8, 128))
    assert one.min() >= times.floor_ms
    assert np.mean(eight >= one) > 0.8
    assert np.all(full > one)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_linear_layer_of_one_image_reads_its_weights_at_the_memory_s_rate(shipped, precision):
    bytes_moved = {"fp32": 4, "fp16": 2, "int8": 1}[precision] * (4096 + 4096 + 4096**2)
    layer = [ConvolutionShape(4096, 4096, 1, 1, 1, 1)]
    times = shipped[precision]
    assert times.predict(layer, 1)[0] == pytest.approx(times.floor_ms + bytes_moved / 900e6)
    assert times.predict(layer, 1)[0] < times.predict(layer, 128)[0]
    assert times.outside(layer, 1)[0].startswith("1x1 maps")


def test_many_shapes_are_predicted_at_once_and_each_alone(shipped):
    times = shipped["fp16"]
    rng = np.random.default_rng(0)
    shapes = [square(*row) for row in rng.integers(5, 200, (10_000, 3))]
    start = time.process_time()
    together = times.predict(shapes, 32)
    assert time.process_time() - start < 5  # about one second
    np.testing.assert_allclose(
        together[:20], [times.predict([s], 32)[0] for s in shapes[:20]], 1e-4
    )
    assert times.predict([], 32).shape == (0,)


def test_intervals_hold_the_prediction_and_grow_with_confidence(shipped):
    times, shapes = shipped["fp16"], [square(64, 64, 28, 3), square(16, 8, 14)]
    narrow, wide = (times.interval_factors(shapes, 32, c) for c in (0.5, 0.95))
    assert (wide[:, 0] <= narrow[:, 0]).all()
    assert (narrow[:, 0] <= 1).all()
    assert (narrow[:, 1] >= 1).all()
    assert (wide[:, 1] > narrow[:, 1]).all()
    spread = times.log_spread(shapes, 32)
    assert spread[1] > spread[0] > 0  # few channels run in one of two kernels, nobody knows which


def test_predicting_needs_neither_torch_nor_scikit_learn():
    code = (
        "import sys; from hwnas.predictors.tensorrt import ConvolutionTimes as C;"
        "from hwnas.kernels.fused import ConvolutionShape as S;"
        "t = C.load('int8'); s = [S(64, 64, 28, 28, 28, 28, (3, 3))]; t.predict(s, 1);"
        "t.interval_factors(s, 1, 0.9); print({'torch', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# A fit


def true_ms(row):
    """A card without tiles: a launch, and arithmetic and bytes one after the other."""
    after = -(-row["size"] // row["stride"])
    pixels, window = row["batch"] * after**2, row["kernel"] ** 2
    depth = 1 if row["convolution"] == "depthwise" else row["in_channels"]
    macs = pixels * row["out_channels"] * window * depth
    moved = row["batch"] * row["size"] ** 2 * row["in_channels"] + pixels * row["out_channels"]
    return 0.01 + macs / 4e9 + 4 * moved / 6e8


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(1500):
        inputs, outputs = rng.choice([16, 32, 64, 128, 256], 2).tolist()
        kind = "depthwise" if inputs == outputs and rng.random() < 0.5 else "regular"
        row = {
            "precision": "fp32",
            "convolution": kind,
            "batch": int(rng.choice([1, 32, 64])),
            "in_channels": inputs,
            "size": int(rng.choice([6, 8, 14, 28])),
            "out_channels": outputs,
            "kernel": int(rng.choice([1, 3, 5])),
            "stride": int(rng.choice([1, 2])),
            "fused_add": 0,
        }
        found.append(row | {"ms": true_ms(row) * np.exp(0.02 * rng.standard_normal())})
    return found


@pytest.fixture(scope="module")
def written(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("campaign") / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def fitted(written):
    campaign = read_campaign(written)["fp32"]
    recipe = Recipe(networks=1, width=32, epochs=30, size_epochs=5)
    return campaign, *fit_convolutions(campaign, "fp32", {"source": "a test"}, recipe)


def test_a_fit_recovers_a_card_from_shapes_it_did_not_see(fitted):
    campaign, times, held_out = fitted
    error = np.abs(held_out.predicted_ms / campaign.ms[held_out.rows] - 1)
    assert error.mean() < 0.08  # 2 % are noise
    assert 0.8 < held_out.inside.mean() < 0.98
    everywhere = [square(48, 96, 10, 3), square(128, 128, 28, 5, 2, groups=128)]
    assert times.predict(everywhere, 16) == pytest.approx(
        [
            true_ms(
                {"convolution": kind, "batch": 16, "size": s.height, "kernel": s.kernel[0]}
                | {
                    "in_channels": s.in_channels,
                    "out_channels": s.out_channels,
                    "stride": s.stride[0],
                }
            )
            for s, kind in zip(everywhere, ("regular", "depthwise"), strict=True)
        ],
        rel=0.25,
    )


def test_no_shape_is_held_out_in_part(fitted):
    campaign, _, held_out = fitted
    groups = campaign.groups()
    inside = np.zeros(len(campaign), bool)
    inside[held_out.rows] = True
    assert not set(groups[inside]) & set(groups[~inside])
    assert 0.1 < inside.mean() < 0.3


def test_batches_and_sums_of_a_shape_are_one_group_and_strides_are_not(rows, written):
    campaign = read_campaign(written)["fp32"].take(np.array([0, 0, 0]))
    first = campaign.shapes[0]
    changed = [first, replace(first, fused_add=True), replace(first, stride=(4, 4))]
    groups = replace(campaign, shapes=changed, batch=np.array([1, 32, 1])).groups()
    assert groups.tolist() == [0, 0, 1]
    drawn = held_out_groups(np.repeat(np.arange(1000), 3), 0.2, seed=0)
    assert np.all(drawn.reshape(-1, 3).all(1) == drawn.reshape(-1, 3).any(1))
    assert 0.15 < drawn.mean() < 0.25


def test_the_range_is_that_of_the_rows(fitted):
    _, times, _ = fitted
    assert times.measured.batch == (1, 64)
    assert times.measured.kernels == (1, 3, 5)
    assert times.measured.size == (6, 28)
    assert times.outside([square(16, 16, 8, 7)], 1) == ["kernel 7x7: measured were 1, 3, 5"]


def test_a_saved_fit_predicts_the_same(fitted, tmp_path):
    _, times, _ = fitted
    times.save(tmp_path / "own.npz")
    read = ConvolutionTimes.load(tmp_path / "own.npz")
    shapes = [square(64, 32, 14, 3)]
    assert read.predict(shapes, 8) == times.predict(shapes, 8)
    np.testing.assert_array_equal(
        read.interval_factors(shapes, 8, 0.9), times.interval_factors(shapes, 8, 0.9)
    )
    assert read.notes == {"source": "a test"}


def test_the_same_seed_fits_the_same(written):
    campaign = read_campaign(written)["fp32"].take(np.arange(300))
    recipe = Recipe(networks=2, width=8, epochs=1, size_epochs=1)
    one, other = (fit_convolutions(campaign, "fp32", {}, recipe)[0] for _ in range(2))
    shapes = [square(64, 32, 14, 3)]
    assert one.predict(shapes, 8) == other.predict(shapes, 8)
    assert one.predict(shapes, 8) != fit_convolutions(
        campaign, "fp32", {}, replace(recipe, seed=1)
    )[0].predict(shapes, 8)


# Bad input


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ms": "-1"}, "its time is -1.0 ms"),
        ({"ms": "nan"}, "its time is nan ms"),
        ({"kernel": "0"}, "whole numbers from 1"),
        ({"size": "7.5"}, "invalid literal"),
        ({"fused_add": "2"}, "fused_add is 0 or 1"),
        ({"convolution": "dilated"}, "its kind is 'dilated'"),
        ({"convolution": "depthwise", "out_channels": "9"}, "it is depthwise, of"),
    ],
)
def test_a_row_that_is_no_measurement_is_refused(rows, change, said, tmp_path):
    row = {name: str(value) for name, value in rows[0].items()} | change
    lines = [",".join(row), ",".join(row.values())]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"line 2 of .*rows\.csv") as caught:
        read_campaign(tmp_path / "rows.csv")
    assert said in str(caught.value)


def test_batches_below_one_and_wrong_confidences_are_refused(fitted):
    _, times, _ = fitted
    with pytest.raises(OptionError, match="a batch is 1 or more images, got 0"):
        times.predict([square(16, 16, 8)], 0)
    with pytest.raises(OptionError, match="confidence lies between 0 and 1"):
        times.interval_factors([square(16, 16, 8)], 1, 1.0)


def wrong(times):
    """Files whose parts do not fit each other, and what is said of them."""
    networks, doubt = times.efficiency, times.uncertainty
    first, *others = networks.weights
    bad = np.array(first)
    bad[0, 0, 0] = np.nan
    yield replace(times, precision="fp64"), "its precision is 'fp64'"
    yield replace(times, floor_ms=0.0), "its floor is 0.0"
    yield replace(times, notes="none"), "its notes"
    yield replace(times, efficiency=replace(networks, weights=(bad, *others))), "finite numbers"
    yield replace(times, efficiency=replace(networks, low=networks.low[1:])), "do not read"
    yield replace(times, efficiency=replace(networks, scale=0 * networks.scale)), "no range"
    yield replace(times, efficiency=replace(networks, weights=tuple(others))), "do not fit"
    yield replace(times, efficiency=replace(networks, biases=networks.biases[:-1])), "no single"
    yield replace(times, efficiency=replace(networks, weights=())), "no single"
    yield replace(times, uncertainty=replace(doubt, scores=doubt.scores[::-1])), "not in order"
    yield replace(times, uncertainty=replace(doubt, deviation=0.0)), "deviation is not positive"
    yield replace(times, measured=replace(times.measured, size=(1,))), ""
    yield replace(times, measured=None), ""


def test_a_file_whose_parts_do_not_fit_is_refused(fitted, tmp_path):
    for at, (times, said) in enumerate(wrong(fitted[1])):
        path = tmp_path / f"{at}.npz"
        times.save(path)
        with pytest.raises(PredictorFormatError, match="holds no times of convolutions") as caught:
            ConvolutionTimes.load(path)
        assert said in str(caught.value)


def test_a_damaged_file_is_refused(fitted, tmp_path):
    path = tmp_path / "own.npz"
    fitted[1].save(path)
    whole = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for _ in range(20):
        damaged = whole.copy()
        for at in rng.integers(0, len(whole), 20):
            damaged[at] ^= 0xFF
        path.write_bytes(damaged)
        with pytest.raises(PredictorFormatError, match=r"is not a predictor|holds no times"):
            ConvolutionTimes.load(path)


def test_a_pickle_in_a_file_runs_nothing(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    np.savez(tmp_path / "own.npz", description=np.array([Bomb()], dtype=object))
    with pytest.raises(PredictorFormatError, match="allow_pickle=False"):
        ConvolutionTimes.load(tmp_path / "own.npz")
    assert not (tmp_path / "exploded").exists()


def test_an_unknown_name_is_refused():
    with pytest.raises(PredictorFormatError, match="no predictor at fp64"):
        ConvolutionTimes.load("fp64")


def test_a_file_that_claims_to_be_huge_is_refused(tmp_path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,), }"
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(tmp_path / "own.npz", "w") as file:
        file.writestr("description.npy", array)
    with pytest.raises(PredictorFormatError, match=r"own\.npz is not a predictor"):
        ConvolutionTimes.load(tmp_path / "own.npz")

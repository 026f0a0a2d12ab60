"""Synthetic devices whose latencies are known: the regressor must find out what they do."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.model_selection import cross_val_score, cross_validate

from hwnas import spaces
from hwnas.errors import ArchitectureError, DataError, OptionError, PredictorFormatError
from hwnas.predictors import shipped_predictors
from hwnas.predictors.regression import regressor
from hwnas.predictors.regression.boosting import fit_boosting
from hwnas.predictors.regression.candidates import CANDIDATES
from hwnas.predictors.regression.columns import Columns
from hwnas.predictors.regression.regressor import LatencyRegressor
from hwnas.predictors.regression.stored import read, write
from hwnas.predictors.regression.views import Batch, views_of

SPACE = spaces.space("nasbench201")
#: none, skip, 1x1, 3x3, pooling
EDGE_MS = np.array([0.0, 0.0, 1.0, 3.0, 0.5])


def rows(n, sizes, seed=0):
    return np.random.default_rng(seed).integers(0, sizes, (n, len(sizes)))


def additive_ms(archs, seed=1):
    """5 ms, and for each column an own price a value."""
    prices = np.random.default_rng(seed).uniform(0.1, 2.0, (archs.shape[1], archs.max() + 1))
    return 5 + prices[np.arange(archs.shape[1]), archs].sum(axis=1)


def pairwise_ms(archs):
    """1 ms a column, and 1 ms more where neighbours are equal."""
    return archs.shape[1] + (archs[:, 1:] == archs[:, :-1]).sum(axis=1)


def compiled_ms(archs):
    """2 ms, and the edges on a path from node 0 to node 3; edges are 10, 20, 21, 30, 31, 32."""
    there = archs != 0
    e10, e20, e21, e30, e31, e32 = there.T
    live2 = (e20 | e10 & e21) & e32
    live = np.stack(
        [
            e10 & (e31 | e21 & e32),
            e20 & e32,
            e21 & e10 & live2,
            e30,
            e31 & e10,
            live2,
        ],
        axis=1,
    )
    return 2 + (EDGE_MS[archs] * live).sum(axis=1)


def worst(model, archs, ms):
    return np.abs(model.predict(archs) / ms - 1).max()


def mean_error(model, archs, ms):
    return np.abs(model.predict(archs) / ms - 1).mean()


def test_an_additive_device_is_recovered():
    archs = rows(400, [4] * 8)
    ms = additive_ms(archs)
    model = LatencyRegressor().fit(archs[:150], ms[:150])
    assert worst(model, archs[150:], ms[150:]) < 0.005
    assert model.chosen_ == "decisions"


def test_an_additive_device_is_recovered_through_noise_and_outliers():
    archs = rows(1000, [4] * 8)
    ms = additive_ms(archs)
    rng = np.random.default_rng(5)
    noisy = ms[:400] * np.exp(rng.normal(0, 0.02, 400))
    noisy[::20] *= 2
    model = LatencyRegressor().fit(archs[:400], noisy)
    assert mean_error(model, archs[400:], ms[400:]) < 0.01


def test_operator_prices_are_recovered_from_ten_samples():
    prices = np.array([0.2, 1.0, 3.0])
    archs = rows(500, [3] * 6)
    ms = prices[archs].sum(axis=1)
    model = LatencyRegressor().fit(archs[:10], ms[:10])
    assert mean_error(model, archs[10:], ms[10:]) < 0.02


def test_a_pairwise_device_needs_pairs_and_chooses_them():
    archs = rows(1200, [3] * 6)
    ms = pairwise_ms(archs).astype(float)
    model = LatencyRegressor().fit(archs[:300], ms[:300])
    assert model.chosen_ == "pairs"
    assert mean_error(model, archs[300:], ms[300:]) < 0.005
    assert model.report_.errors["decisions"] > 0.05


def test_blocks_are_found_and_chosen():
    archs = rows(1500, [3, 2, 4] * 4)
    e, k, layers = (archs[:, at::3] for at in range(3))
    ms = 3 + ((e + 1) * (2 * k + 3) * (layers + 1) / 8).sum(axis=1)
    model = LatencyRegressor().fit(archs[:500], ms[:500])
    assert model.columns_.blocks == ((0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11))
    assert model.chosen_ == "blocks"
    assert mean_error(model, archs[500:], ms[500:]) < 0.005


def test_dead_operators_are_ignored_when_the_space_is_known():
    archs = SPACE.sample(1200, seed=0)
    ms = compiled_ms(archs)
    model = LatencyRegressor(SPACE).fit(archs[:150], ms[:150])
    assert worst(model, archs[150:], ms[150:]) < 0.005
    assert "live" in model.chosen_
    # edge 10 leads nowhere when 21 and 31 are "none": its operator must not matter
    dead = np.array([[3, 1, 0, 3, 0, 2], [0, 1, 0, 3, 0, 2]])
    assert np.ptp(model.predict(dead)) == pytest.approx(0, abs=0.01)


def test_a_resolution_between_those_seen_is_interpolated():
    archs = rows(600, [3] * 5)
    side = np.random.default_rng(2).choice(np.arange(128, 225, 4), 600)
    ms = (1 + archs.sum(axis=1)) * (side / 128) ** 2
    table = np.column_stack([archs, side])
    model = LatencyRegressor().fit(table[:200], ms[:200])
    assert model.columns_.quantities == (5,)
    assert mean_error(model, table[200:], ms[200:]) < 0.01
    assert model.predict([[1, 1, 1, 1, 1, 162]])[0] == pytest.approx(6 * (162 / 128) ** 2, rel=0.03)


def test_the_same_in_every_way_it_is_asked():
    archs = SPACE.sample(300, seed=1)
    ms = compiled_ms(archs)
    model = LatencyRegressor(SPACE, random_state=3).fit(archs[:60], ms[:60])
    again = clone(model).fit(archs[:60], ms[:60])
    np.testing.assert_array_equal(model.predict(archs), again.predict(archs))
    one_by_one = np.concatenate([model.predict(arch[None]) for arch in archs[:20]])
    np.testing.assert_allclose(one_by_one, model.predict(archs)[:20], rtol=1e-9)
    many = np.tile(archs, (40, 1))  # in single precision
    np.testing.assert_allclose(model.predict(many)[:300], model.predict(archs), rtol=1e-4)


def test_units_and_names_of_values_do_not_matter():
    archs = rows(200, [4] * 6)
    ms = additive_ms(archs)
    model = LatencyRegressor().fit(archs[:100], ms[:100])
    renamed = LatencyRegressor().fit(archs[:100] * 3 + 7, ms[:100] * 1000)
    np.testing.assert_allclose(
        renamed.predict(archs[100:] * 3 + 7), 1000 * model.predict(archs[100:]), rtol=1e-3
    )


def test_intervals_hold_what_they_promise():
    archs = rows(3000, [4] * 6)
    ms = additive_ms(archs) * np.exp(np.random.default_rng(1).normal(0, 0.05, 3000))
    for n, tolerance in ((20, 0.09), (200, 0.05)):
        inside = []
        for seed in range(3):
            train = np.random.default_rng(seed).permutation(3000)[:n]
            model = LatencyRegressor(categories=[range(4)] * 6).fit(archs[train], ms[train])
            low, high = model.predict_interval(archs, 0.9).T
            inside.append(np.mean((low <= ms) & (ms <= high)))
        assert np.mean(inside) == pytest.approx(0.9, abs=tolerance)
    assert np.all(model.predict_interval(archs[:5], 0.99)[:, 1] > high[:5])


def test_an_interval_that_the_sample_cannot_give():
    archs = rows(10, [2] * 4)
    model = LatencyRegressor().fit(archs, additive_ms(archs))
    with pytest.raises(OptionError, match=r"0.95 needs at least 19 samples, got 10"):
        model.predict_interval(archs, 0.95)
    with pytest.raises(OptionError, match="between 0 and 1"):
        model.predict_interval(archs, 95)


def test_the_report_reads():
    archs = rows(60, [3] * 5)
    model = LatencyRegressor().fit(archs, additive_ms(archs))
    report = model.report_
    names = {candidate.name for candidate in CANDIDATES}
    assert {name.split(", ridge")[0] for name in report.errors} <= names
    assert sum(report.weights.values()) == pytest.approx(1)
    assert report.centre == 1  # sixty samples are too few to tell
    text = str(report)
    assert text.splitlines()[0].split() == ["candidate", "error", "weight"]
    assert report.reason in text
    assert all(name in text for name in report.errors)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({3: np.nan}, ValueError, "NaN"),
        ({3: np.inf}, ValueError, "infinity"),
        ({3: -1.0}, DataError, "positive milliseconds, got -1 in sample 3"),
        ({3: 0.0}, DataError, "positive milliseconds, got 0 in sample 3"),
        ({3: 9000.0, 5: 8000.0}, DataError, "from 8000 on, as if units were mixed"),
        ({3: 0.009}, DataError, "got 1 up to 0.009 and the others"),
    ],
)
def test_wrong_latencies(change, error, message):
    archs = rows(20, [3] * 4)
    ms = additive_ms(archs)
    for at, value in change.items():
        ms[at] = value
    with pytest.raises(error, match=message):
        LatencyRegressor().fit(archs, ms)


def test_too_few_samples():
    archs = rows(4, [3] * 4)
    with pytest.raises(ValueError, match="minimum of 5 is required"):
        LatencyRegressor().fit(archs, additive_ms(archs))


def test_a_value_never_seen_is_an_error_with_its_column():
    archs = rows(100, [3] * 4)
    archs[:, 2] %= 2
    model = LatencyRegressor().fit(archs, additive_ms(archs))
    other = archs[:3].copy()
    other[1, 0] = 7
    with pytest.raises(ArchitectureError, match=r"column 0 is 7 in row 1.*known there: 0, 1, 2"):
        model.predict(other)
    other = archs[:1].copy()
    other[0, 2] = 2  # a value of the other columns, but a hundred samples never had it here
    with pytest.raises(ArchitectureError, match="column 2 is 2"):
        model.predict(other)
    assert LatencyRegressor(categories=[range(3)] * 4).fit(archs, additive_ms(archs)).predict(other)


def test_few_samples_learn_values_from_columns_of_the_same_kind():
    prices = np.array([1.0, 2.0, 4.0, 8.0])
    archs = rows(10, [4] * 8)
    archs[archs[:, 0] == 3, 0] = 2  # column 0 has none by chance
    model = LatencyRegressor().fit(archs, prices[archs].sum(axis=1))
    assert model.predict([[3] + [0] * 7])[0] == pytest.approx(8 + 7 * 1, rel=0.1)


@pytest.mark.parametrize(
    ("arguments", "archs", "error", "message"),
    [
        ({"space": SPACE}, rows(20, [5] * 5), ArchitectureError, "has 6 decisions, got 5"),
        ({"space": SPACE}, rows(20, [7] * 6), ArchitectureError, "choices 0 to 4"),
        ({"space": SPACE}, rows(20, [5] * 6) + 0.5, ArchitectureError, "whole numbers"),
        ({"space": "nasbench201"}, rows(20, [5] * 6), OptionError, "space is a SearchSpace"),
        ({"categories": [[0, 1]]}, rows(20, [2] * 3), OptionError, "each of the 3 columns"),
        ({"categories": [[0, 1]] * 3}, rows(20, [3] * 3), OptionError, "holds 2, categories"),
        (
            {"space": SPACE, "categories": [[0]] * 6},
            rows(20, [5] * 6),
            OptionError,
            "give one of both",
        ),
    ],
)
def test_contradictions(arguments, archs, error, message):
    with pytest.raises(error, match=message):
        LatencyRegressor(**arguments).fit(archs, np.linspace(1, 2, len(archs)))


def test_other_columns_than_in_fit():
    archs = rows(30, [3] * 4)
    model = LatencyRegressor().fit(archs, additive_ms(archs))
    with pytest.raises(ValueError, match="X has 3 features, but LatencyRegressor is expecting 4"):
        model.predict(archs[:, :3])


def test_a_column_that_never_changes_and_a_single_column():
    archs = np.column_stack([np.zeros(40, int), np.arange(40) % 4])
    ms = 1.0 + archs[:, 1]
    np.testing.assert_allclose(LatencyRegressor().fit(archs, ms).predict(archs), ms, rtol=0.01)
    single = archs[:, 1:]
    np.testing.assert_allclose(LatencyRegressor().fit(single, ms).predict(single), ms, rtol=0.01)
    same = LatencyRegressor().fit(archs, np.full(40, 2.0)).predict(archs)
    np.testing.assert_allclose(same, 2.0, rtol=0.01)


def test_more_samples_than_are_used(monkeypatch):
    monkeypatch.setattr("hwnas.predictors.regression.regressor._MOST_ROWS", 200)
    archs = rows(260, [3] * 5)
    ms = additive_ms(archs)
    model = LatencyRegressor().fit(archs, ms)
    assert np.isnan(model.left_out_ms_).sum() == 260 - 200
    assert worst(model, archs, ms) < 0.005


@pytest.mark.parametrize("named", [True, False])
def test_a_file_gives_back_the_model(named, tmp_path):
    archs = SPACE.sample(150, seed=4)
    ms = compiled_ms(archs) * np.exp(np.random.default_rng(0).normal(0, 0.03, 150))
    model = LatencyRegressor(SPACE if named else None).fit(archs[:100], ms[:100])
    model.save(tmp_path / "model.npz", {"device": "a synthetic one"})
    again = LatencyRegressor.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(again.predict(archs), model.predict(archs))
    np.testing.assert_array_equal(
        again.predict_interval(archs, 0.9), model.predict_interval(archs, 0.9)
    )
    assert str(again.report_) == str(model.report_)
    assert again.chosen_ == model.chosen_
    assert again.notes_ == {"device": "a synthetic one"}
    assert (again.space is None) != named


def test_boosting_is_stored_and_predicts_as_scikit_learn_does(tmp_path):
    archs = rows(400, [4] * 5)
    ms = pairwise_ms(archs) + 1.0
    columns = Columns.of_data(archs.astype(float))
    batch = Batch(views_of(columns, archs, None), archs, np.zeros((400, 0)), archs.astype(float))
    fit = fit_boosting(batch, ms, 0)
    reference = GradientBoostingRegressor(
        n_estimators=150,
        max_depth=4,
        min_samples_leaf=10,
        subsample=0.7,
        max_features=0.5,
        random_state=0,
    )
    table = np.concatenate([archs, (archs[:, :, None] == np.arange(4)).sum(1)], axis=1)
    expected = np.exp(reference.fit(table, np.log(ms)).predict(table))
    np.testing.assert_allclose(fit(batch), expected, rtol=1e-12)
    write(tmp_path / "trees.npz", {"fit": fit})
    np.testing.assert_array_equal(read(tmp_path / "trees.npz")["fit"](batch), fit(batch))


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"junk"])
def test_files_that_are_no_predictors(content, tmp_path):
    (tmp_path / "model.npz").write_bytes(content)
    with pytest.raises(PredictorFormatError, match=r"model\.npz is not a predictor"):
        LatencyRegressor.load(tmp_path / "model.npz")
    with pytest.raises(PredictorFormatError, match="no predictor at"):
        LatencyRegressor.load(tmp_path / "none.npz")


def test_a_damaged_file_is_refused(tmp_path):
    path = next(iter(shipped_predictors().values()))
    whole = bytearray(Path(path).read_bytes())
    rng = np.random.default_rng(0)
    for _ in range(30):
        damaged = whole.copy()
        for at in rng.integers(0, len(whole), 20):
            damaged[at] ^= 0xFF
        (tmp_path / "model.npz").write_bytes(damaged)
        with pytest.raises(PredictorFormatError, match=r"model\.npz is not a predictor"):
            LatencyRegressor.load(tmp_path / "model.npz")


def test_a_file_that_claims_to_be_huge_is_refused(tmp_path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,), }"
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(tmp_path / "model.npz", "w") as file:
        file.writestr("description.npy", array)
    with pytest.raises(PredictorFormatError, match=r"model\.npz is not a predictor"):
        LatencyRegressor.load(tmp_path / "model.npz")


@pytest.mark.parametrize("name", ["proxyless", "nasbench201", "ofa"])
def test_five_samples_are_enough(name):
    space = spaces.space(name)
    archs = space.sample(5, seed=0)
    model = LatencyRegressor(space).fit(archs, 1.0 + space.macs(archs) / 1e8)
    assert np.isfinite(model.predict(archs)).all()


def test_a_file_with_a_pickle_runs_nothing(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    np.savez(tmp_path / "model.npz", description=np.array([Bomb()], dtype=object))
    with pytest.raises(PredictorFormatError, match="allow_pickle=False"):
        LatencyRegressor.load(tmp_path / "model.npz")
    assert not (tmp_path / "exploded").exists()


def test_a_file_that_describes_something_else(tmp_path):
    archs = rows(30, [3] * 4)
    LatencyRegressor().fit(archs, additive_ms(archs)).save(tmp_path / "model.npz")
    content = read(tmp_path / "model.npz")
    write(tmp_path / "less.npz", {k: v for k, v in content.items() if k != "views_"})
    with pytest.raises(PredictorFormatError, match="no working predictor: 'views_'"):
        LatencyRegressor.load(tmp_path / "less.npz")
    write(tmp_path / "other.npz", content | {"model_": ((None, 1.0),)})
    with pytest.raises(PredictorFormatError, match="no working predictor: 'NoneType'"):
        LatencyRegressor.load(tmp_path / "other.npz")
    write(tmp_path / "space.npz", content | {"space": {"name": "os.system", "arguments": {}}})
    with pytest.raises(PredictorFormatError, match=r"os\.system"):
        LatencyRegressor.load(tmp_path / "space.npz")


def test_predictions_are_of_the_usual_state_of_a_device_that_is_often_slow():
    rng = np.random.default_rng(3)
    archs = rows(900, [4] * 6)
    truth = additive_ms(archs)
    slow = rng.random(900) < 0.2
    ms = truth * np.exp(rng.normal(0, 0.03, 900)) * np.where(slow, 1.25, 1.0)
    model = LatencyRegressor().fit(archs[:600], ms[:600])
    off = np.median(np.log(model.predict(archs) / truth))
    assert abs(off) < 0.01  # the mean of all states would be 0.045


def widths_and_kernels(n, seed):
    """Three convolutions of an own family: widths and kernel sizes, and a written truth in ms."""
    rng = np.random.default_rng(seed)
    widths = rng.choice([16, 24, 32, 48, 64, 96, 128, 192, 256], (n, 3))
    kernels = rng.choice([1, 3, 5, 7], (n, 3))
    before = np.concatenate([np.full((n, 1), 3), widths[:, :-1]], axis=1)
    ms = 0.05 + (1e-5 * before * widths * kernels**2 + 1e-3 * widths).sum(axis=1)
    return np.concatenate([widths, kernels], axis=1), ms * np.exp(0.02 * rng.standard_normal(n))


def test_the_order_of_numbers_is_used():
    """45 rows of nine widths and four kernels: as categories they err 34 to 44 %."""
    errors = []
    for seed in range(2):
        archs, ms = widths_and_kernels(245, seed)
        model = LatencyRegressor().fit(archs[:45], ms[:45])
        assert model.columns_.numbers == model.columns_.open == (0, 1, 2, 3, 4, 5)
        errors.append(mean_error(model, archs[45:], ms[45:]))
    assert np.mean(errors) < 0.13


def test_numbers_that_no_sample_had_may_come_near_those_seen(tmp_path):
    archs, ms = widths_and_kernels(150, 0)
    kept = (archs[:, 1] != 96) & (archs[:, 2] != 256)
    model = LatencyRegressor().fit(archs[kept], ms[kept])
    assert mean_error(model, archs[~kept], ms[~kept]) < 0.2
    with pytest.raises(ArchitectureError, match=r"column 1 is 2000 in row 1"):
        model.predict([archs[0], [16, 2000, 16, 3, 3, 3]])
    model.save(tmp_path / "m.npz")
    again = LatencyRegressor.load(tmp_path / "m.npz")
    np.testing.assert_array_equal(again.predict(archs), model.predict(archs))
    declared = LatencyRegressor(categories=[np.unique(c) for c in archs[kept].T])
    with pytest.raises(ArchitectureError, match="never seen"):
        declared.fit(archs[kept], ms[kept]).predict(archs[~kept])


def test_a_cross_validation_without_a_space_has_a_score_for_every_fold():
    archs, ms = widths_and_kernels(45, 0)
    asked = {"error": "neg_mean_absolute_percentage_error", "own": LatencyRegressor.score}
    found = cross_validate(LatencyRegressor(), archs, ms, cv=3, scoring=asked)
    assert np.isfinite([found["test_error"], found["test_own"]]).all()


def test_rows_of_codes_that_fit_never_saw_are_not_scored(caplog):
    archs = rows(60, [3] * 4)
    archs[5, 0] = 4  # one row has what no other has
    ms = additive_ms(archs)
    with caplog.at_level("WARNING", logger="hwnas"):
        scores = cross_val_score(LatencyRegressor(), archs, ms, cv=4)
    assert (scores > 0.9).all()
    assert "not scored: 1 of 15 rows" in caplog.text
    model = LatencyRegressor().fit(archs[10:], ms[10:])
    with pytest.raises(ArchitectureError, match="column 0 is 4"):
        model.score(archs[5:6], ms[5:6])


def test_codes_are_no_numbers():
    for values, ordered in (
        ([0, 1, 2], False),
        ([1, 2, 3, 4], False),
        ([16, 32], False),
        ([3, 5, 7], True),
        ([2, 3, 4], True),
        ([0, 3, 5, 7], True),
        ([-1, 3, 7], False),
    ):
        columns = Columns.of_data(np.repeat(values, 20)[:, None].astype(float))
        assert bool(columns.numbers) == ordered, values


def test_rows_in_parts_are_predicted_as_in_one(monkeypatch):
    archs, ms = widths_and_kernels(145, 0)
    model = LatencyRegressor().fit(archs[:45], ms[:45])
    whole = model.predict_interval(archs)
    monkeypatch.setattr(regressor, "_ROWS", 10)
    np.testing.assert_allclose(model.predict_interval(archs), whole, rtol=1e-12)
    wrong = archs.copy()
    wrong[77, 1] = 5000
    with pytest.raises(ArchitectureError, match="in row 77"):
        model.predict(wrong)


def test_the_confidence_that_a_sample_allows_is_said_and_works():
    for count in (5, 8, 9, 18, 19):
        archs = rows(count, [2] * 3)
        model = LatencyRegressor().fit(archs, additive_ms(archs))
        if count >= 19:
            assert model.predict_interval(archs).shape == (count, 2)
            continue
        with pytest.raises(OptionError, match="needs at least 19 samples") as refused:
            model.predict_interval(archs)
        most = float(str(refused.value).rsplit(" ", 1)[1])
        assert model.predict_interval(archs, most).shape == (count, 2)

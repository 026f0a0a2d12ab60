"""All spaces keep the promises of `check_space`, and `check_space` sees broken ones."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import pytest

import hwnas.spaces
from hwnas.spaces import Decision, SearchSpace
from hwnas.spaces.chain import Chain
from hwnas.spaces.layout import Join, Path, Run
from hwnas.testing.spaces import check_space

T = TypeVar("T")


@pytest.mark.parametrize("name", hwnas.spaces.names())
@pytest.mark.parametrize("input_size", [64, 224])
def test_a_proxy_of_the_same_size_is_the_space_itself(name: str, input_size: int) -> None:
    deployed = hwnas.spaces.space(name, input_size=input_size, classes=10)
    assert hwnas.spaces.proxy(deployed, input_size, 10, 1.0).identifier == deployed.identifier


SPACE = hwnas.spaces.space(
    "proxyless", input_size=20, classes=4, width_mult=0.25, head_width=16, stage_depths=[1, 2] * 3
)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("proxyless", {"input_size": 32, "classes": 10, "width_mult": 0.25, "head_width": 64}),
        ("proxyless", dict(SPACE.arguments)),
        ("fbnet", {"input_size": 32, "classes": 10, "width_mult": 0.25, "head_width": 64}),
        ("fbnet", {"input_size": 9, "classes": 3, "stage_strides": [1, 2, 1, 1, 2, 1, 1]}),
        ("ofa", {"input_size": 33, "classes": 10, "width_mult": 0.25, "head_width": 64}),
        (
            "ofa",
            {"input_size": 8, "classes": 3, "stem_stride": 1, "stage_strides": [2, 1, 1, 1, 1]},
        ),
        ("nasbench201", {"input_size": 8, "classes": 3, "channels": 4, "cells": 1}),
        ("darts-s1", {"input_size": 8, "classes": 3, "channels": 4, "cells": 5}),
        ("darts-s1", {"input_size": 12, "channels": 2, "cells": 3, "pool_norm": True}),
        ("darts-s2", {"input_size": 8, "classes": 3, "channels": 4, "cells": 6}),
        ("nao", {"input_size": 8, "classes": 3, "channels": 4, "repeats": 1}),
        ("nao", {"input_size": 12, "channels": 2, "repeats": 2}),
        (
            "shufflenet",
            {"input_size": 32, "classes": 5, "width_mult": 0.25, "scales": [0.2, 1.0, 1.6]}
            | {"stage_depths": [2, 1, 2, 1], "stage_strides": [2, 1, 2, 2]},
        ),
        (
            "shufflenet",
            {"input_size": 20, "classes": 4, "width_mult": 0.2, "scales": [0.6, 1.4]}
            | {"stage_depths": [1, 2, 1, 1], "blocks": "x-3-5-7-x"},
        ),
        ("resnet18-bits", {"input_size": 24, "classes": 4, "width_mult": 0.125}),
        (
            "resnet34-bits",
            {"input_size": 12, "classes": 4, "width_mult": 0.125, "stem_stride": 1}
            | {"stem_pool": False, "stage_depths": [1, 2, 2, 1]},
        ),
        ("nasbench201", {"input_size": 12, "classes": 10, "channels": 3, "cells": 2}),
    ],
)
def test_space_keeps_its_promises(name: str, arguments: dict[str, Any]) -> None:
    check_space(hwnas.spaces.space(name, **arguments))


class LosesASkip(Chain):
    def format(self, arch: Sequence[int]) -> str:
        return super().format(arch).replace("skip", "k3e3")


class ReadsBackwards(Chain):
    def parse(self, text: str) -> list[int]:
        return super().parse(text)[::-1]


class ReadsAnything(Chain):
    def parse(self, text: str) -> list[int]:
        try:
            return super().parse(text)
        except ValueError:
            return [0] * len(self.decisions)


class RunsTwice(Chain):
    def wire(self, path: Path, x: T, run: Run[T], add: Join[T], concat: Join[T]) -> T:
        for slot in (*range(3), 3, 3, *range(4, len(path))):
            x = run(slot, x)
        return x


class ForgetsTheHead(Chain):
    def wire(self, path: Path, x: T, run: Run[T], add: Join[T], concat: Join[T]) -> T:
        return super().wire(path[:-1], x, run, add, concat)


class BuildsTheFirstChoice(Chain):
    def path(self, arch: Sequence[int]) -> Path:
        return super().path([0] * len(arch))


class DoublesTheLogits(Chain):
    def wire(self, path: Path, x: T, run: Run[T], add: Join[T], concat: Join[T]) -> T:
        logits = super().wire(path, x, run, add, concat)
        return add("twice", [logits, logits])


class LeavesABlockOut(Chain):
    def path(self, arch: Sequence[int]) -> Path:
        path = super().path(arch)
        return (*path[:3], None, *path[4:])

    def wire(self, path: Path, x: T, run: Run[T], add: Join[T], concat: Join[T]) -> T:
        for slot, choice in enumerate(path):
            x = x if choice is None else run(slot, x)
        return x


class SharesNames(Chain):
    @property
    def decisions(self) -> tuple[Decision, ...]:  # type: ignore[override]
        return tuple(dataclasses.replace(d, name="block") for d in super().decisions)


class HasFewerChoices(Chain):
    @property
    def decisions(self) -> tuple[Decision, ...]:  # type: ignore[override]
        return tuple(dataclasses.replace(d, choices=d.choices[:5]) for d in super().decisions)


@pytest.mark.parametrize(
    ("layout", "complaint"),
    [
        (LosesASkip, "reads back as"),
        (ReadsBackwards, "reads back as"),
        (ReadsAnything, "parse takes ''"),
        (RunsTwice, "its network has"),
        (ForgetsTheHead, "its network has"),
        (BuildsTheFirstChoice, "its workloads sum to"),
        (LeavesABlockOut, "its workloads sum to"),
        (DoublesTheLogits, "twice joins values in a sequential layout"),
        (SharesNames, "decisions share names"),
        (HasFewerChoices, "give other decisions"),
    ],
)
def test_broken_layout_is_seen(layout: type[Chain], complaint: str) -> None:
    assert isinstance(SPACE.layout, Chain)
    broken = dataclasses.replace(SPACE, layout=layout(SPACE.layout.slots))
    with pytest.raises(AssertionError, match=complaint):
        check_space(broken)


def test_arguments_of_another_space_are_seen() -> None:
    other = dataclasses.replace(SPACE, arguments={**SPACE.arguments, "stage_depths": [1] * 6})
    with pytest.raises(AssertionError, match="give other decisions"):
        check_space(other)


@pytest.mark.parametrize(
    ("method", "replacement", "complaint"),
    [
        ("check", lambda self, archs: np.atleast_2d(np.asarray(archs)), "check takes a choice too"),
        ("sample", lambda self, count, seed: np.zeros((count, 9)), "sample gives float64"),
        ("sample", lambda self, count, seed: np.full((count, 9), 6), "that does not exist"),
        ("sample", lambda self, count, seed: np.zeros((count, 9), int), "repeats one architecture"),
        (
            "sample",
            lambda self, count, seed: np.random.default_rng().integers(0, 6, (count, 9)),
            "one seed gives two samples",
        ),
        ("params", lambda self, archs: np.zeros(len(archs), int), "its workloads sum to"),
        ("to_onnx", lambda self, arch, weights, batch: b"", "ONNX"),
    ],
)
def test_broken_method_is_seen(
    method: str,
    replacement: Callable[..., Any],
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SearchSpace, method, replacement)
    if method == "to_onnx":
        monkeypatch.setattr(
            "hwnas.testing.spaces.run_onnx", lambda model, x: np.zeros((3, 4), np.float32)
        )
    with pytest.raises(AssertionError, match=complaint):
        check_space(SPACE)

"""The share of nested phases."""

from hwnas.profilers.gpu.build_phases import BuildPhases


def test_steps_of_an_inner_phase_are_parts_of_a_step_of_the_outer() -> None:
    phases = BuildPhases()
    assert phases.share == 0
    phases.start("build", None, 4)
    phases.step("build", 0)
    assert phases.share == 0.25
    phases.start("kernels", "build", 5)
    phases.step("kernels", 0)
    assert phases.share == 0.25 + 0.25 / 5
    phases.start("one kernel", "kernels", 2)
    phases.step("one kernel", 0)
    assert phases.share == 0.25 + (1 + 1 / 2) / 5 / 4
    for name in ("one kernel", "kernels"):
        phases.finish(name)
    phases.step("build", 3)
    assert phases.share == 1


def test_the_share_never_falls_and_is_never_above_one() -> None:
    phases = BuildPhases()
    phases.start("first", None, 2)
    phases.step("first", 7)
    assert phases.share == 1
    phases.finish("first")
    phases.start("second", None, 0)
    phases.step("unknown", 3)
    phases.finish("unknown")
    assert phases.share == 1

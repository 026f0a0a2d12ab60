"""Any ONNX models, with any settings, interleaved in one measurement and compared."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from hwnas import spaces
from hwnas.devices.any_model.answers import accuracies_of
from hwnas.devices.any_model.cases import Case, MeasureOptions, Model, make_cases, make_runtimes
from hwnas.devices.any_model.keeping import keep_converted
from hwnas.devices.any_model.latency import Latency, compare, latency_of
from hwnas.devices.any_model.measured import Measured, Report
from hwnas.devices.any_model.pairs import no_effect, pairs
from hwnas.devices.any_model.probe import Probe, Way, probe, probe_here
from hwnas.errors import HwnasError, ModelRejectedError, OptionError
from hwnas.latency_tables import Target
from hwnas.memory import machine_bytes
from hwnas.profilers import GPU_RUNTIMES, RUNTIMES, AnyRuntime, Plan, Runtime, is_remote
from hwnas.profilers.company import noticed_company
from hwnas.profilers.loads import in_turn, plan_of_loads
from hwnas.profilers.measuring import reference_model, standing
from hwnas.profilers.onnxruntime_provider import provider_of
from hwnas.profilers.protocol import Samples, run_rounds
from hwnas.profilers.runtime import MeasuresRounds, NeedsSession
from hwnas.progress import Progress, say, silent

__all__ = ["Measured", "Report", "measure", "report"]

#: Each model is loaded so often, since loads differ; and runs so often in all.
_LOADS, _LEAST_RUNS, _MOST_RUNS = 4, 100, 300
#: The reference stands for the machine: what one load of it is off would be in all models.
_REFERENCE_LOADS = 10
#: Half the width of the interval of a median that is tight enough, relative.
_TOLERANCE = 0.01
#: A slow model runs for about so long, and at least so often.
_SLOW_MS, _FEWEST_RUNS = 60_000.0, 20
#: Loads share what a model takes; all together may take this much of the machine's memory.
_MEMORY_SHARE = 0.25
_REFERENCE = "reference"


def measure(
    model: Model | Sequence[Model],
    device: str = "cpu",
    *,
    progress: Progress = silent,
    **given: Any,
) -> Measured | Report:
    """Measure any ONNX model, or several, by the protocol that makes latency tables.

    Args:
        model: the path or bytes of one, or a list of them.
        device: ``cpu``, ``gpu``, ``ssh://[user@]host[:port]``, ``adb`` or ``adb:SERIAL``.
        progress: told after every round.
        given: fields of `MeasureOptions`.

    Returns:
        The measurement of one model with one setting, while what else is to be known of it, such
        as why it has no accuracy, is logged; else a `Report`, which also names what could not be
        measured.

    Raises:
        HwnasError: the one model cannot be measured; or none of several.
        OptionError: an argument that is none, or has a value that is not allowed.
    """
    unknown = sorted(given.keys() - set(MeasureOptions.__dataclass_fields__))
    if unknown:
        raise OptionError(
            f"measure has no argument {unknown[0]!r}: it takes "
            f"{', '.join(MeasureOptions.__dataclass_fields__)}"
        )
    options = MeasureOptions(device=device, **given)
    alone = isinstance(model, bytes | str | Path)
    found = report([model] if alone else list(model), options, progress)  # type: ignore[list-item, arg-type]
    if not alone or len(options.settings()) > 1:
        return found
    for remark in found.remarks:
        say(remark)
    for what, why in found.refused.items():
        say(f"{what}: {why}", warning="not measured:")
    return found.measured[0]


def report(models: Sequence[Model], options: MeasureOptions, progress: Progress = silent) -> Report:
    """Measure what can be measured, interleaved, and name what cannot.

    Raises:
        HwnasError: nothing can be measured; the first reason.
    """
    if not models:
        raise OptionError("give at least one model")
    refused: dict[str, str] = {}
    runtimes = make_runtimes(options, refused)
    cases = make_cases(models, options, runtimes, refused, progress)
    same = _same_targets(runtimes)
    cases = [case for case in cases if case.setting.threads not in same]
    saved = keep_converted(cases, options.save, models)  # fails here, before anything is measured
    probes = _probes(cases, options, refused, progress)
    latencies: dict[str, tuple[Latency, Latency]] = {}
    for group in _groups([case for case in cases if case.label in probes]):
        latencies |= _interleaved(group, probes, options, progress, refused)
    if not latencies:
        reasons = dict.fromkeys(refused.values())
        raise OptionError("nothing was measured: " * (len(reasons) > 1) + "; ".join(reasons))
    cases = [case for case in cases if case.label in latencies]
    accuracies = accuracies_of(cases, options.data, refused, progress)
    remarks = [f"{n} threads: {why}" for n, why in same.items()]
    remarks += dict.fromkeys(note for case in cases for note in case.notes)
    remarks += saved
    own = {label: latency for label, (latency, _) in latencies.items()}
    compared = [compare(a.label, b.label, own) for a, b in pairs(cases)]
    return Report(
        measured=tuple(
            Measured(
                label=case.label,
                model=case.model,
                target=case.target,
                inputs=case.runnable.inputs,
                latency=latencies[case.label][0],
                probe=probes[case.label],
                reference=latencies[case.label][1],
                accuracy=accuracies.get(case.answers),
            )
            for case in cases
        ),
        comparisons=tuple(compared),
        refused=refused,
        remarks=(*remarks, *no_effect(cases, own)),
    )


def _same_targets(runtimes: Mapping[int, tuple[AnyRuntime, Target]]) -> dict[int, str]:
    """Numbers of threads that the runtime does not heed: its target stays the same."""
    found: dict[int, str] = {}
    seen: list[Target] = []
    for threads, (_, target) in runtimes.items():
        if target in seen:
            found[threads] = f"{target.runtime} on {target.device} runs the same with any number"
        seen.append(target)
    return found


def _probes(
    cases: Sequence[Case], options: MeasureOptions, refused: dict[str, str], progress: Progress
) -> dict[str, Probe | None]:
    """What loading takes of each case that can be loaded; None on other machines."""
    found: dict[str, Probe | None] = {}
    for at, case in enumerate(cases):
        progress("loading models", at / len(cases), case.label)
        try:
            found[case.label] = _probed(case, options)
        except HwnasError as error:
            refused[case.label] = str(error)
    progress("loading models", 1.0, "")
    return found


def _probed(case: Case, options: MeasureOptions) -> Probe | None:
    if is_remote(case.runtime) or isinstance(case.runtime, MeasuresRounds):
        return None
    local: Runtime = case.runtime
    name = options.runtime
    if name is None or (isinstance(name, str) and _known_elsewhere(name)):
        return probe(case.runnable.data, Way(options.device, case.setting.threads, name))
    return probe_here(case.runnable.data, local)


def _known_elsewhere(name: str) -> bool:
    """Whether another process can make this runtime by its name, which only this one may know."""
    return name in GPU_RUNTIMES or bool(provider_of(name)) or RUNTIMES.known_elsewhere(name)


def _groups(cases: Sequence[Case]) -> Iterator[list[Case]]:
    """Cases that are measured together: all of this machine; elsewhere those of one runtime."""
    apart = (MeasuresRounds, NeedsSession)
    here = [case for case in cases if not isinstance(case.runtime, apart)]
    if here:
        yield here
    elsewhere = [case for case in cases if isinstance(case.runtime, apart)]
    for runtime in dict.fromkeys(case.runtime for case in elsewhere):
        yield [case for case in elsewhere if case.runtime is runtime]


def _interleaved(
    cases: Sequence[Case],
    probes: Mapping[str, Probe | None],
    options: MeasureOptions,
    progress: Progress,
    refused: dict[str, str],
) -> dict[str, tuple[Latency, Latency]]:
    """Label -> its latency, and that of the reference meanwhile."""
    runtime = cases[0].runtime
    loads = _loads(cases, runtime)
    plan = _plan(cases, probes, loads, options.seconds)
    precision = "fp32" if "fp32" in runtime.precisions else runtime.precisions[0]
    reference = reference_model(spaces.space("proxyless"), precision, 1)
    samples = Samples()
    # a file's name stands behind: what begins as whole networks of a profile has rounds of its own
    named = {f"load {load} of {case.label}": case for load in range(loads) for case in cases}
    with ExitStack() as stack:
        stack.enter_context(noticed_company(cases[0].target))
        if isinstance(runtime, NeedsSession):
            plan = runtime.coarse(plan)
            stack.enter_context(runtime)
        if isinstance(runtime, MeasuresRounds):
            names = list(named)
            models: dict[str, Callable[[], bytes]] = {
                name: partial(bytes, case.runnable.data) for name, case in named.items()
            }
            rounds = runtime.rounds(
                models, reference, samples, plan, seed=options.seed, progress=progress
            )
        else:
            jobs = {}
            for at, (name, case) in enumerate(named.items()):
                progress("loading models again", at / len(named), case.label)
                try:
                    jobs[name] = case.runtime.load(case.runnable.data)  # type: ignore[union-attr]
                except ModelRejectedError as error:
                    refused[case.label] = str(error)
            progress("loading models again", 1.0, "")
            names = [name for name in jobs if named[name].label not in refused]
            jobs = {name: jobs[name] for name in names}
            if not jobs:
                return {}
            network = reference()
            base = in_turn(
                [runtime.load(network) for _ in range(_REFERENCE_LOADS if loads > 1 else 1)]
            )
            rounds = run_rounds(jobs, base, samples, plan, seed=options.seed)
        for _ in rounds:
            known, share = standing(samples, names, plan)
            progress("measuring", share, f"{known} of {len(names)} loads known")
    whole = _reference_latency(samples)
    result = {}
    for case in cases:
        own = [name for name in names if named[name] is case]
        if own:
            result[case.label] = (latency_of(own, samples), whole)
    return result


def _reference_latency(samples: Samples) -> Latency:
    runs = samples.reference_ms
    alone = Samples(
        {_REFERENCE: [ms / samples.steady_reference_ms for ms in runs]},
        runs,
        runs_ms={_REFERENCE: runs},
    )
    return replace(latency_of([_REFERENCE], alone), steady_ms=samples.steady_reference_ms)


def _loads(cases: Sequence[Case], runtime: AnyRuntime) -> int:
    """How often each model is loaded: as memory allows; once where each run starts a process."""
    if isinstance(runtime, NeedsSession):
        return 1
    taken = 2 * sum(len(case.runnable.data) for case in cases)
    return max(1, min(_LOADS, int(_MEMORY_SHARE * machine_bytes()) // max(1, taken)))


def _plan(
    cases: Sequence[Case], probes: Mapping[str, Probe | None], loads: int, seconds: float
) -> Plan:
    """Runs of each load: fewer where a run takes a second."""
    known = [one.first_run_ms or 0.0 for case in cases if (one := probes[case.label])]
    least = max(_FEWEST_RUNS, min(_LEAST_RUNS, int(_SLOW_MS / max([*known, 1.0]))))
    most = max(least, min(_MOST_RUNS, 3 * least))
    return plan_of_loads(Plan(_TOLERANCE, least, most, min_seconds=seconds), loads)

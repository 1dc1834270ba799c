"""A rough routine does not take the place of a fine value, nor the frame from under a pair's gate."""

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

import pulsed.configs
from pulsed.calibration.executor import Executor
from pulsed.calibration.graph.default_graph import default_steps
from pulsed.calibration.graph.graph import Graph, Node
from pulsed.calibration.graph.precedence import bound, kept, partial
from pulsed.calibration.graph.status import CalibrationContext, states
from pulsed.calibration.routine import find_routine, routine_names
from pulsed.calibration.routines.rabi import Rabi
from pulsed.calibration.routines.ramsey import Ramsey
from pulsed.calibration.routines.tomography import Bell
from pulsed.calibration.runner.commit import commit_and_verify
from pulsed.calibration.runner.runner import run
from pulsed.cli import consequences
from pulsed.cli.screens.calibration_runs import result_screen
from pulsed.model.calibration import Value
from pulsed.model.device import load_device
from pulsed.testing.simulated_lab import SimulatedLab

SEED = 6
DEVICE = load_device(Path(pulsed.configs.__file__).parent / "sim5.toml")
GRAPH = Graph(default_steps(), DEVICE)


def shipped():
    return SimulatedLab.sim5().calibration()


def holding(name, **changes):
    return shipped().with_values({name: msgspec.structs.replace(shipped().values[name], **changes)}, "2026-11-30")


@pytest.mark.parametrize(
    ("routine", "name"),
    [("rabi", "Q1.x.amplitude"), ("ramsey", "Q1.f01"), ("drag", "Q1.x.beta"), ("cr-phase", "Q0-Q1.ecr.angle"),
     ("resonator-spectroscopy", "Q1.readout.frequency"), ("qubit-spectroscopy", "Q1.f01")],
)  # fmt: skip
def test_a_rough_routine_leaves_what_a_finer_one_has_found(routine, name):
    assert kept(GRAPH, routine, [name], shipped()).keys() == {name}, "the tune-up of the shipped set is as good"
    finer = [n.routine for n in GRAPH.below(Node(routine, name.partition(".")[0])) if name in givers(n)]
    for below in finer:
        assert below in kept(GRAPH, routine, [name], holding(name, routine=below))[name]
    for change in ({"quality": "set"}, {"quality": "design"}, {"quality": "suspect"}, {"routine": routine}):
        assert not kept(GRAPH, routine, [name], holding(name, **change)), change
    assert not kept(GRAPH, finer[-1], [name], holding(name, routine=finer[-1]))


def givers(node):
    return {f"{node.target}.{given}" for given in GRAPH.step(node).gives}


def test_the_last_routine_of_a_value_may_always_write_it():
    for routine, name in (("fine-amplitude", "Q1.x.amplitude"), ("fine-ecr", "Q0-Q1.ecr.angle"), ("t1", "Q1.t1"),
                          ("discriminator", "Q1.readout.discriminator"), ("zz", "Q0-Q1.zz")):  # fmt: skip
        assert not kept(GRAPH, routine, [name], shipped())


@pytest.mark.parametrize("routine", routine_names())
def test_values_of_one_gate_stay_together_and_others_are_free(routine):
    """A law over every routine: one value that is kept keeps its gate's, and nothing of another name."""
    names = [f"Q1.{name}" for name in find_routine(routine).gives]
    for kept_one in names:
        gate = kept_one.split(".")[1:-1][:1]
        together = {name for name in names if gate and name.split(".")[1] == gate[0] and name.count(".") > 1}
        assert {kept_one, *bound(names, {kept_one})} == {kept_one, *together}
    assert bound(names, ()) == ()


def test_what_no_finer_value_stands_for_comes_into_force_and_hangs_nothing_on_it(tmp_path):
    """Seen on a chip: T2* of a ramsey was dropped because fine-frequency knows f01 better."""
    lab = SimulatedLab.sim5(seed=SEED)
    before, executor = lab.calibration(), Executor(lab)
    found = run(Ramsey(), ["Q0"], executor, folder=tmp_path)
    keep = kept(GRAPH, "ramsey", found["Q0"].values, before)
    settled, transaction = commit_and_verify(Ramsey, found, executor, folder=tmp_path, keep=keep)
    now, record = lab.calibration(), settled["Q0"].record
    assert (record.outcome, record.after) == ("good", now.calibration_id), f"seed {SEED}: {record}"
    assert record.reason == "not made active: Q0.f01 is finer in the active set (from tuneup), see fine-frequency"
    assert partial(record)
    assert (before.changed(now), set(transaction.written)) == (("Q0.t2star",), {"Q0.t2star"})
    assert now.values["Q0.t2star"] == found["Q0"].values["Q0.t2star"]
    console = Console(width=160)
    with console.capture() as shown:
        console.print(result_screen(settled, transaction))
    assert f"calibration set {now.calibration_id} is active" in shown.get()

    def stale(calibration, records):
        past = {one.calibration_id: one for one in (before, now)}.get
        at = CalibrationContext(calibration, records, now=record.ended + 1, past=past)
        return {node for node, state in states(GRAPH, at).items() if state.status == "stale" and not state.untouched}

    assert stale(now, [record]) == stale(before, []), "nothing is derived from T2*"
    whole = msgspec.structs.replace(record, run_id="before", reason="", after=before.calibration_id,
                                    started=record.started - 60, ended=record.ended - 60)  # fmt: skip
    assert stale(now, [whole, record]) == stale(before, [whole]), "nor does it undo the whole run before it"


def test_what_goes_with_a_kept_value_is_named(after_rabi):
    lab, executor, found, folder = after_rabi
    before, names = lab.calibration(), ["Q1.x.amplitude"]
    keep = kept(GRAPH, "rabi", names, before)
    extra = {name: before.values[name] for name in ("Q1.x.duration", "Q1.x.angle")}
    values = {"Q1.x.amplitude": found["Q1"].values["Q1.x.amplitude"], **extra}
    done = replace(found["Q1"], record=msgspec.structs.replace(found["Q1"].record, values=values))
    settled, transaction = commit_and_verify(Rabi, {"Q1": done}, executor, folder=folder, keep=keep)
    assert (transaction, lab.calibration()) == (None, before)
    assert settled["Q1"].record.reason == (
        "not made active: Q1.x.amplitude is finer in the active set (from tuneup), see fine-amplitude; "
        "Q1.x.duration, Q1.x.angle go with what is kept"
    )


@pytest.fixture(scope="module")
def after_rabi(tmp_path_factory):
    lab, folder = SimulatedLab.sim5(seed=SEED), tmp_path_factory.mktemp("rabi")
    executor = Executor(lab)
    found = run(Rabi(points=21), ["Q1"], executor, folder=folder)
    return lab, executor, found, folder


def test_rabi_on_a_tuned_set_changes_nothing_unless_it_is_told_to(after_rabi):
    lab, executor, found, folder = after_rabi
    before = lab.calibration()
    names = list(found["Q1"].values)
    assert set(names) == {"Q1.x.amplitude", "Q1.sx.amplitude"}, "the frame of the qubit stays where it is"
    keep = kept(GRAPH, "rabi", names, before)
    settled, transaction = commit_and_verify(Rabi, found, executor, folder=folder, keep=keep)
    assert transaction is None
    assert lab.calibration() == before
    record = settled["Q1"].record
    assert (record.outcome, record.after) == ("good", "")
    assert record.reason == (
        "not made active: Q1.x.amplitude, Q1.sx.amplitude are finer in the active set (from tuneup), see fine-amplitude"
    )
    assert lab.runs(limit=1)[0] == record
    console = Console(width=160)
    with console.capture() as shown:
        console.print(result_screen(settled, transaction))
    assert "--force" in shown.get()


def test_rabi_that_is_told_to_leaves_the_pairs_of_the_qubit_as_good_as_they_were(after_rabi):
    """Seen on a chip: ZZ went from 0.94 to 0.60 because the ECRs' angles were told in the frame of before."""
    lab, executor, found, folder = after_rabi
    bell = Bell(shots=1500)
    was = run(bell, ["Q0-Q1"], Executor(lab), folder=folder)["Q0-Q1"].values["Q0-Q1.bell.fidelity"]
    settled, transaction = commit_and_verify(Rabi, found, executor, folder=folder)
    assert settled["Q1"].record.after == lab.calibration().calibration_id
    assert transaction.written
    assert lab.calibration().number("Q1.x.angle") == shipped().number("Q1.x.angle")
    now = run(bell, ["Q0-Q1"], Executor(lab), folder=folder)["Q0-Q1"].values["Q0-Q1.bell.fidelity"]
    # A rough amplitude costs some tenths of a percent; a turned frame a third.
    assert now.value > was.value - 0.01 - 4 * (was.stderr**2 + now.stderr**2) ** 0.5, f"seed {SEED}: {was} {now}"


def test_a_turned_frame_and_what_mends_it_are_told(tmp_path):
    """By hand a frame can still be turned: then everything on the qubit is stale, and its pairs."""

    class Daemon(SimulatedLab):
        def status(self):
            return consequences.Status("sim5", "0", True)

    daemon = Daemon(DEVICE, SimulatedLab.sim5().engine.chip, shipped())
    watch = consequences.ConsequenceWatch(daemon)
    now = daemon.calibration().with_values(
        {f"Q1.{gate}.angle": Value(0.0, "rad", time="2027-01-01T00:00:00+00:00", routine="set", quality="set")
         for gate in ("x", "sx")}, "2027-01-01",
    )  # fmt: skip
    daemon.put_calibration(now)
    daemon.commit_calibration(now.calibration_id, shipped().calibration_id, "turned")
    found = watch.look()
    assert {Node("fine-ecr", "Q0-Q1"), Node("fine-ecr", "Q2-Q1")} <= found.stale.keys()
    assert not any("Q4" in node.target for node in found.stale)
    assert found.stale[Node("fine-ecr", "Q0-Q1")].why == "Q1.sx.angle went from 0.893275 to 0 since"
    assert {word for word in found.command.split() if word.startswith("Q")} == {"Q1", "Q0-Q1", "Q2-Q1"}
    assert json.loads(msgspec.json.encode(found.plain()))[0].keys() == {"routine", "target", "status", "why"}
    console = Console(width=120)
    with console.capture() as shown:
        console.print(found.screen())
    assert found.command in shown.get()
    assert watch.look().stale == found.stale
    assert not consequences.ConsequenceWatch(daemon).look().stale, (
        "what was so before is none of a change's consequences"
    )

"""What was called otherwise before 0.3: importing an old name is an ImportError that names the new one.

Kept for one minor version, for packages with drivers or routines of their own. Names are within ``pulsed``.
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec

MODULES = {
    "calibration.analyses": "calibration.runner.analyses",
    "calibration.data": "calibration.results.data",
    "calibration.figures": "calibration.results.run_plots",
    "calibration.graph": "calibration.graph.graph",
    "calibration.maintain": "calibration.graph.maintenance",
    "calibration.order": "calibration.graph.default_graph",
    "calibration.pictures": "calibration.report.device_plots",
    "calibration.precedence": "calibration.graph.precedence",
    "calibration.references": "calibration.graph.references",
    "calibration.report": "calibration.report.report",
    "calibration.routines.benchmarking_figures": "calibration.routines.benchmarking_plots",
    "calibration.routines.scan_figures": "calibration.routines.scan_plots",
    "calibration.runner": "calibration.runner.runner",
    "calibration.settling": "calibration.runner.commit",
    "calibration.states": "calibration.graph.status",
    "calibration.transaction": "calibration.runner.transaction",
    "cli.asking": "cli.commands.jobs",
    "cli.cal": "cli.commands.cal",
    "cli.calibrating": "cli.commands.cal_run",
    "cli.calibration_screens": "cli.screens.calibration",
    "cli.calibrations": "cli.commands.cal_sets",
    "cli.checking": "cli.config_check",
    "cli.demo": "cli.commands.demo",
    "cli.demo_pictures": "cli.screens.demo_pictures",
    "cli.demo_tables": "cli.screens.demo_tables",
    "cli.following": "cli.screens.progress",
    "cli.keeping": "cli.commands.cal_maintain",
    "cli.keyring": "cli.commands.keys",
    "cli.maintaining": "cli.commands.cal_maintain",
    "cli.pruning": "cli.commands.cal_prune",
    "cli.running": "cli.commands.run",
    "cli.scan_screens": "cli.screens.scan",
    "cli.scanning": "cli.commands.scan",
    "cli.screens": "cli.screens.status",
    "cli.self_testing": "cli.commands.self_test",
    "cli.server": "cli.commands.serve",
    "cli.terminal": "cli.screens.terminal",
    "cli.text": "cli.screens.text",
    "client.link": "client.transport",
    "compiler.branches": "compiler.control_flow",
    "compiler.flat": "compiler.instruction_table",
    "compiler.flow": "compiler.control_flow_steps",
    "compiler.placement": "compiler.scheduling",
    "compiler.wiring": "compiler.channel_map",
    "daemon.admission": "daemon.jobs.admission",
    "daemon.bases": "daemon.jobs.calibration_basis",
    "daemon.book": "daemon.jobs.registry",
    "daemon.calibrations": "daemon.front.calibration_requests",
    "daemon.compile_worker": "daemon.workers.compile_worker",
    "daemon.compiling": "daemon.jobs.compile_stage",
    "daemon.desks": "daemon.workers.rack_client",
    "daemon.front": "daemon.front.request_server",
    "daemon.handlers": "daemon.front.handlers",
    "daemon.jobs": "daemon.jobs.jobs",
    "daemon.leash": "daemon.workers.parent_death",
    "daemon.merge": "model.chunk_results",
    "daemon.orders": "daemon.workers.messages",
    "daemon.pipe": "daemon.workers.pipe",
    "daemon.playing": "daemon.jobs.execution_stage",
    "daemon.rack_worker": "daemon.workers.rack_worker",
    "daemon.scheduler": "daemon.jobs.scheduler",
    "daemon.sockets": "daemon.front.sockets",
    "daemon.supervisor": "daemon.workers.supervisor",
    "daemon.timetable": "daemon.maintenance",
    "drivers.awg": "drivers.instruments.virtual.awg8",
    "drivers.base": "drivers.scpi.driver",
    "drivers.collect": "drivers.rack.assembly",
    "drivers.demodulate": "drivers.rack.demodulate",
    "drivers.digitizer": "drivers.instruments.virtual.dig2",
    "drivers.discriminate": "drivers.rack.discriminate",
    "drivers.feedback": "drivers.rack.feedback",
    "drivers.fitting": "drivers.rack.validation",
    "drivers.gs200": "drivers.instruments.yokogawa.gs200",
    "drivers.memory": "drivers.scpi.table_memory",
    "drivers.n9030b": "drivers.instruments.keysight.n9030b",
    "drivers.rack": "drivers.rack.rack",
    "drivers.scpi": "drivers.scpi.session",
    "drivers.sgs100a": "drivers.instruments.rohde_schwarz.sgs100a",
    "drivers.spectrum": "drivers.rack.spectrum",
    "drivers.steps": "drivers.scpi.io_coroutines",
    "drivers.tables": "drivers.scpi.sequencer",
    "drivers.together": "drivers.rack.gather",
    "drivers.transport": "drivers.scpi.transport",
    "drivers.work": "drivers.programs",
    "provider.checks": "provider.rules",
    "provider.pack": "provider.serialization",
    "provider.snapshot": "provider.calibrated_device",
    "provider.submission": "provider.run_input",
    "simulator.account": "simulator.dynamics.pulse_account",
    "simulator.acquisition": "simulator.readout.acquisition",
    "simulator.angles": "simulator.engine.angles",
    "simulator.chip": "simulator.chip.chip",
    "simulator.clusters": "simulator.dynamics.clusters",
    "simulator.components": "simulator.chip.components",
    "simulator.connection": "simulator.instruments.connection",
    "simulator.control": "simulator.instruments.control",
    "simulator.drift": "simulator.chip.drift",
    "simulator.effects": "simulator.chip.effects",
    "simulator.engine": "simulator.engine.engine",
    "simulator.evolution": "simulator.engine.evolution",
    "simulator.exact": "simulator.engine.exact",
    "simulator.faults": "simulator.instruments.faults",
    "simulator.feedback": "simulator.engine.branching",
    "simulator.feedline": "simulator.chip.feedline",
    "simulator.fork": "simulator.engine.branch_plan",
    "simulator.gates": "simulator.engine.gates",
    "simulator.hamiltonian": "simulator.dynamics.hamiltonian",
    "simulator.hermitian": "simulator.dynamics.hermitian",
    "simulator.hislip": "simulator.instruments.hislip",
    "simulator.lines": "simulator.dynamics.lines",
    "simulator.measurement": "simulator.readout.measurement",
    "simulator.mps": "simulator.dynamics.mps",
    "simulator.mps_line": "simulator.dynamics.mps_line",
    "simulator.noise": "simulator.dynamics.noise",
    "simulator.plan": "simulator.engine.plan",
    "simulator.propagators": "simulator.dynamics.propagators",
    "simulator.pulses": "simulator.dynamics.pulses",
    "simulator.random_rack": "simulator.chip.random_rack",
    "simulator.readings": "simulator.readout.readout_cache",
    "simulator.readout": "simulator.readout.response",
    "simulator.report": "simulator.dynamics.report",
    "simulator.residual": "simulator.readout.residual_photons",
    "simulator.run": "simulator.instruments.conductor",
    "simulator.scpi": "simulator.instruments.scpi",
    "simulator.sequence": "simulator.dynamics.sequence",
    "simulator.server": "simulator.instruments.server",
    "simulator.settings": "simulator.instruments.settings",
    "simulator.settled": "simulator.engine.steady_state",
    "simulator.spectrum": "simulator.instruments.spectrum",
    "simulator.state": "simulator.dynamics.state",
    "simulator.step": "simulator.dynamics.pulse_map",
    "simulator.superoperators": "simulator.dynamics.superoperators",
    "simulator.trajectories": "simulator.dynamics.trajectories",
    "simulator.triples": "simulator.dynamics.three_body",
    "simulator.truncation": "simulator.chip.truncation",
    "simulator.tuneup": "simulator.engine.tuneup",
    "simulator.virtual_awg": "simulator.instruments.awg8",
    "simulator.virtual_digitizer": "simulator.instruments.dig2",
    "simulator.virtual_gs200": "simulator.instruments.gs200",
    "simulator.virtual_instrument": "simulator.instruments.virtual_instrument",
    "simulator.virtual_n9030b": "simulator.instruments.n9030b",
    "simulator.virtual_sgs100a": "simulator.instruments.sgs100a",
}
"""New name of each module that was moved."""

NAMES: dict[str, dict[str, str]] = {
    "calibration.bringup": {
        "Lab": "CalibrationSession",
    },
    "calibration.graph.default_graph": {
        "Row": "GraphEntry",
        "USUAL": "DEFAULT_GRAPH",
        "usual": "default_steps",
    },
    "calibration.graph.maintenance": {
        "Found": "CheckResult",
        "Runner": "GraphRunner",
        "Tell": "OnAction",
    },
    "calibration.graph.references": {
        "REFERENCES": "model.parameters.PARAMETERS",
        "Reference": "model.parameters.Dependents",
    },
    "calibration.graph.status": {
        "Situation": "CalibrationContext",
        "State": "NodeStatus",
    },
    "calibration.routine": {
        "Answer": "MeasurementResponse",
        "Ask": "MeasurementRequest",
    },
    "calibration.runner": {
        "Tell": "calibration.runner.runner.OnResult",
    },
    "calibration.runner.commit": {
        "settle": "commit_and_verify",
    },
    "calibration.runner.runner": {
        "Finished": "calibration.runner.result.RunResult",
    },
    "calibration.runner.transaction": {
        "LIMITS": "model.parameters.PARAMETERS",
        "Limit": "model.parameters.Limit",
    },
    "calibration.self_test": {
        "Found": "PortFinding",
    },
    "client.keys": {
        "DEFAULT_URL": "client.home.DEFAULT_URL",
        "KnownClients": "client.known_clients.KnownClients",
        "RunningDaemon": "client.home.RunningDaemon",
        "find_url": "client.home.find_url",
        "home_directory": "client.home.home_directory",
    },
    "client.transport": {
        "Link": "DaemonConnection",
    },
    "compiler.canonical": {
        "Found": "CircuitScan",
    },
    "compiler.channel_map": {
        "Line": "PhysicalChannel",
        "Wiring": "ChannelMap",
    },
    "compiler.chunks": {
        "Named": "LabelledProgram",
    },
    "compiler.instruction_table": {
        "Late": "UnboundParameter",
    },
    "compiler.memory": {
        "Memory": "MemoryBudget",
    },
    "compiler.preview": {
        "Pulse": "PreviewPulse",
    },
    "compiler.program": {
        "Discriminator": "IqDiscriminator",
        "Settings": "ChunkSettings",
    },
    "compiler.render": {
        "bake": "upconvert",
    },
    "compiler.sweeps": {
        "Sweep": "LoweredSweep",
    },
    "drivers.contract": {
        "Sweep": "SpectrumSweep",
    },
    "drivers.programs": {
        "Shares": "InstrumentPrograms",
        "share_out": "drivers.rack.partition.partition_chunk",
    },
    "drivers.rack": {
        "Progress": "drivers.rack.steps.ProgressCallback",
    },
    "drivers.scpi.io_coroutines": {
        "Ask": "IoRequest",
        "Reply": "ScpiReply",
        "Steps": "IoCoroutine",
        "finish": "run_to_end",
        "steps_of": "coroutine_of",
        "stepwise": "io_coroutine",
    },
    "drivers.scpi.sequencer": {
        "TableDriver": "SequencerDriver",
    },
    "drivers.scpi.session": {
        "Answer": "ScpiAnswer",
        "Command": "ScpiCommand",
    },
    "drivers.scpi.table_memory": {
        "Memory": "TableMemory",
        "Plan": "UploadPlan",
    },
    "model.parameters": {
        "Parameter": "CalibratedParameter",
    },
    "model.payload": {
        "join": "pack_frames",
        "split": "unpack_frames",
    },
    "provider.calibrated_device": {
        "Snapshot": "CalibratedDevice",
    },
    "provider.configuration": {
        "Defaults": "provider.defaults.Defaults",
    },
    "provider.options": {
        "frequency_range": "model.option_readers.frequency_range",
    },
    "provider.serialization": {
        "pack": "serialize",
        "unpack": "deserialize",
    },
    "pulse.draw": {
        "HALF": "pulse.painter.HALF",
        "MOST_LABELS": "pulse.painter.MOST_LABELS",
        "MOST_POINTS": "pulse.painter.MOST_POINTS",
    },
    "pulse.library.pulse": {
        "SHAPE_CACHE": "pulse.library.shape_cache.SHAPE_CACHE",
        "ShapeCache": "pulse.library.shape_cache.ShapeCache",
    },
    "pulse.openpulse.frames": {
        "State": "FrameState",
    },
    "pulse.openpulse.reader": {
        "WAVEFORM_PREFIX": "pulse.openpulse.names.WAVEFORM_PREFIX",
    },
    "pulse.openpulse.values": {
        "Bit": "BitVariable",
    },
    "pulse.schedule.references": {
        "Subroutine": "pulse.schedule.block.Subroutine",
    },
    "pulse.serialize": {
        "MAX_DEPTH": "pulse.serialize_form.MAX_DEPTH",
        "MAX_SAMPLES": "pulse.serialize_form.MAX_SAMPLES",
    },
    "pulse.transforms.alignments": {
        "Positions": "pulse.alignments.Positions",
    },
    "testing.doubles": {
        "Action": "ScriptedAction",
    },
    "testing.random_circuits": {
        "Step": "RecipeStep",
    },
    "testing.simulated_analyser": {
        "Analyser": "SimulatedAnalyser",
    },
}
"""By module, as it is called now: new name of each class and function that was renamed, with its module if it moved."""


def check_module(name: str) -> None:
    """Raise ImportError that names the new module, if ``name`` was one."""
    old = name.removeprefix("pulsed.")
    if old in MODULES:
        raise ImportError(f"{name} is now pulsed.{MODULES[old]}{_renamed(MODULES[old])}", name=name)


def check_name(module: str, name: str) -> None:
    """Raise ImportError that names the new place of ``name``, if ``module`` had it."""
    own = module.removeprefix("pulsed.")
    if name in NAMES.get(own, {}):
        raise ImportError(f"{module}.{name} is now {new_name(own, name)}", name=module)
    if own in MODULES and find_spec(f"{module}.{name}") is None:
        now = new_name(MODULES[own], name)
        home, _, last = now.rpartition(".")
        if hasattr(importlib.import_module(home), last):
            raise ImportError(f"{module}.{name} is now {now}", name=module)


def new_name(module: str, name: str) -> str:
    """Return what ``name`` of ``module``, as that is called now, is called now, with its module."""
    new = NAMES.get(module, {}).get(name, name)
    return f"pulsed.{new}" if "." in new else f"pulsed.{module}.{new}"


def _renamed(module: str) -> str:
    """Return what else is called otherwise there."""
    names = NAMES.get(module, {})
    return f" ({', '.join(f'{old}: {new}' for old, new in sorted(names.items()))})" if names else ""

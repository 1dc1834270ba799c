"""docs/reference/surface.md: every name that users type has a row, and every row tests that speak of it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from pulsed import pulse
from pulsed.model.run_options import RUN_OPTIONS
from pulsed.provider import PulsedBackend, PulsedJob, PulsedOptions, PulsedProvider
from pulsed.provider.configuration import FIELDS, Configuration
from pulsed.provider.defaults import Defaults
from pulsed.provider.properties import Properties

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "surface.md"
SECTION = re.compile(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[([\w.]+)\]\(([^)]+)\)")
NAME = re.compile(r"`([^`]+)`")


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


NAMES = {
    "PulsedProvider": public(PulsedProvider),
    "PulsedBackend": public(PulsedBackend) | {"name", "description", "online_date", "backend_version"},
    "Options of run": set(RUN_OPTIONS) | public(PulsedOptions),
    "Configuration": set(FIELDS) | public(Configuration),
    "Properties": public(Properties),
    "Defaults": public(Defaults),
    "PulsedJob": public(PulsedJob),
    "InstructionScheduleMap": public(pulse.InstructionScheduleMap),
    "pulsed.pulse": set(pulse.__all__),
    "Boxes with pulses": set(pulse.OF_BOXES),
}
"""What there is, by section."""

OF_QISKIT_14 = {
    "PulsedProvider": "backends get_backend version",
    "PulsedBackend": (
        "acquire_channel control_channel coupling_map drive_channel dt dtm instruction_durations "
        "instruction_schedule_map instructions max_circuits meas_map measure_channel num_qubits operation_names "
        "operations options provider qubit_properties run set_options target version name configuration properties "
        "status defaults"
    ),
    "PulsedJob": (
        "backend cancel cancelled done in_final_state job_id result running status submit version wait_for_final_state"
    ),
    "Options of run": "get items keys set_validator update_options validator values",
    "Configuration": (
        "acquire control control_channels describe drive get_channel_qubits get_qubit_channels measure num_qubits "
        "sample_rate to_dict backend_name backend_version n_qubits basis_gates gates local simulator conditional "
        "open_pulse memory max_shots coupling_map n_uchannels u_channel_lo meas_levels qubit_lo_range meas_lo_range "
        "dt dtm rep_times meas_kernels discriminators hamiltonian channel_bandwidth acquisition_latency "
        "conditional_latency meas_map max_experiments sample_name n_registers register_map configurable "
        "credits_required online_date display_name description tags channels supported_instructions "
        "dynamic_reprate_enabled rep_delay_range default_rep_delay processor_type parametric_pulses"
    ),
    "Properties": (
        "faulty_gates faulty_qubits frequency gate_error gate_length gate_property is_gate_operational "
        "is_qubit_operational qubit_property readout_error readout_length t1 t2 to_dict last_update_date qubits gates "
        "general"
    ),
    "Defaults": "to_dict qubit_freq_est meas_freq_est buffer pulse_library cmd_def meas_kernel discriminator",
    "InstructionScheduleMap": (
        "add assert_has get get_parameters has instructions pop qubit_instructions qubits_with_instruction remove"
    ),
}
"""Public names and fields of ProviderV1, BackendV1, BackendV2, JobV1, Options, PulseBackendConfiguration,
BackendProperties, PulseDefaults and InstructionScheduleMap of Qiskit 1.4.6, by section. Their ``from_dict`` are
Qiskit's and read what ours write; ``has_custom_gate`` is for its transpiler, which has its own map there."""

OF_THE_PAGES = {
    "PulsedProvider": "jobs retrieve_job job active save_account saved_accounts delete_account active_account",
    "PulsedBackend": (
        "description online_date backend_version display_name sample_name processor_type tags basis_gates "
        "target_history refresh open_session cancel_session session close_session get_translation_stage_plugin "
        "get_scheduling_stage_plugin schedule preview calibration_id check_faulty from_export legacy"
    ),
    "Options of run": (
        "shots memory meas_level meas_return rep_delay init_qubits dynamic qubit_lo_freq meas_lo_freq schedule_los "
        "seed_simulator job_name job_tags priority calibrations calibration_id dry_run parameter_binds"
    ),
    "Configuration": "max_circuits timing_constraints",
    "Properties": "prob_meas0_prep1",
    "Defaults": "instruction_schedule_map kernel",
    "PulsedJob": (
        "queue_position queue_info creation_date time_per_step error_message name tags update_name update_tags "
        "properties backend_options circuits metrics logs stream calibration_id schedules JobTimeoutError JobError"
    ),
    "Results": "get_counts get_memory header metadata meas_level meas_return iq Kernel Discriminator levels dry_run",
    "Sessions": "Session Batch max_time",
    "Primitives": (
        "PulsedSampler PulsedEstimator BackendSamplerV2 BackendEstimatorV2 BackendSampler BackendEstimator "
        "M3Mitigation SamplerV2 EstimatorV2"
    ),
    "Transpiler": "transpile PulsedInstructionProperties",
    "Dynamic circuits": "if_test switch for_loop while_loop c_if",
    "Qiskit 1.4": (
        "Schedule qiskit.pulse.build qiskit.schedule inst_map BackendV1 ProviderV1 BackendV2Converter "
        "convert_to_target Qobj"
    ),
}
"""What the pages that the project was created from name beside these."""


def read_rows() -> list[tuple[str, list[str], list[tuple[str, str]]]]:
    """Section, names of the first cell, (test, file) of the last, of each row."""
    found = []
    for section, text in SECTION.findall(PAGE.read_text()):
        for line in text.splitlines():
            if line.startswith("| ") and not line.startswith(("| names |", "| what |")):
                first, *_, last = line.strip("| ").split(" | ")
                found.append((section, NAME.findall(first), LINK.findall(last)))
    return found


ROWS = read_rows()


@cache
def known_tests(path: Path) -> tuple[set[str], set[str]]:
    """The tests of a file, with and without their class, and the words of its text."""
    text = path.read_text()
    found: set[str] = set()
    for node in ast.parse(text).body:
        within = node.body if isinstance(node, ast.ClassDef) else [node]
        names = {one.name for one in within if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
        found |= names | ({f"{node.name}.{name}" for name in names} if isinstance(node, ast.ClassDef) else set())
    return {name for name in found if "test_" in name}, set(re.findall(r"\w+", text))


@pytest.mark.parametrize("section", sorted(NAMES | OF_THE_PAGES))
def test_every_name_has_a_row(section):
    shown = {name for place, names, _ in ROWS if place == section for name in names}
    wanted = {*OF_QISKIT_14.get(section, "").split(), *OF_THE_PAGES.get(section, "").split()}
    assert sorted((NAMES.get(section, set()) | wanted) - shown) == []


def test_every_row_has_tests_that_there_are():
    assert len(ROWS) > 50
    for section, names, tests in ROWS:
        assert tests, f"{section}: the row of {names} has no test"
        for test, target in tests:
            path = (PAGE.parent / target).resolve()
            assert path.is_file(), f"{section}: the row of {names} names {target}"
            assert test in known_tests(path)[0], f"{section}: {target} has no {test}"


def test_the_tests_of_a_row_speak_of_its_names():
    silent = []
    for section, names, tests in ROWS:
        words = set().union(*(known_tests((PAGE.parent / target).resolve())[1] for _, target in tests))
        if section not in ("Bad input", "Configuration"):  # sentences; a loop over the fields
            silent += [f"{section}: {name}" for name in names if not set(re.findall(r"\w+", name)) <= words]
    assert silent == []

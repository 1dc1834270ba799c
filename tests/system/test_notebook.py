"""What the last line of a cell shows in a real Jupyter kernel, in a notebook that has not imported pyplot."""

import base64
import re
from io import BytesIO

import nbformat
import pytest
from matplotlib.image import imread
from nbclient import NotebookClient

CELLS = {
    "provider": "from pulsed.provider import PulsedProvider\nprovider = PulsedProvider()\nprovider",
    "connected": "backend = provider.get_backend('sim5')\nprovider",
    "backend": "backend",
    "chip": "backend.draw()",
    "set": "backend.calibrated.calibration",
    "map": "backend.instruction_schedule_map",
    "block": "from pulsed import pulse\nwith pulse.build(backend, name='<b>two</b>') as block:\n"
    "    pulse.play(pulse.Gaussian(160, 0.5, 40), pulse.drive_channel(0))\nblock",
    "schedule": "pulse.transforms.block_to_schedule(block)",
    "drawn": "block.draw()",
    "pulse": "pulse.Drag(160, 0.5, 40, 2.0)",
    "no picture": "with pulse.build() as empty:\n    pass\nempty",
    "job": "from qiskit import QuantumCircuit\ncircuit = QuantumCircuit(1, 1, name='<i>one</i>')\n"
    "circuit.measure(0, 0)\n"
    "job = backend.run(circuit, shots=10)\ncounts = job.result().get_counts()\njob",
    "preview": "backend.preview(circuit)",
}


@pytest.fixture(scope="module")
def shown(daemon):
    """What each of the cells shows: by name, text and pictures by their kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PULSED_HOME", str(daemon.home))
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in CELLS.values()])
        NotebookClient(book, timeout=300, kernel_name="python3").execute()
    return {
        name: next((dict(out["data"]) for out in cell["outputs"] if out["output_type"] == "execute_result"), {})
        for name, cell in zip(CELLS, book["cells"], strict=True)
    }


@pytest.mark.parametrize("name", ["chip", "block", "schedule", "drawn", "pulse", "preview"])
def test_a_picture_is_shown(shown, name):
    picture = imread(BytesIO(base64.b64decode(shown[name]["image/png"])))
    assert picture.std() > 0.03, "it shows nothing"
    assert min(picture.shape[:2]) > 80


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("provider", ["not connected yet"]),
        ("connected", ["sim5", "<td", ">5<"]),
        ("backend", ["data:image/png;base64,", "5 qubits", "readout error", "ecr"]),
        ("set", ["Q0: ", "quality", "calibration set"]),
        ("map", ["ecr", "measure", "<td"]),
        ("job", ["done", "0: ", "&lt;i&gt;one"]),
    ],
)
def test_a_table_is_shown(shown, name, texts):
    html = shown[name]["text/html"]
    assert [text for text in texts if text not in html] == []
    assert "<i>one" not in html, "what a user wrote is text"
    if name == "job":
        assert sum(int(count) for count in re.findall(r"[01]: (\d+)", html)) == 10


def test_what_cannot_be_drawn_is_shown_as_text(shown):
    assert set(shown["no picture"]) == {"text/plain"}

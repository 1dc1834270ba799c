#!/usr/bin/env bash
# Expected: a frequency set on a driver reaches the instrument with the digits that a double has, or with those that
#   the instrument can do (below a hertz for a synthesizer).
# Seen (pymeasure 0.16.0): the drivers of microwave generators write `%e`, seven digits: at 5 GHz a grid of 1 kHz.
#   5.1234567891 GHz is sent as 5.123457 GHz (211 Hz off), and a sweep in steps of 100 Hz asks for each frequency ten
#   times. Analysers write `%g`, six digits, a grid of 10 kHz: a window of 12 kHz around a resonance moves by 4 kHz
#   and comes out 20 kHz wide. No error and no warning; reading the frequency back is the only sign.
# Matters: resonators of high Q fall out of the window, fine sweeps have steps, and a tone that has to stay in phase
#   with another instrument's drifts through a turn every few milliseconds.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "pymeasure==0.16.0" "numpy==2.2.6"
env/bin/python -W ignore - <<'PY'
import importlib.metadata

from pymeasure.adapters import ProtocolAdapter
from pymeasure.instruments.agilent import Agilent8257D
from pymeasure.instruments.anritsu import AnritsuMG3692C, AnritsuMS4642B


class Wire(ProtocolAdapter):
    """Keeps what is sent."""

    def __init__(self):
        super().__init__([])
        self.sent = []

    def _write(self, command, **_):
        self.sent.append(command)


print("pymeasure", importlib.metadata.version("pymeasure"))
for kind in (Agilent8257D, AnritsuMG3692C):
    wire = Wire()
    generator = kind(wire)
    generator.frequency = 5.1234567891e9
    print(f"{kind.__name__}: 5.1234567891 GHz is sent as {wire.sent[-1]!r}")
    assert "5.123457e+09" in wire.sent[-1]
    wire.sent.clear()
    for step in range(100):
        generator.frequency = 5.1234e9 + 100 * step
    print(f"{kind.__name__}: 100 frequencies, 100 Hz apart, are {len(set(wire.sent))} different ones")
    assert len(set(wire.sent)) == 11
wire = Wire()
analyser = AnritsuMS4642B(wire)
wire.sent.clear()
analyser.ch_1.frequency_start, analyser.ch_1.frequency_stop = 5.123454e9, 5.123466e9
print(f"AnritsuMS4642B: 5.123454 to 5.123466 GHz is sent as {wire.sent}")
assert [float(command.split()[1]) for command in wire.sent] == [5.12345e9, 5.12347e9]
PY
echo "as stated"

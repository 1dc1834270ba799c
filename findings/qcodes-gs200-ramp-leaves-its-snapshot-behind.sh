#!/usr/bin/env bash
# Expected: after `ramp_voltage(1.0)` of the Yokogawa GS200's driver has returned, the snapshot that QCoDeS stores with
#   every run says 1 V.
# Seen (qcodes 0.58.0, in front of a source that answers as the instrument does): the ramp is sent as a program and goes
#   past the parameter: its remembered value, and so the snapshot, is the level before the ramp. A `get` in between
#   asks the instrument and is right; `voltage(1.0)` with `ramp_mode('HARDWARE')` remembers what it did.
# Matters: the flux bias in the snapshot of each run of a sweep is that of the run before: plotted against it, all
#   arches are shifted by a step.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "qcodes==0.58.0" "pyvisa-py==0.8.1"
HOME="$dir" env/bin/python -W ignore - <<'PY'
import socketserver
import threading

import qcodes
from qcodes.instrument_drivers.yokogawa import YokogawaGS200

ANSWERS = {"*IDN?": "YOKOGAWA,GS210,0,1", "*OPT?": "NONE", ":SOUR:FUNC?": "VOLT", ":SOUR:RANG?": "1E+1",
           "OUTPUT?": "1", ":STAT:EVEN?": "128"}
level, program = 0.0, None


class Source(socketserver.StreamRequestHandler):
    def handle(self):
        global level, program
        for line in self.rfile:
            for command in line.decode().strip().split(";"):
                if command == ":SOUR:LEV?":
                    self.wfile.write(b"%E\n" % level)
                elif command.endswith("?"):
                    self.wfile.write(ANSWERS.get(command, "0").encode() + b"\n")
                elif command.startswith(":SOUR:LEV"):
                    program = float(command.split()[-1])
                elif command == ":PROG:RUN":
                    level = program


with socketserver.TCPServer(("127.0.0.1", 0), Source) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"TCPIP0::127.0.0.1::{server.server_address[1]}::SOCKET"
    bias = YokogawaGS200("bias", address, terminator="\n", visalib="@py")
    bias.voltage()
    bias.ramp_rate(10.0)
    print("qcodes", qcodes.__version__)
    seen = []
    for wanted in (1.0, 2.0):
        bias.ramp_voltage(wanted)
        seen.append(bias.snapshot()["parameters"]["voltage"]["value"])
        print(f"ramped to {wanted} V: snapshot {seen[-1]} V, asked for: {bias.voltage()} V")
    assert seen == [0.0, 1.0] and bias.voltage() == 2.0
    bias.close()
    server.shutdown()
PY
echo "as stated"

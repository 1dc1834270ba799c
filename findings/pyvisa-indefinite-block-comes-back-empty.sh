#!/usr/bin/env bash
# Expected: a block of indefinite length (IEEE 488.2: #0, data, end of message) is read to the end, or refused.
# Seen (pyvisa 1.16.2, pyvisa-py 0.8.1): `query_binary_values` of `#0` and 8 bytes over a SOCKET resource returns an
#   empty list; the same 8 bytes as a definite block come back whole. No error, no warning, and the data are gone.
# Matters: analysers and oscilloscopes send indefinite blocks for screen pictures and streamed traces: an empty
#   array means `not understood` as well as `no data`. Ask for definite blocks, and compare the number of points
#   with what was asked for.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "pyvisa==1.16.2" "pyvisa-py==0.8.1" "numpy==2.2.6"
env/bin/python - <<'PY'
import socket
import threading

import numpy as np
import pyvisa

data = np.array([1.5, -2.5], dtype="<f4").tobytes()
answers = {b"DEF?": b"#18" + data + b"\n", b"INDEF?": b"#0" + data + b"\n"}
server = socket.create_server(("127.0.0.1", 0))


def serve():
    connection, _ = server.accept()
    with connection, connection.makefile("rb") as lines:
        for line in lines:
            connection.sendall(answers[line.strip()])


threading.Thread(target=serve, daemon=True).start()
manager = pyvisa.ResourceManager("@py")
device = manager.open_resource(
    f"TCPIP::127.0.0.1::{server.getsockname()[1]}::SOCKET", read_termination="\n", write_termination="\n",
    timeout=3000,
)
found = {query: device.query_binary_values(query, datatype="f") for query in ("DEF?", "INDEF?")}
device.close()
print("pyvisa", pyvisa.__version__, found)
assert found == {"DEF?": [1.5, -2.5], "INDEF?": []}
PY
echo "as stated"

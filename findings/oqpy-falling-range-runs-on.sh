#!/usr/bin/env bash
# Expected: `ForIn(program, range(3, 0, -1))` runs for 3, 2 and 1, as Python's range does.
# Seen (oqpy 0.3.11, read by qiskit-qasm3-import 0.6.0): OpenQASM's ranges include their end, so oqpy takes one off the
#   end, for falling ranges, too, where one had to be added: the text is `[3:-1:-1]`, which runs for 3, 2, 1, 0 and -1.
#   The same with oqpy's own `Range`. Rising ranges are right, whatever their step.
# Matters: the loop plays one or two iterations too many, with values that were never meant (a delay of 0 or -1 steps,
#   an index before the first), and all others are unharmed, so that nothing looks broken.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check \
  "oqpy==0.3.11" "openpulse==1.0.1" "qiskit==2.2.3" "qiskit-qasm3-import==0.6.0"
env/bin/python - <<'PY'
import importlib.metadata

import oqpy
import qiskit.qasm3


def written(steps):
    program = oqpy.Program()
    count = oqpy.IntVar(0, "count")
    with oqpy.ForIn(program, steps, "k"):
        program.increment(count, 1)
    return next(line for line in program.to_qasm().splitlines() if line.startswith("for"))


def read(line):
    text = f'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit q;\n{line}\n  x q;\n}}\n'
    return list(qiskit.qasm3.loads(text).data[0].operation.params[0])


print("oqpy", importlib.metadata.version("oqpy"))
for steps in (range(0, 10, 3), range(0, 3), range(3, 0, -1), range(10, 0, -2)):
    line = written(steps)
    print(f"{steps} is written as `{line[:-2]}` and runs for {read(line)}")
    assert (read(line) == list(steps)) == (steps.step > 0), "falling ranges are right now"
assert read(written(range(3, 0, -1))) == [3, 2, 1, 0, -1]
assert written(oqpy.Range(3, 0, -1)) == "for int k in [3:-1:0 - 1] {"
PY
echo "as stated"

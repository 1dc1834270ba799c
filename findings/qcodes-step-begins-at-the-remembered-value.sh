#!/usr/bin/env bash
# Expected: a parameter with `step=0.1` never moves its instrument by more than 0.1 at once; that is what it is for.
# Seen (qcodes 0.58.0): the steps begin at the value that QCoDeS remembers, not at the instrument's. A source turned to
#   5 V at its front panel (or by another program) after the last `get` is sent 0.1 V as the first of `small` steps
#   to 0.3 V, although the parameter has a getter. A parameter that cannot be read jumps to its first value in one go,
#   with no more than a line in the log. With `max_val_age=0` the instrument is asked before the first step.
# Matters: steps protect gates, flux lines and magnets. After a hand on the front panel, a restart of the source or a
#   second session the next `set` is the jump that they were set against.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "qcodes==0.58.0"
HOME="$dir" env/bin/python -W ignore - <<'PY'
import logging

import qcodes
from qcodes.parameters import Parameter

logging.disable(logging.CRITICAL)


class Source:
    """A voltage source that keeps what it was sent."""

    def __init__(self):
        self.level, self.sent = 0.0, []

    def put(self, level):
        self.sent.append(round(level, 6))
        self.level = level


print("qcodes", qcodes.__version__)
firsts = []
for more in ({}, {"max_val_age": 0}):
    source = Source()
    bias = Parameter("bias", get_cmd=lambda: source.level, set_cmd=source.put, step=0.1, **more)
    bias.get()
    source.level = 5.0  # by hand
    bias.set(0.3)
    firsts.append(source.sent[0])
    print(f"{more or 'plain'}: at 5 V, remembered 0 V, set to 0.3 V: {len(source.sent)} steps, {source.sent[:3]} ...")
blind = Source()
Parameter("gate", set_cmd=blind.put, step=0.1).set(2.0)
print(f"without a getter, set to 2 V: {blind.sent}")
assert firsts == [0.1, 4.9] and blind.sent == [2.0]
PY
echo "as stated"

#!/usr/bin/env bash
# Expected: what the reference parser of OpenQASM 3 reads and prints again means the same.
# Seen (openqasm3 1.0.1): `**` binds to the right when it is read, and a power as the left operand of another is printed
#   without its parentheses: `(a ** b) ** c` becomes `a ** b ** c`, which is read as `a ** (b ** c)`: (2 ** 3) ** 2 = 64
#   turns into 512. Differences and quotients keep theirs. Every tool that prints with this package (oqpy, pyqasm)
#   inherits it.
# Matters: amplitudes and angles computed in a program (a fall-off, a virtual-Z of a power of two) change their value by
#   being stored or forwarded, without a word; two round trips agree with each other, so a comparison of texts sees
#   nothing.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "openqasm3[parser]==1.0.1"
env/bin/python - <<'PY'
import importlib.metadata
import operator

import openqasm3
from openqasm3 import ast

OPERATIONS = {"**": operator.pow, "-": operator.sub, "/": operator.truediv}


def value(node):
    if isinstance(node, ast.BinaryExpression):
        return OPERATIONS[node.op.name](value(node.lhs), value(node.rhs))
    return node.value


def worth(text):
    return value(openqasm3.parse(text).statements[0].init_expression)


print("openqasm3", importlib.metadata.version("openqasm3"))
for text in ("(2 ** 3) ** 2", "2 ** (3 ** 2)", "7 - (3 - 2)", "8 / (4 / 2)"):
    before = f"int x = {text};"
    after = openqasm3.dumps(openqasm3.parse(before)).strip()
    print(f"{before} worth {worth(before)}, is printed as {after} worth {worth(after)}")
    assert (worth(before) == worth(after)) == (text != "(2 ** 3) ** 2"), "the parentheses are kept now"
assert worth("int x = (2 ** 3) ** 2;") == 64 and worth("int x = 2 ** 3 ** 2;") == 512
PY
echo "as stated"

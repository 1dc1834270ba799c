#!/usr/bin/env bash
# Expected: in the .seqx file of a sequence of 12 steps on one channel each step names one waveform, its own.
# Seen (qcodes 0.58.0, Tektronix AWG70000A): names are looked for as parts of other names, and wfm_1 is a part of wfm_10,
#   wfm_11 and wfm_12: the first step names four waveforms, its own and those of the last three; a step number 2 would
#   name those of 20 to 29. Subsequences do it, too. Up to nine steps all is right.
# Matters: a sequence that was tried with a few steps gets wrong at the tenth, in its file and without a word; on several
#   channels a step names more waveforms than there are tracks.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "qcodes==0.58.0" "numpy==2.2.6"
HOME=$dir env/bin/python -W ignore - <<'PY'
import io
import xml.etree.ElementTree as ET
import zipfile

import numpy as np
import qcodes
from qcodes.instrument_drivers.tektronix.AWG70000A import TektronixAWG70000Base


def element(level):
    rows = {"wfm": np.full(2400, level), "m1": np.zeros(2400), "m2": np.zeros(2400)}
    return {"data": {1: rows}, "sequencing": {}}


def named(sequence, file):
    """Waveforms that each step of a sequence file names."""
    made = TektronixAWG70000Base.make_SEQX_from_forged_sequence(sequence, [1.0], "main")
    tree = ET.fromstring(zipfile.ZipFile(io.BytesIO(made)).read(f"Sequences/{file}.sml"))
    return [[item.text for item in step.iterfind(".//{*}AssetName")] for step in tree.iterfind(".//{*}Step")]


print("qcodes", qcodes.__version__)
for count in (9, 12):
    steps = {k: {"type": "element", "sequencing": {}, "content": {1: element(k / 40)}} for k in range(1, count + 1)}
    parts = {1: {"type": "subsequence", "sequencing": {}, "content": {k: element(k / 40) for k in range(1, count + 1)}}}
    for what, found in (("steps", named(steps, "main")), ("steps of a subsequence", named(parts, "subsequence_1"))):
        print(f"{count} {what}: the first names {found[0]}, the second {found[1]}")
        assert [len(names) for names in found] == [1 if count == 9 else 4, *[1] * (count - 1)]
PY
echo "as stated"

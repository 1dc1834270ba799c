"""Kernels run without scipy's linear algebra, and those that need it find it."""

import subprocess
import sys

CODE = """
import sys
import numpy as np
{first}
from pulsed.drivers.rack.discriminate import classify, rule
assert classify(np.array([[1j], [0.1]], np.complex64), [rule([0, 1j])]).tolist() == [[1], [0]]
print("scipy.linalg" in sys.modules)
from numba import njit
product = njit(lambda a, b: np.dot(a, b))
print(product(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])).tolist())
print(sys.modules["scipy.linalg.cython_blas"].__file__ is not None)
"""


def said(first=""):
    ran = subprocess.run([sys.executable, "-c", CODE.format(first=first)], capture_output=True, text=True, check=True)
    return ran.stdout.split("\n")[:3]


def test_a_kernel_needs_no_linear_algebra_and_one_that_does_finds_it():
    assert said() == ["False", "[[2.0, 1.0], [4.0, 3.0]]", "True"]


def test_where_scipy_is_there_already_it_stays():
    assert said("import scipy.linalg.cython_blas as there")[0] == "True"

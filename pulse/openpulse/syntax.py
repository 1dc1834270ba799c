"""OpenQASM 3 text with OpenPulse in its ``cal`` and ``defcal`` blocks as statements with their lines.

The only module that needs the packages ``openpulse``, ``openqasm3`` and ``antlr4``; it is imported when text is read.
Their own entry points leave out what a block holds after its last good statement, skip characters that are in no
token, and print to standard error, so their parsers are driven here.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from antlr4 import CommonTokenStream, InputStream, Token
from antlr4.error.ErrorListener import ErrorListener
from openpulse import parser as pulse_parser
from openqasm3 import parser as qasm_parser

from pulsed.pulse.exceptions import PulseError


class _Raise(ErrorListener):  # type: ignore[misc]
    def __init__(self, lines: list[str], first: int, language: str) -> None:
        self._lines = lines
        self._first = first
        self._language = language

    def syntaxError(self, recognizer: Any, symbol: Any, line: int, column: int, msg: str, e: Any) -> NoReturn:
        number = self._first + line - 1
        raise PulseError(f"is not {self._language}: {msg}", subject=place(self._lines, number))


def place(lines: list[str], number: int) -> str:
    """Return how errors name a line of the text; lines count from one."""
    text = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    return f"line {number}, {text[:120]!r}"


def statements(text: str) -> list[Any]:
    """Return the statements of a program, each with its line and, for ``cal`` and ``defcal``, ``body`` parsed.

    ``line`` is that of the statement in ``text``, also for the statements of a body.

    Raises:
        PulseError: text that is no OpenQASM 3, or a block that is no OpenPulse, with the line; nested too deep.

    """
    # the specification writes `extern port d0;`, the parser only knows `port d0;`
    text = text.removeprefix("\ufeff")
    text = re.sub(r"\bextern(?=[ \t]+port\b)", "      ", text)
    lines = text.splitlines()
    try:
        tree = _tree(qasm_parser.qasm3Lexer, qasm_parser.qasm3Parser, "program", text, _Raise(lines, 1, "OpenQASM 3"))
        # the visitor cannot do without a first token
        empty = tree.start.type == Token.EOF
        program = [] if empty else qasm_parser.QASMNodeVisitor().visitProgram(tree).statements
        for node in program:
            node.line = node.span.start_line
            if type(node).__name__ in {"CalibrationStatement", "CalibrationDefinition"}:
                _parse_body(node, lines)
    except RecursionError:
        raise PulseError("is nested too deep", subject="text") from None
    except (qasm_parser.QASM3ParsingError, pulse_parser.OpenPulseParsingError, ValueError) as error:
        raise PulseError(f"is not OpenQASM 3: {error}", subject="text") from error
    return list(program)


def _parse_body(node: Any, lines: list[str]) -> None:
    first, column = node.span.start_line, node.span.start_column
    while "{" not in lines[first - 1][column:]:
        first, column = first + 1, 0
    in_defcal = type(node).__name__ == "CalibrationDefinition"
    listener = _Raise(lines, first, "OpenPulse")
    tree = _tree(pulse_parser.openpulseLexer, pulse_parser.openpulseParser, "calibrationBlock", node.body, listener)
    body = []
    if tree.children:
        body = pulse_parser.OpenPulseNodeVisitor(in_defcal).visitCalibrationBlock(tree).body
    for statement in body:
        statement.line = first + statement.span.start_line - 1
    node.body = body


def _tree(lexer_type: Any, parser_type: Any, rule: str, text: str, listener: _Raise) -> Any:
    lexer = lexer_type(InputStream(text))
    stream = CommonTokenStream(lexer)
    parser = parser_type(stream)
    for source in (lexer, parser):
        source.removeErrorListeners()
        source.addErrorListener(listener)
    tree = getattr(parser, rule)()
    rest = stream.LT(1)
    if rest.type != Token.EOF:
        listener.syntaxError(None, rest, rest.line, rest.column, f"unexpected {rest.text!r}", None)
    return tree

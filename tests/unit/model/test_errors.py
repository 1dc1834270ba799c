import msgspec
import pytest

from pulsed.model import errors
from pulsed.model.errors import (
    InstrumentTimeoutError,
    InstrumentUnreachableError,
    PulsedError,
    WrongInstrumentError,
    combined,
    from_info,
)

KINDS = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, PulsedError)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_the_wire_as_itself(kind):
    error = kind("is wrong", subject="the thing", value=-3, legal="1 to 5")
    again = from_info(error.to_info())
    assert type(again) is kind
    assert str(again) == str(error) == "the thing: is wrong; got -3; legal: 1 to 5"


def test_codes_are_stable_and_different():
    assert len({kind.code for kind in KINDS}) == len(KINDS)
    with pytest.raises(TypeError, match="belongs to"):

        class OtherError(PulsedError):
            code = "circuit"


def test_an_unknown_code_is_still_an_error_of_ours():
    info = errors.ErrorInfo("from_a_newer_daemon", "something new")
    assert type(from_info(info)) is PulsedError


def test_an_error_of_several_objects_has_that_of_each_and_survives_the_wire():
    first = WrongInstrumentError("is another one", subject="instrument a", value="X", legal="Y")
    second = InstrumentTimeoutError("does not answer", subject="instrument b")
    third = InstrumentUnreachableError("cannot be reached", subject="instrument c")
    error = combined([combined([first, second]), third])
    assert error.causes == (first, second, third)
    again = from_info(msgspec.msgpack.decode(msgspec.msgpack.encode(error.to_info()), type=errors.ErrorInfo))
    assert [type(cause) for cause in again.causes] == [type(cause) for cause in error.causes]
    assert type(again) is WrongInstrumentError
    assert (
        str(again)
        == str(error)
        == (
            "instrument a: is another one; got X; legal: Y "
            "(also affected: instrument b: does not answer | instrument c: cannot be reached)"
        )
    )
    assert combined([second]) is second
    assert not second.to_info().causes

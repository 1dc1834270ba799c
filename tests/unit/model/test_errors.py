import pytest

from pulsed.model import errors
from pulsed.model.errors import PulsedError, from_info

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

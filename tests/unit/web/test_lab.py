"""What is kept of the daemon's answers."""

from pulsed.web.lab import MOST_KEPT


def test_what_visitors_type_does_not_pile_up(lab):
    """What is looked at stays, however many names others make up."""
    asked = []

    def ask(name):
        lab.keep(name, lambda _: asked.append(name) or name, 60.0)

    ask("calibration")
    for number in range(3 * MOST_KEPT):
        ask(f"calibration runs made up {number}")
        ask("calibration")
    assert asked.count("calibration") == 1
    ask(f"calibration runs made up {3 * MOST_KEPT - 1}")
    assert len(asked) == 3 * MOST_KEPT + 1, "the last ones are kept"
    ask("calibration runs made up 0")
    assert len(asked) == 3 * MOST_KEPT + 2, "the first ones are not"

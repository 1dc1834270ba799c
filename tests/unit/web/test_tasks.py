"""Commands that a page starts, and what they print."""

import sys
import threading
import time

import pytest

from pulsed.client.speaking import speaking_for
from pulsed.model.errors import BusyError, InvalidValueError, NotFoundError
from pulsed.testing.daemon_process import eventually
from pulsed.web.children import Answers, CommandLine
from pulsed.web.tasks import Tasks


class Python(CommandLine):
    """Runs Python code in place of `pulsed`."""

    def words(self, url, *words):
        return [sys.executable, "-c", *words]


def commands():
    return Python("web.key", "/home/lab")


def test_what_a_person_typed_is_never_an_option_of_its_own():
    words = CommandLine("web.key", None).words("tcp://127.0.0.1:1", "cal", "run", "--live", "--", "--url=x")
    assert words[words.index("pulsed.cli") + 1 :] == [
        "cal", "run", "--url", "tcp://127.0.0.1:1", "--key", "web.key", "--live", "--", "--url=x",
    ]  # fmt: skip
    assert "--url" not in CommandLine("web.key", None).words(None, "logs")


def test_a_command_says_what_it_does_in_the_name_of_who_started_it():
    told = []
    tasks = Tasks(commands(), lambda: told.append(1))
    with speaking_for("anna"):
        task = tasks.start("url", "import os; print(os.environ['PULSED_PERSON'], os.environ['PULSED_HOME'])")
    eventually(lambda: task.code is not None, "it has ended")
    assert (list(task.lines), task.person, task.state) == (["anna /home/lab"], "anna", "done")
    assert len(told) == 3
    failed = tasks.start("url", "import sys; print('\\x1b[31mno'); sys.exit(1)")
    eventually(lambda: failed.code is not None, "it has ended")
    assert failed.state == "failed"
    assert "\x1b" not in failed.lines[0]
    assert [one.number for one in tasks.listed()] == [2, 1]


def test_a_command_is_stopped_as_by_ctrl_c_and_all_are_at_the_end():
    tasks = Tasks(commands(), lambda: None)
    code = "import time\ntry: print('up', flush=True); time.sleep(60)\nexcept KeyboardInterrupt: exit(130)"
    running = [tasks.start("url", code) for _ in range(4)]
    with pytest.raises(BusyError, match="so many"):
        tasks.start("url", code)
    eventually(lambda: all(task.lines for task in running), "all run")
    tasks.stop(running[0].number)
    eventually(lambda: running[0].state == "cancelled", "it is stopped")
    with pytest.raises(NotFoundError):
        tasks.stop(99)
    tasks.close()
    assert all(task.code == 130 for task in running)


def test_a_question_fails_with_what_the_command_says():
    assert commands().ask(None, "print('yes')") == b"yes\n"
    assert commands().ask(None, "print('so'); exit(1)", good=(0, 1)) == b"so\n"
    with pytest.raises(InvalidValueError, match="no such thing"):
        commands().ask(None, "import sys; sys.exit('error: no such thing')")


def test_more_questions_than_a_few_are_refused_at_once(tmp_path):
    gate, said = tmp_path / "gate", []
    code = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)\nprint('yes')"

    def ask():
        try:
            said.append(commands().ask(None, code))
        except BusyError as error:
            said.append(error)

    threads = [threading.Thread(target=ask) for _ in range(9)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(said) == 3, "those that are too many are told so")
    assert all("too much" in str(one) for one in said)
    gate.touch()
    for thread in threads:
        thread.join()
    assert said[3:] == [b"yes\n"] * 6, "two at once, and the four that waited for them"


def test_an_answer_is_as_old_as_it_may_be():
    for seconds, times in ((60.0, 1), (0.0, 2)):
        made = []
        answers = Answers(seconds=seconds)
        for _ in range(2):
            answers.get("a", lambda made=made: made.append(1) or b"x")
            time.sleep(0.001)
        assert len(made) == times
        answers.forget()
        answers.get("a", lambda made=made: made.append(1) or b"x")
        assert len(made) == times + 1


def test_an_answer_is_made_once():
    answers, made = Answers(2), []

    def make():
        made.append(1)
        time.sleep(0.05)
        return b"x"

    threads = [threading.Thread(target=answers.get, args=("a", make)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    for name in "bca":
        answers.get(name, make)
    assert len(made) == 4, "the oldest is forgotten"

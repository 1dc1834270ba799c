"""A microwave source that speaks plain SCPI, as a driver for pulsed.

It keeps the contract of :mod:`pulsed.drivers.contract`: the constructor stores, `connect` opens, every call has a
deadline, every failure is one error of :mod:`pulsed.model.errors` with the subject "instrument NAME".
"""

from pulsed.drivers.contract import Capabilities, InstrumentIdentity, InstrumentState, SourceSettings, check_step
from pulsed.drivers.scpi.session import Session
from pulsed.model.device import InstrumentDescription
from pulsed.model.errors import InstrumentChangedError, InstrumentError, InstrumentLimitError, WrongInstrumentError


class PlainSource:
    """A local oscillator: frequency, power, on or off."""

    capabilities = Capabilities(min_frequency=1e6, max_frequency=12.75e9, power=(-120.0, 25.0))

    def __init__(self, name: str, description: InstrumentDescription) -> None:
        self.name = name
        self.description = description
        self.identity: InstrumentIdentity | None = None
        self.state = InstrumentState.CLOSED
        self._session = Session(name, description.address)
        self._sent: tuple[str, ...] = ()
        self._left: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """The subject of its errors."""
        return f"instrument {self.name}"

    # Connectable and Identifiable.

    def connect(self, deadline: float) -> None:
        """Connect, check the identity and switch the output off; what a failed connect opened, it closes."""
        self.close()
        try:
            self._session.connect(deadline)
            self._session.exchange((), (), deadline)  # what others left in the error queue is no fault of ours
            self.identify(deadline)
            self._session.transact(("*CLS", "OUTP 0"), (), deadline)
        except BaseException:
            self.close()
            raise
        self.state = InstrumentState.IDLE

    def identify(self, deadline: float) -> InstrumentIdentity:
        """Ask who it is, and refuse another one than the configuration names."""
        fields = [part.strip() for part in self._session.query("*IDN?", deadline).split(",", 3)]
        found = InstrumentIdentity(*fields, *[""] * (4 - len(fields)))
        wanted = self.description.identity
        for want, have in ((wanted.vendor, found.vendor), (wanted.model, found.model), (wanted.serial, found.serial)):
            if want and want != have:
                raise WrongInstrumentError(
                    "another instrument answers here", subject=self.subject, value=str(found), legal=want
                )
        self.identity = found
        return found

    def close(self) -> None:
        """Close. Idempotent."""
        self._session.close()
        self._sent = self._left = ()
        self.state = InstrumentState.CLOSED

    def reset(self, deadline: float) -> None:
        """Bring it to the state after power-on."""
        self._talk(("*RST",), (), deadline)
        self.connect(deadline)

    # Reporting and Safe.

    def status(self, deadline: float) -> InstrumentState:
        """Ask whether it is well and, once it was configured, whether it still is as it was left."""
        answers = self._talk((), ("FREQ?", "POW?", "OUTP?") if self._left else (), deadline)
        changed = [
            f"{command} is now {answer}"
            for command, answer in zip(self._left, answers, strict=True)
            if abs(float(command.split()[1]) - float(answer)) > 0.01
        ]
        if changed:
            self._sent = ()
            raise InstrumentChangedError(
                "was changed by somebody else", subject=self.subject, value="; ".join(changed), legal="as it was left"
            )
        return self.state

    def drain_errors(self, deadline: float) -> list[str]:
        """Empty the error queue and return what was in it."""
        return self._session.exchange((), (), deadline)[1]

    def safe_state(self, deadline: float) -> None:
        """Switch the output off, from any state."""
        if not self._session.is_open:
            self.connect(deadline)
        self._talk(("OUTP 0",), (), deadline)
        self._sent = self._left = ()
        self._step(InstrumentState.IDLE)

    # Configurable and Validating.

    def configure(self, settings: SourceSettings, deadline: float) -> None:
        """Set frequency and power and switch on; only differences are sent."""
        self.validate(settings)
        wanted = (f"FREQ {settings.frequency:.2f}", f"POW {settings.power:.2f}", "OUTP 1")
        changed = [command for command in wanted if command not in self._sent]
        if changed:
            self._talk(changed, (), deadline)
            self._sent = self._left = wanted

    def validate(self, work: SourceSettings) -> None:
        """Check the ranges before anything is sent."""
        can = self.capabilities
        for what, value, (low, high) in (
            ("frequency", work.frequency, (can.min_frequency, can.max_frequency)),
            ("power", work.power, can.power),
        ):
            if not low <= value <= high:
                message = f"the {what} is out of range"
                raise InstrumentLimitError(message, subject=self.subject, value=str(value), legal=f"{low} to {high}")

    def _talk(self, commands, queries, deadline: float) -> list[str]:
        """One transaction; after a failure nobody knows what the instrument does."""
        try:
            return self._session.transact(commands, queries, deadline)
        except InstrumentError:
            self._sent = ()
            if self.state is not InstrumentState.CLOSED:
                self._step(InstrumentState.FAULT)
            raise

    def _step(self, new: InstrumentState) -> None:
        check_step(self.name, self.state, new)
        self.state = new

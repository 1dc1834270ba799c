"""The instruments of a rack, played as one.

A chunk goes one way, and each step takes what the one before returned. :meth:`Rack.play
<pulsed.drivers.rack.rack.Rack.play>` calls them in this order:

1. **partition**: :func:`~pulsed.drivers.rack.partition.partition_chunk` makes of a
   :class:`~pulsed.compiler.program.Chunk` the :class:`~pulsed.drivers.programs.InstrumentPrograms`: for each AWG a
   playback, for each digitizer a recording, times in samples of its own clock. Pure arithmetic.
2. **validate**: :func:`~pulsed.drivers.rack.steps.validate` asks each driver whether it can play its part, and
   :func:`~pulsed.drivers.rack.feedback.check_feedback` whether each bit arrives in time. It speaks to no instrument and
   names all that refuse. What passed is a :class:`~pulsed.drivers.rack.steps.ValidatedChunk`, with the settings of the
   sources (:mod:`~pulsed.drivers.rack.settings`).
3. **prepare**: :func:`~pulsed.drivers.rack.steps.prepare` configures and uploads, all instruments side by side
   (:mod:`~pulsed.drivers.rack.gather`), then arms: followers first, leaders last. What is armed is a
   :class:`~pulsed.drivers.rack.steps.PreparedChunk`, with a handle of each instrument.
4. **play**: :func:`~pulsed.drivers.rack.steps.play` starts the leaders, waits until all are done, and fetches: pairs of
   what each digitizer had to record and what it did.
5. **assemble**: :func:`~pulsed.drivers.rack.assembly.assemble_results` integrates
   (:mod:`~pulsed.drivers.rack.demodulate`), classifies (:mod:`~pulsed.drivers.rack.discriminate`) and packs by memory
   slot: one result per program.

A chunk that a spectrum analyser looks at takes the same steps up to *prepare*, program by program
(:mod:`~pulsed.drivers.rack.spectrum`). Around all of it :mod:`~pulsed.drivers.rack.connections` makes the drivers of
a description (:mod:`~pulsed.drivers.rack.validation` says whether they fit it), connects them, asks how they are, and
switches their outputs off.
"""

from pulsed import old_names

__getattr__ = old_names(__name__)

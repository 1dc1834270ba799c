"""Jobs from admission to their result: registry, scheduler, and the stages of a job."""

from pulsed import old_names

__getattr__ = old_names(__name__)

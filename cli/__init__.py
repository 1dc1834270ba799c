"""The `pulsed` command. Everything heavy is imported by the command that needs it, so that `pulsed` starts fast."""

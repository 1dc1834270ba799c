"""What others see of the daemon: systemd, Prometheus, whoever gets alerts. Nothing here changes what it does."""

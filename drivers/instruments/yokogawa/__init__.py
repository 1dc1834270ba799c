"""Yokogawa."""

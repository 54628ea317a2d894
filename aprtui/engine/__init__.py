"""Runs playbooks: conversions, gates, evidence."""

"""Profiles: what is particular to each converter that is not our own."""

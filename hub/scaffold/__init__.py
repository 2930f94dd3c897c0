"""Scaffolding: a new source, written from nothing or from captured requests."""

"""Knows what operators configure and browse: Django's admin for our models."""

from __future__ import annotations

from callflows.admin import calls, flows, headers, jobs, numbers, prompts, recordings, upkeep

__all__ = ["calls", "flows", "headers", "jobs", "numbers", "prompts", "recordings", "upkeep"]

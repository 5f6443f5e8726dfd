"""Knows what is stored: numbers, flows, prompts, calls, lines and jobs."""

from __future__ import annotations

from callflows.models.calls import Call, Leg, RoomStay, StrayEvent, TimelineEntry
from callflows.models.flows import Branch, CallFlow, FlowVersion, HeaderRow, HeaderSet, Step
from callflows.models.jobs import Job
from callflows.models.lines import Line, SocketRefused
from callflows.models.numbers import Application, PhoneNumber
from callflows.models.pace import Pace
from callflows.models.prompts import AudioPrompt, PromptVersion
from callflows.models.recordings import Recording
from callflows.models.refusals import Refusal
from callflows.models.tokens import SeenToken
from callflows.models.uploads import PromptUpload

__all__ = [
    "Application",
    "AudioPrompt",
    "Branch",
    "Call",
    "CallFlow",
    "FlowVersion",
    "HeaderRow",
    "HeaderSet",
    "Job",
    "Leg",
    "Line",
    "Pace",
    "PhoneNumber",
    "PromptUpload",
    "PromptVersion",
    "Recording",
    "Refusal",
    "RoomStay",
    "SeenToken",
    "SocketRefused",
    "Step",
    "StrayEvent",
    "TimelineEntry",
]

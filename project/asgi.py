"""The ASGI application, for any server."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

# First: what is imported next needs Django to be set up.
pages = get_asgi_application()

from callflows.routing import with_calls  # noqa: E402

application = with_calls(pages)

"""As Django writes it, and two lines."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "other_project.settings")
pages = get_asgi_application()

from callflows.routing import with_calls  # noqa: E402

application = with_calls(pages)

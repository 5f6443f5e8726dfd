"""The ASGI application, for any server."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

# First: what is imported next needs Django to be set up.
pages = get_asgi_application()

from channels.routing import ProtocolTypeRouter  # noqa: E402

from callflows.routing import websockets  # noqa: E402
from project.handler import with_short_way  # noqa: E402

http = with_short_way(pages)
application = ProtocolTypeRouter({"http": http, "websocket": websockets})

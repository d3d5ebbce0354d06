"""Entry point of ``python -m include.api_video.docs``, which ``make docs`` calls."""

import sys

from include.api_video.docs.write import main

sys.exit(main())

"""``python -m include.api_video.docs``, as ``make docs`` calls it."""

import sys

from include.api_video.docs.write import main

sys.exit(main())

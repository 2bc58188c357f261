"""What holds for all tests."""

import os
from tempfile import TemporaryDirectory

from hypothesis import settings

# Examples are found anew by every developer, but CI runs the same ones each time; how long one takes says
# more of the machine than of the code.
settings.register_profile("hearsight", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("hearsight")

# No test writes into the conversations and memories of whoever runs it, whatever it forgets to set.
_data = TemporaryDirectory(prefix="hearsight-tests-")
os.environ["XDG_DATA_HOME"] = _data.name

"""GitHub's limits, as its API and its runner enforce them."""

from typing import Final

BODY_CHARACTERS: Final = 65_536
"""Characters of the body of a comment, a review or a pull request."""
TITLE_CHARACTERS: Final = 255
"""Characters of the title of a check run or of an annotation."""
CHECK_TEXT_BYTES: Final = 65_535
"""Bytes of the summary of a check run, and of its text."""
ANNOTATION_BYTES: Final = 64_000
"""Bytes of the message of an annotation; GitHub's limit is 64 KB."""
ANNOTATIONS_PER_REQUEST: Final = 50
"""Annotations that one request adds to a check run."""
CHANGED_FILES: Final = 3_000
"""Files of a pull request that GitHub lists."""
MATRIX_JOBS: Final = 256
"""Jobs of a matrix."""
JOB_SUMMARY_BYTES: Final = 1024 * 1024 - 1
"""Bytes of the job summary of one step."""

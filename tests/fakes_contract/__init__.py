"""The fakes held against the real PyGithub, the real CLI, the real SDK, and GitHub's own contracts."""

import yaml


def read_profile(text):
    """The profile that a user uploaded."""
    return yaml.load(text)

"""The Copilot CLI as a sidecar process, and sessions of its SDK. The only package that imports `copilot`."""

"""The Copilot CLI as a sidecar process, and the SDK that speaks with it. Nobody else imports `copilot`."""

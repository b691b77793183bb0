"""Client for GitHub's REST and GraphQL API. The only package that imports `github`."""

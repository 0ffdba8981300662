"""The Bicep files of infra/, read; and the digest of the official types that they are compared with."""

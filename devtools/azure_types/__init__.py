"""Readers of the Bicep files of infra/, and of the digest of official types that they are compared with."""

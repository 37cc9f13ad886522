"""Engines only tests have. They are found through PORTOLAN_ENGINE_PACKAGES."""

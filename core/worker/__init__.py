"""The worker's process: the only place where torch may appear."""

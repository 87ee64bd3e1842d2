"""nncli."""

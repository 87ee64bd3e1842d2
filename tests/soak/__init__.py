"""What takes long to find: run in full by `make soak`, in short by the tests."""

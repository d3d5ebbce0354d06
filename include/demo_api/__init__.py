"""A local stand-in of api.video, for the demo, the tests and the benchmarks. It never calls api.video."""
